"""CEF and LEEF lines, bare or after a syslog header."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import BinaryIO

from khien.events.batch import Event
from khien.events.records import RecordBlock
from khien.formats.format import Format, Report
from khien.formats.lines import read_records, share

_KEY = re.compile(r"(?:^|(?<=\s))([A-Za-z0-9_.\-\[\]]{1,128})=")
_HEADER = re.compile(r"(?:CEF|LEEF):\s?\d(?:\.\d)?\|")
_CEF_NAMES = ("DeviceVendor", "DeviceProduct", "DeviceVersion", "DeviceEventClassID", "Name", "Severity")
_LEEF_NAMES = ("DeviceVendor", "DeviceProduct", "DeviceVersion", "DeviceEventClassID")
_PART = re.compile(r"([^\\|]*(?:\\.[^\\|]*)*)\|", re.DOTALL)
_UNESCAPE = re.compile(r"\\([\\=|nr])")


def parse(line: str) -> Event | None:
    """The fields of a CEF or LEEF line; None where it is none.

    Extension fields keep their keys; a labelled custom field (`cs1` with `cs1Label`) stands under
    its label too.
    """
    found = _HEADER.search(line)
    if not found:
        return None
    leef = found[0][0] == "L"
    names = _LEEF_NAMES if leef else _CEF_NAMES
    parts, rest = _split_header(line[found.end() :], len(names))
    if len(parts) < len(names):
        return None
    out: Event = dict(zip(names, parts, strict=False))
    before = line[: found.start()].strip()
    if before:
        out["syslog_header"] = before
    if leef:
        _leef_fields(rest, found[0], out)
    else:
        _extension(rest, out)
    for key in [key for key in out if key.endswith("Label")]:
        base = key[: -len("Label")]
        if base in out and isinstance(out[key], str):
            out.setdefault(out[key], out[base])
    return out


def _split_header(text: str, count: int) -> tuple[list[str], str]:
    parts: list[str] = []
    at = 0
    while len(parts) < count:
        found = _PART.match(text, at)
        if not found:
            parts.append(_plain(text[at:]))
            return parts, ""
        parts.append(_plain(found[1]))
        at = found.end()
    return parts, text[at:]


def _extension(text: str, out: Event) -> None:
    keys = list(_KEY.finditer(text))
    for at, found in enumerate(keys):
        end = keys[at + 1].start() if at + 1 < len(keys) else len(text)
        out.setdefault(found[1], _plain(text[found.end() : end].strip()))


def _leef_fields(text: str, header: str, out: Event) -> None:
    delimiter = "\t"
    if "2" in header:
        given, bar, rest = text.partition("|")
        if bar and len(given) <= 6:
            text = rest
            if given.lower().startswith(("0x", "x")):
                try:
                    delimiter = chr(int(given.lower().lstrip("0").lstrip("x"), 16)) or "\t"
                except ValueError:
                    delimiter = "\t"
            elif given:
                delimiter = given
    for pair in text.split(delimiter):
        key, equals, value = pair.partition("=")
        if equals and key.strip():
            out.setdefault(key.strip(), value.strip())


def _plain(text: str) -> str:
    if "\\" not in text:
        return text
    return _UNESCAPE.sub(lambda found: {"n": "\n", "r": "\r"}.get(found[1], found[1]), text)


def read(stream: BinaryIO, path: str, report: Report) -> Iterator[RecordBlock]:
    """The events of a file of CEF or LEEF lines."""
    return read_records(stream, path, report, "cef", parse, "not a CEF or LEEF line")


FORMAT = Format("cef", "CEF and LEEF", lambda head: 0.95 * share(head, _HEADER.search), read)
