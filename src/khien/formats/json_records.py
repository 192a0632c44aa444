"""JSON: objects by line, arrays, concatenated pretty-printed objects, and the usual wrappers."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO

import orjson

from khien.errors import Problem
from khien.events.batch import Event
from khien.events.mapping import JSON_FAMILY
from khien.events.records import RecordBlock
from khien.formats.envelopes import unwrap
from khien.formats.format import BLOCK_RECORDS, MAX_LINE, Format, Report, shortened
from khien.formats.syslog_shapes import syslog_record
from khien.formats.windows_shapes import windows_record
from khien.formats.windows_xml import xml_record
from khien.formats.zeek_shapes import zeek_record

_READ = 1 << 20
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
# What matters to find where an object ends: strings whole, and brackets.
_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|"|[{}\[\]]', re.DOTALL)


def _sniff(head: bytes) -> float:
    text = head.lstrip(b" \t\r\n\x00\xef\xbb\xbf")
    if text[:1] == b"{" and re.match(rb'\{\s*(?:"|\})', text):
        return 0.9
    if text[:1] == b"[" and re.match(rb"\[\s*(?:\{|\])", text):
        return 0.9
    return 0.0


def shaped(record: Event) -> tuple[str, Event]:
    """(family, record) of an object: of a known shape, its plain record; else itself, for any table to claim."""
    flat = windows_record(record)
    if flat is not None:
        return "windows", flat
    raw = record.get("_raw", record.get("Event", record.get("xml")))
    if isinstance(raw, str) and raw.lstrip().startswith("<Event") and (flat := xml_record(raw)) is not None:
        return "windows", flat
    if (zeek := zeek_record(record)) is not None:
        return "zeek", zeek
    return syslog_record(record) or (JSON_FAMILY, record)


class Blocks:
    """Collects records into blocks of one family, in input order."""

    def __init__(self) -> None:
        self.family = JSON_FAMILY
        self.numbers: list[int] = []
        self.records: list[Event] = []

    def add(self, number: int, record: Event) -> RecordBlock | None:
        """Take a record; gives the block that it completes."""
        family, record = shaped(record)
        done = None
        if family != self.family or len(self.records) >= BLOCK_RECORDS:
            done = self.flush()
            self.family = family
        self.numbers.append(number)
        self.records.append(record)
        return done

    def flush(self) -> RecordBlock | None:
        """The block so far."""
        if not self.records:
            return None
        block = RecordBlock(self.family, self.numbers, self.records)
        self.numbers, self.records = [], []
        return block


def loads(data: bytes) -> Any:
    """Parse JSON, forgiving what shippers get wrong: bad UTF-8, raw control characters, NaN, NULs, lone surrogates.

    Raises ValueError where it is no JSON, and for nesting too deep to be a log.
    """
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        text = data.decode("utf-8", "replace").replace("\x00", "")
        try:
            value = json.loads(text, strict=False, parse_constant=str)
            return _whole(value) if _SURROGATE.search(text) else value
        except RecursionError as error:
            raise ValueError("nested too deeply") from error


def _whole(value: Any) -> Any:
    """The value with lone surrogates replaced: half a character, which no text that is stored can hold."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [_whole(each) for each in value]
    if isinstance(value, dict):
        return {_whole(name): _whole(each) for name, each in value.items()}
    return value


def line_records(line: bytes) -> list[Event]:
    """The records of one line: an object, an array of objects, or a wrapper. Raises ValueError."""
    return list(unwrap(loads(line)))


def read(stream: BinaryIO, path: str, report: Report) -> Iterator[RecordBlock]:
    """The objects of a JSON stream, however they are put together.

    Objects in a top-level array are read one by one, so it may be of any size; a wrapper such as
    `{"Records": [` is read whole. Numbers are those of the outermost objects, from 1.
    """
    failures = _Failures()
    yield from _blocks(_Objects(stream, failures).read(), failures)
    failures.report(path, "object", report)


def read_lines(lines: list[tuple[int, bytes]], path: str, report: Report) -> Iterator[RecordBlock]:
    """Blocks of numbered lines with JSON on each; what is none is reported once with its count."""
    failures = _Failures()
    yield from _blocks(lines, failures)
    failures.report(path, "line", report)


def _blocks(numbered: Iterable[tuple[int, bytes]], failures: _Failures) -> Iterator[RecordBlock]:
    blocks = Blocks()
    for number, data in numbered:
        try:
            records = line_records(data)
        except (ValueError, RecursionError) as error:
            failures.add(number, error)
            continue
        for record in records:
            if (done := blocks.add(number, record)) is not None:
                yield done
    if (done := blocks.flush()) is not None:
        yield done


class _Failures:
    """Counts what cannot be read; the first is kept to be shown."""

    def __init__(self) -> None:
        self._count = 0
        self._first = (0, "")

    def add(self, number: int, reason: object) -> None:
        """Count one."""
        if not self._count:
            self._first = number, shortened(reason)
        self._count += 1

    def report(self, path: str, noun: str, report: Report) -> None:
        """Report them all, once."""
        if self._count:
            number, reason = self._first
            report(Problem(path, f"{noun} {number}", f"not valid JSON: {reason}", count=self._count))


class _Objects:
    """Cuts a byte stream into the JSON objects on its top level, in one linear pass."""

    def __init__(self, stream: BinaryIO, failures: _Failures) -> None:
        self.stream = stream
        self.failures = failures

    def read(self) -> Iterator[tuple[int, bytes]]:
        """(number, bytes) of each object."""
        data = b""
        at = 0  # where the scan goes on
        start = -1  # where the object at hand begins
        depth = 0
        shell = 0  # brackets around the objects: an array, or an array inside a wrapper object
        number = 0
        while True:
            more = self.stream.read(_READ)
            keep = start if start >= 0 else at
            data, at, start = data[keep:] + more, at - keep, (0 if start >= 0 else -1)
            limit = len(data)
            stop = at
            for found in _TOKEN.finditer(data, at):
                token = data[found.start()]
                if token == 0x22:  # a string, or the beginning of one that goes on
                    if found.end() - found.start() == 1:
                        if more:
                            stop = found.start()
                            break
                    stop = found.end()
                    continue
                stop = found.end()
                if token in b"{[":
                    if start < 0 and token == 0x5B and not shell:
                        shell = 1
                        continue
                    if start < 0:
                        start, depth = found.start(), 0
                    depth += 1
                elif start >= 0:
                    depth -= 1
                    if depth == 0:
                        number += 1
                        yield number, data[start : found.end()]
                        start = -1
            else:
                stop = limit if start < 0 or stop >= limit else stop
            at = stop
            if not more:
                break
            if len(data) - (start if start >= 0 else at) > MAX_LINE:
                number += 1
                self.failures.add(number, f"larger than {MAX_LINE >> 20} MB")
                data, at, start, depth = self._next_line(), 0, -1, 0
        if start >= 0:
            number += 1
            self.failures.add(number, "the input ends inside an object")

    def _next_line(self) -> bytes:
        """Skip to the next line that may begin an object."""
        while data := self.stream.read(_READ):
            cut = data.find(b"\n{")
            if cut >= 0:
                return data[cut + 1 :]
        return b""


FORMAT = Format("json", "JSON (lines, arrays, concatenated objects)", _sniff, read)
