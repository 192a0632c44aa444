"""Logs of applications and devices that are just lines: their rules look for keywords."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import BinaryIO

from khien.events.batch import Event
from khien.events.records import RecordBlock
from khien.formats.format import Format, Report
from khien.formats.lines import read_records, share

DEVICE = re.compile(
    r"%(?:(?P<cisco>[A-Z0-9_]{2,40})-(?:[A-Z0-9_]{1,40}-)?(?P<level>[0-7])-(?P<name>[A-Za-z0-9_]{2,60}): ?"
    r"|%\d{2}(?P<huawei>[A-Z0-9_]{2,40})/(?P<severity>[0-7])/(?P<brief>[A-Za-z0-9_]{2,60})\()"
)
"""The mark of messages of Cisco (`%SYS-5-CONFIG_I:`) and Huawei (`%%01BGP/3/BGP_AUTH_FAILED(l)`) devices."""
_TIMED = re.compile(
    r"\W{0,2}(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d|\d{4}[-/]\d\d[-/]\d\d[T ]\d\d:\d\d|\d\d[-/.]\d\d[-/.]\d{2,4} \d\d:\d\d|[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d"
    r"|(?:TRACE|DEBUG|INFO|WARN|WARNING|ERROR|FATAL|CRITICAL)\b)"
)
_APACHE = re.compile(
    r"\[[^\]]{10,40}\] \[[^\]]{1,64}\] (?:\[pid [^\]]{1,40}\] )?"
    r".{0,200}?(?:\[client (?P<ip>[^\]\s]{2,64}?)(?::\d{1,5})?\]|AH\d{5}:)"
)
_NGINX = re.compile(r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d \[[a-z]{3,8}\] \d{1,10}#\d{1,10}: ")
_TIME = re.compile(
    r"\d{4}[-/]\d\d[-/]\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?"
    r"|[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d(?:\.\d{1,6})?(?: \d{4}\b)?"
)


def parse(line: str) -> Event:
    """The line as `message`, its time, and for network devices facility, severity and mnemonic."""
    record: Event = {"message": line}
    if found := _TIME.search(line[:160]):
        record["time"] = found[0]
    if found := DEVICE.search(line):
        record.update(device(found))
        host = line.split(" ", 1)[0]
        if "%" not in host:
            record["hostname"] = host.rstrip(":")
    elif line[:1] == "[" and (found := _APACHE.match(line)):
        record.update({"device": "apache", **({"c-ip": found["ip"]} if found["ip"] else {})})
    elif _NGINX.match(line):
        record["device"] = "nginx"
    return record


def device(found: re.Match[str]) -> Event:
    """Whose message it is, and its facility, severity and mnemonic."""
    if found["cisco"]:
        named = {"device": "cisco", "facility": found["cisco"], "mnemonic": found["name"]}
    else:
        named = {"device": "huawei", "facility": found["huawei"], "mnemonic": found["brief"]}
    return {**named, "severity": int(found["level"] or found["severity"])}


def read(stream: BinaryIO, path: str, report: Report) -> Iterator[RecordBlock]:
    """An event a line."""
    return read_records(stream, path, report, "text", parse, "not a line of text")


def _sniff(head: bytes) -> float:
    if b"\x00" in head[:4096]:
        return 0.0
    return 0.3 * share(head, lambda line: _TIMED.match(line) or DEVICE.search(line))


FORMAT = Format("text", "application and device logs, a line an event", _sniff, read)
