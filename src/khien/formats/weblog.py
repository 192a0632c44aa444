"""Web access logs: common, combined, W3C extended (IIS, proxies), and Squid."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import BinaryIO

from khien.events.batch import Event
from khien.events.records import RecordBlock
from khien.formats.format import Format, Report
from khien.formats.lines import read_records, share

_COMBINED = re.compile(
    r"(?:(?P<vhost>[A-Za-z0-9_.\-]{1,255}(?::\d{1,5})?) )?(?P<ip>[0-9A-Fa-f.:]{2,45}|[A-Za-z0-9_.\-]{1,255}) (?P<ident>\S+) "
    r"(?P<user>\"[^\"]{0,255}\"|[^\[\s]{1,255}) \[(?P<time>[^\]]{10,40})\] "
    r"\"(?P<request>(?:[^\"\\]|\\.)*)\" (?P<status>\d{3}|-) (?P<bytes>\d+|-)"
    r"(?: \"(?P<referer>(?:[^\"\\]|\\.)*)\" \"(?P<agent>(?:[^\"\\]|\\.)*)\")?(?P<rest>.*)",
    re.DOTALL,
)
_SQUID = re.compile(
    r"(?P<time>\d{9,10}\.\d{3}) +(?P<elapsed>-?\d+) (?P<ip>\S{2,64}) (?P<result>[A-Z_]{3,64})/(?P<status>\d{3}) (?P<bytes>\d+) "
    r"(?P<method>[A-Z_\-]{1,32}) (?P<url>\S+) (?P<user>\S+) (?P<hierarchy>[A-Z_]+)/(?P<peer>\S+) (?P<type>\S+)"
)
_CELL = re.compile(r"\"((?:[^\"\\]|\\.|\"\")*)\"(?=\s|\Z)|(\S+)")
_NAMES = {"cs-uri-path": "cs-uri-stem", "cs-referrer": "cs-referer"}
_REQUEST = re.compile(r"([A-Za-z_\-]{1,32}) (.*?)(?: (HTTP/\d(?:\.\d)?))?\Z", re.DOTALL)


def parse(line: str) -> Event | None:
    """The fields of a common, combined or Squid log line by their W3C names; None where it is none."""
    found = _COMBINED.match(line)
    if not found:
        return _squid(line)
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


def _squid(line: str) -> Event | None:
    found = _SQUID.match(line)
    if not found:
        return None
    record: Event = {"time": found["time"], "c-ip": found["ip"], "cs-method": found["method"]}
    record.update({"sc-status": int(found["status"]), "sc-bytes": found["bytes"], "s-action": found["result"]})
    if found["user"] != "-":
        record["cs-username"] = found["user"]
    if found["method"] == "CONNECT":
        record["cs-host"] = found["url"].rsplit(":", 1)[0]
    _target(found["url"], record)
    if found["peer"] != "-":
        record["dst_ip"] = found["peer"]
    return record


def _target(target: str, record: Event) -> None:
    """Take a request's target apart.

    Rules look for paths in `cs-uri-query` as often as for parameters, so it is read from
    `uri-forms`, which has the whole target and the query.
    """
    stem, question, query = target.partition("?")
    if "://" in stem[:16]:
        host = stem.split("://", 1)[1].split("/", 1)[0].rpartition("@")[2]
        record.setdefault("cs-host", host.rsplit(":", 1)[0] if host.rpartition(":")[2].isdigit() else host)
        path = stem.split("://", 1)[1].partition("/")
        stem = path[1] + path[2] or "/"
    record["cs-uri"] = record["c-uri"] = target
    record["cs-uri-stem"] = record["c-uri-stem"] = stem
    record["uri-forms"] = [target, query] if question else target
    if question:
        record["cs-uri-query"] = record["c-uri-query"] = query
    _, dot, extension = stem.rpartition("/")[2].rpartition(".")
    if dot and extension.isalnum() and len(extension) <= 16:
        record["c-uri-extension"] = extension


def read(stream: BinaryIO, path: str, report: Report) -> Iterator[RecordBlock]:
    """The requests of an access log; W3C files name their fields in `#Fields:` lines."""
    fields: list[str] = []

    def name(line: str) -> None:
        if line.startswith("#Fields:"):
            fields[:] = line[8:].split()

    def request(line: str) -> Event | None:
        return _w3c(line, fields) if fields else parse(line)

    return read_records(stream, path, report, "weblog", request, "not an access log line", about=name)


def _w3c(line: str, fields: list[str]) -> Event | None:
    values = line.split()
    if '"' in line:
        values = [one.replace('""', '"') or two for one, two in _CELL.findall(line)]
    if len(values) != len(fields):
        return None
    record: Event = {}
    for field, value in zip(fields, values, strict=True):
        if value == "-":
            continue
        name = field.lower().replace("cs(", "cs-").replace("sc(", "sc-").rstrip(")")
        name = _NAMES.get(name, name)
        record[name] = value.replace("+", " ") if name == "cs-user-agent" else value
    if "date" in record and "time" in record:
        record["time"] = f"{record['date']} {record['time']}"
    stem = record.get("cs-uri-stem")
    if stem is not None:
        query = str(record.get("cs-uri-query", "")).removeprefix("?")
        _target(f"{stem}?{query}" if query else stem, record)
    elif "c-uri" in record or "cs-uri" in record:
        _target(str(record.get("cs-uri", record.get("c-uri"))), record)
    if "s-sitename" in record or "s-ip" in record:
        record["w3c"] = "iis"
    return record


def _sniff(head: bytes) -> float:
    if head.startswith(b"#") and b"#Fields:" in head[:4096] and b"cs-" in head[:4096]:
        return 0.97
    return 0.85 * share(head, lambda line: _COMBINED.match(line) or _SQUID.match(line))


FORMAT = Format("weblog", "web access log (common, combined, W3C)", _sniff, read)
