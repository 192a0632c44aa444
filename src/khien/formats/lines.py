"""Text lines of a stream, and the records on them, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import BinaryIO

from khien.errors import Problem
from khien.events.batch import Event
from khien.events.records import RecordBlock
from khien.formats.format import MAX_LINE, Report

_READ = 256 << 10


def read_lines(stream: BinaryIO, path: str, report: Report) -> Iterator[tuple[int, list[str]]]:
    """(number of the first line, lines) of the stream, some hundred to some thousand at a time.

    Bytes that are no UTF-8 become U+FFFD, NULs and carriage returns at line ends are dropped. A
    line longer than `MAX_LINE` is reported and given as "" so that numbers stay right.
    """
    number = 1
    rest: list[bytes] = []
    held = 0
    skipping = False
    while data := stream.read(_READ):
        cut = data.rfind(b"\n") + 1
        if not cut:
            if not skipping:
                rest.append(data)
                held += len(data)
                if held > MAX_LINE:
                    report(Problem(path, f"line {number}", f"longer than {MAX_LINE >> 20} MB: skipped"))
                    rest, held, skipping = [], 0, True
            continue
        block = data[:cut]
        if skipping:
            block = block[block.find(b"\n") :]
            skipping = False
        else:
            block = b"".join((*rest, block))
        rest, held = [data[cut:]], len(data) - cut
        lines = _texts(block)
        lines.pop()
        yield number, lines
        number += len(lines)
    if held:
        yield number, _texts(b"".join(rest))


def read_records(
    stream: BinaryIO,
    path: str,
    report: Report,
    family: str,
    parse: Callable[[str], Event | None],
    refusal: str,
    about: Callable[[str], None] | None = None,
) -> Iterator[RecordBlock]:
    """The records of a format with one a line, blank lines left out.

    Lines for which `parse` gives None are counted and reported once, as `refusal`. `about`: takes the lines
    that begin with "#" and say something of those after them.
    """
    bad = first = 0
    for start, lines in read_lines(stream, path, report):
        numbers: list[int] = []
        records: list[Event] = []
        texts: list[str] = []
        for number, line in enumerate(lines, start):
            if about is not None and line.startswith("#"):
                about(line)
            elif line.strip():
                record = parse(line)
                if record is None:
                    bad += 1
                    first = first or number
                    continue
                numbers.append(number)
                records.append(record)
                texts.append(line)
        if records:
            yield RecordBlock(family, numbers, records, texts)
    if bad:
        report(Problem(path, f"line {first}", refusal, count=bad))


def _texts(block: bytes) -> list[str]:
    text = block.decode("utf-8", "replace")
    if "\r" in text:
        text = text.replace("\r\n", "\n")
    if "\x00" in text:
        text = text.replace("\x00", "")
    return text.split("\n")


def share(head: bytes, test: Callable[[str], object]) -> float:
    """The share of the first lines (at most 20, the last one left out when cut) that pass a test."""
    lines = head.decode("utf-8", "replace").split("\n")
    if len(lines) > 1:
        lines.pop()
    lines = [line.rstrip("\r") for line in lines[:40] if line.strip() and not line.startswith("#")][:20]
    if not lines:
        return 0.0
    return sum(1 for line in lines if test(line)) / len(lines)
