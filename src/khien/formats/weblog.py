"""Web access logs: common, combined, and W3C extended (IIS)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import BinaryIO

from khien.errors import Problem
from khien.events.batch import Event
from khien.events.records import RecordBlock
from khien.formats.format import Format, Report
from khien.formats.lines import read_lines, share

_COMBINED = re.compile(
    r"(?:(?P<vhost>[A-Za-z0-9_.\-]{1,255}(?::\d{1,5})?) )?(?P<ip>[0-9A-Fa-f.:]{2,45}|[A-Za-z0-9_.\-]{1,255}) (?P<ident>\S+) "
    r"(?P<user>\"[^\"]{0,255}\"|[^\[\s]{1,255}) \[(?P<time>[^\]]{10,40})\] "
    r"\"(?P<request>(?:[^\"\\]|\\.)*)\" (?P<status>\d{3}|-) (?P<bytes>\d+|-)"
    r"(?: \"(?P<referer>(?:[^\"\\]|\\.)*)\" \"(?P<agent>(?:[^\"\\]|\\.)*)\")?(?P<rest>.*)",
    re.DOTALL,
)
_REQUEST = re.compile(r"([A-Za-z_\-]{1,32}) (.*?)(?: (HTTP/\d(?:\.\d)?))?\Z", re.DOTALL)


def parse(line: str) -> Event | None:
    """The fields of a common or combined log line by their W3C names; None where it is none."""
    found = _COMBINED.match(line)
    if not found:
        return None
    request = found["request"]
    record: Event = {"c-ip": found["ip"], "time": found["time"], "request": request}
    parts = _REQUEST.match(request)
    if parts:
        target = parts[2]
        record["cs-method"] = parts[1]
        _target(target, record)
        if parts[3]:
            record["cs-version"] = parts[3]
    for name, key in (("cs-username", "user"), ("sc-status", "status"), ("sc-bytes", "bytes")):
        if found[key] and found[key] != "-":
            record[name] = int(found[key]) if key != "user" and len(found[key]) < 16 else found[key].strip('"')
    for name, key in (("cs-referer", "referer"), ("cs-user-agent", "agent")):
        if found[key] is not None:
            record[name] = found[key]
    if found["vhost"]:
        record["cs-host"] = found["vhost"]
    return record


def _target(target: str, record: Event) -> None:
    stem, question, query = target.partition("?")
    record["cs-uri"] = record["c-uri"] = target
    record["cs-uri-stem"] = record["c-uri-stem"] = stem
    if question:
        record["cs-uri-query"] = record["c-uri-query"] = query


def read(stream: BinaryIO, path: str, report: Report) -> Iterator[RecordBlock]:
    """The requests of an access log; W3C files name their fields in `#Fields:` lines."""
    bad = first = 0
    fields: list[str] = []
    for start, lines in read_lines(stream, path, report):
        numbers, records, texts = [], [], []
        for number, line in enumerate(lines, start):
            if line.startswith("#"):
                if line.startswith("#Fields:"):
                    fields = line[8:].split()
                continue
            if not line.strip():
                continue
            record = _w3c(line, fields) if fields else parse(line)
            if record is None:
                bad += 1
                first = first or number
                continue
            numbers.append(number)
            records.append(record)
            texts.append(line)
        if records:
            yield RecordBlock("weblog", numbers, records, texts)
    if bad:
        report(Problem(path, f"line {first}", "not an access log line", count=bad))


def _w3c(line: str, fields: list[str]) -> Event | None:
    values = line.split()
    if len(values) != len(fields):
        return None
    record: Event = {}
    for field, value in zip(fields, values, strict=True):
        if value == "-":
            continue
        name = field.lower().replace("cs(", "cs-").replace("sc(", "sc-").rstrip(")")
        record[name] = value.replace("+", " ") if name == "cs-user-agent" else value
    if "date" in record and "time" in record:
        record["time"] = f"{record['date']} {record['time']}"
    stem = record.get("cs-uri-stem")
    if stem is not None:
        query = record.get("cs-uri-query")
        _target(f"{stem}?{query}" if query else stem, record)
    record["w3c"] = "iis"
    return record


def _sniff(head: bytes) -> float:
    if head.startswith(b"#") and b"#Fields:" in head[:4096] and b"cs-" in head[:4096]:
        return 0.97
    return 0.85 * share(head, _COMBINED.match)


FORMAT = Format("weblog", "web access log (common, combined, W3C)", _sniff, read)
