"""Windows event log files (EVTX)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, BinaryIO, cast

import evtx
import orjson

from khien.errors import Problem
from khien.events.batch import Event
from khien.events.records import RecordBlock
from khien.formats.format import BLOCK_RECORDS, Format, Report, shortened
from khien.formats.windows_shapes import nested_record

_HEADER = 4_096
_CHUNK = 65_536
_MAGIC = b"ElfFile\x00"
_MOST_FAILURES = 100_000
_REMEDY = "The file was cut off or changed; copy it again if you can"


def _sniff(head: bytes) -> float:
    return 1.0 if head.startswith(_MAGIC) else 0.0


def read(stream: BinaryIO, path: str, report: Report) -> Iterator[RecordBlock]:
    """The records of an EVTX file. Damaged records and chunks are counted and left out."""
    for numbers, lines in read_lines(stream, path, report):
        kept: list[int] = []
        flat: list[Event] = []
        for number, line in zip(numbers, lines, strict=True):
            try:
                flat.append(nested_record(orjson.loads(line)["Event"]))
            except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
                report(Problem(path, f"record {number}", f"cannot be read: {shortened(error)}", _REMEDY))
                continue
            kept.append(number)
        yield RecordBlock("windows", kept, flat)


def read_lines(stream: BinaryIO, path: str, report: Report) -> Iterator[tuple[list[int], list[str]]]:
    """The records as (record ids, lines of JSON), some thousand at a time; the JSON is `{"Event": {"System": ...}}`.

    Damaged records and chunks are counted and left out.
    """
    missing = -(stream.seek(0, os.SEEK_END) - _HEADER) % _CHUNK
    stream.seek(0)
    try:
        parser = evtx.PyEvtxParser(stream, number_of_threads=1)
        records = cast(Iterator[dict[str, Any]], parser.records_json())
    except (RuntimeError, OSError, ValueError) as error:
        report(Problem(path, "", f"not a readable EVTX file: {shortened(error)}", "Copy it again from its source"))
        return
    numbers: list[int] = []
    lines: list[str] = []
    read_any = False
    failures = 0
    last = ""
    while True:
        try:
            for record in records:
                numbers.append(record["event_record_id"])
                lines.append(record["data"])
                if len(lines) >= BLOCK_RECORDS:
                    yield numbers, lines
                    numbers, lines, read_any = [], [], True
            break
        except (RuntimeError, OSError, ValueError, OverflowError) as error:
            failures += 1
            last = shortened(error)
            if failures >= _MOST_FAILURES:
                break
    read_any = bool(lines) or read_any
    if lines:
        yield numbers, lines
    if missing and (read_any or failures):
        report(Problem(path, "", f"was cut off: the last {missing} bytes of a chunk are missing", _REMEDY))
    if not read_any and not failures:
        report(Problem(path, "", "holds no readable record", "It is empty or was cut off; copy it again if you can"))
    if failures:
        what = f"{failures} damaged records or chunks were left out (the last: {last})"
        report(Problem(path, "", what, _REMEDY))


FORMAT = Format("evtx", "Windows event log (EVTX)", _sniff, read, seekable=True)
