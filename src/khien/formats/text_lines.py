"""Logs of applications and devices that are just lines: their rules look for keywords."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import BinaryIO

from khien.events.batch import Event
from khien.events.records import RecordBlock
from khien.formats.format import Format, Report
from khien.formats.lines import read_lines, share

_CISCO = re.compile(r"%([A-Z0-9_]{2,40})-(?:[A-Z0-9_]{1,40}-)?([0-7])-([A-Z0-9_]{2,60}): ?(.*)", re.DOTALL)
_TIMED = re.compile(
    r"\W{0,2}(?:\d{4}[-/]\d\d[-/]\d\d[T ]\d\d:\d\d|\d\d[-/.]\d\d[-/.]\d{2,4} \d\d:\d\d|[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d"
    r"|(?:TRACE|DEBUG|INFO|WARN|WARNING|ERROR|FATAL|CRITICAL)\b)"
)
_TIME = re.compile(
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?|[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d"
)


def parse(line: str) -> Event:
    """The line as `message`, its time, and for Cisco devices facility, severity and mnemonic."""
    record: Event = {"message": line}
    if found := _TIME.search(line[:160]):
        record["time"] = found[0]
    if found := _CISCO.search(line):
        record.update(device="cisco", facility=found[1], severity=int(found[2]), mnemonic=found[3])
        host = line.split(" ", 1)[0]
        if "%" not in host:
            record["hostname"] = host.rstrip(":")
    return record


def read(stream: BinaryIO, path: str, report: Report) -> Iterator[RecordBlock]:
    """An event a line."""
    for start, lines in read_lines(stream, path, report):
        kept = [(number, line) for number, line in enumerate(lines, start) if line.strip()]
        if kept:
            yield RecordBlock("text", [n for n, _ in kept], [parse(line) for _, line in kept], [t for _, t in kept])


def _sniff(head: bytes) -> float:
    if b"\x00" in head[:4096]:
        return 0.0
    return 0.3 * share(head, lambda line: _TIMED.match(line) or _CISCO.search(line))


FORMAT = Format("text", "application and device logs, a line an event", _sniff, read)
