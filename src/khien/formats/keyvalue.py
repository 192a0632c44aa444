"""Lines of `name=value` pairs, as FortiGate and other security devices write them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import BinaryIO

from khien.events.batch import Event
from khien.events.mapping import JSON_FAMILY
from khien.events.records import RecordBlock
from khien.formats.format import Format, Report
from khien.formats.lines import read_records, share

_PAIR = re.compile(r"(?:^|(?<=[\s,]))([A-Za-z_][A-Za-z0-9_.\-]{0,63})=(\"(?:[^\"\\]|\\.)*\"|[^\s\"]*)")
_STARTS = re.compile(r"(?:<\d{1,3}>)?(?:[A-Za-z_][A-Za-z0-9_.\-]{0,63}=(?:\"[^\"]*\"|[^\s\"=]*)[\s,]+){3}")
_DEVICE = re.compile(r"\b(?:devid|devname)=\S+.{0,200}?\blogid=|\blogid=\S+.{0,400}?\bdev(?:id|name)=", re.DOTALL)


def pairs(text: str) -> Event:
    """The pairs of a text; quotes are taken off, the first of equal names counts."""
    out: Event = {}
    for name, value in _PAIR.findall(text):
        if value[:1] == '"':
            value = value[1:-1].replace('\\"', '"').replace("\\\\", "\\")
        out.setdefault(name, value)
    return out


def device_pairs(message: str) -> Event | None:
    """The pairs of a message of a known device; None for any other."""
    return pairs(message) if _DEVICE.search(message[:1024]) else None


def parse(line: str) -> Event | None:
    """The fields of a line; None where it has no three pairs at its beginning."""
    if not _STARTS.match(line):
        return None
    record = pairs(line)
    if "date" in record and "time" in record and "timestamp" not in record:
        record["timestamp"] = f"{record['date']} {record['time']}{_zone(record)}"
    return record


def _zone(record: Event) -> str:
    zone = str(record.get("tz", ""))
    return zone if re.fullmatch(r"[+-]\d\d:?\d\d", zone) else ""


def read(stream: BinaryIO, path: str, report: Report) -> Iterator[RecordBlock]:
    """The events of a file of such lines."""
    return read_records(stream, path, report, JSON_FAMILY, parse, "not a line of name=value pairs")


FORMAT = Format("keyvalue", "lines of name=value pairs", lambda head: 0.6 * share(head, _STARTS.match), read)
