"""Windows events as XML text: exported files, and single events inside syslog, Splunk or Sentinel."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, BinaryIO

from khien.errors import Problem
from khien.events.batch import Event, Value
from khien.events.records import RecordBlock
from khien.formats.format import BLOCK_RECORDS, MAX_LINE, Format, Report
from khien.formats.windows_shapes import nested_record
from khien.formats.xml_text import unescape, xml_data

_READ = 1 << 20
_OPEN = re.compile(rb"<Event(?=[\s>])")
_START = {name: re.compile(rf"<{name}(?:\s[^<>]{{0,400}})?>") for name in ("System", "UserData")}
_ELEMENT = re.compile(r"<([A-Za-z_][\w.\-]{0,120})((?:\s[^<>]{0,2000}?)?)(?:/>|>([^<]*)</\1\s*>)")
_ATTRIBUTE = re.compile(r"([A-Za-z_][\w.:\-]{0,120})\s*=\s*(?:\"([^\"]*)\"|'([^']*)')")


def xml_event(text: str) -> dict[str, Any] | None:
    """An event's XML as the nested objects that other readers give (`System`, `EventData`, `UserData`)."""
    inside = _inside(text, "System")
    if inside is None:
        return None
    system: dict[str, Any] = {}
    for name, attributes, content in _ELEMENT.findall(inside[0]):
        system[name] = {"#attributes": {key: unescape(one or two) for key, one, two in _ATTRIBUTE.findall(attributes)}}
        if content:
            system[name]["#text"] = unescape(content)
    event: dict[str, Any] = {"System": system}
    rest = text[inside[1] :]
    data: dict[str, Value] = dict(xml_data(rest))
    if data:
        event["EventData"] = data
    if inner := _inside(rest, "UserData"):
        event["UserData"] = {
            "UserData": {name: unescape(content) for name, _, content in _ELEMENT.findall(inner[0]) if name != "Data"}
        }
    return event


def _inside(text: str, name: str) -> tuple[str, int] | None:
    """What stands in the first element of a name, and where it ends."""
    opened = _START[name].search(text)
    end = text.find(f"</{name}>", opened.end()) if opened else -1
    return (text[opened.end() : end], end) if opened and end >= 0 else None


def xml_record(text: str) -> Event | None:
    """The flat record of an event's XML; None where it is none."""
    event = xml_event(text)
    return None if event is None else nested_record(event)


def read(stream: BinaryIO, path: str, report: Report) -> Iterator[RecordBlock]:
    """The events of an XML export, one after another; what surrounds them does not matter."""
    data = b""
    number = bad = first = 0
    numbers: list[int] = []
    records: list[Event] = []
    ended = False
    while not ended:
        more = stream.read(_READ)
        ended = not more
        data += more
        at = 0
        while opened := _OPEN.search(data, at):
            close = data.find(b"</Event>", opened.end())
            if close < 0:
                at = opened.start()
                break
            number += 1
            record = xml_record(data[opened.start() : close].decode("utf-8", "replace").replace("\x00", ""))
            at = close + 8
            if record is None:
                bad, first = bad + 1, first or number
                continue
            numbers.append(number)
            records.append(record)
            if len(records) >= BLOCK_RECORDS:
                yield RecordBlock("windows", numbers, records)
                numbers, records = [], []
        else:
            at = max(at, len(data) - 8)
        data = data[at:]
        if len(data) > MAX_LINE:
            number += 1
            report(Problem(path, f"event {number}", f"larger than {MAX_LINE >> 20} MB: skipped"))
            data = data[6:] if _OPEN.search(data, 6) else b""
    if records:
        yield RecordBlock("windows", numbers, records)
    if _OPEN.search(data):
        report(Problem(path, f"event {number + 1}", "the input ends inside an event", "It was cut off; copy it again"))
    if bad:
        report(Problem(path, f"event {first}", "is an event without System", count=bad))


def _sniff(head: bytes) -> float:
    text = head.lstrip(b" \t\r\n\xef\xbb\xbf")
    return 0.95 if text[:1] == b"<" and _OPEN.search(head) and b"<System>" in head else 0.0


FORMAT = Format("winxml", "Windows events exported as XML", _sniff, read)
