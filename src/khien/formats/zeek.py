"""Zeek logs with tab-separated values and their `#` headers. (Zeek's JSON is read as JSON.)"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import BinaryIO

from khien.events.batch import Event, Value
from khien.events.records import RecordBlock
from khien.formats.format import Format, Report
from khien.formats.lines import read_records

_HEX = re.compile(r"\\x([0-9A-Fa-f]{2})")
_NUMBERS = {"count": int, "int": int, "port": int, "double": float, "time": float, "interval": float}


class _Header:
    """What the `#` lines say of those after them."""

    def __init__(self) -> None:
        self.separator = "\t"
        self.set_separator = ","
        self.empty = "(empty)"
        self.unset = "-"
        self.path = ""
        self.fields: list[str] = []
        self.types: list[str] = []

    def take(self, line: str) -> None:
        name, _, value = line.partition(" " if line.startswith("#separator") else self.separator)
        if name == "#separator":
            self.separator = _HEX.sub(lambda found: chr(int(found[1], 16)), value) or "\t"
        elif name == "#set_separator":
            self.set_separator = value or ","
        elif name == "#empty_field":
            self.empty = value
        elif name == "#unset_field":
            self.unset = value
        elif name == "#path":
            self.path = value.strip()
        elif name == "#fields":
            self.fields = value.split(self.separator)
        elif name == "#types":
            self.types = value.split(self.separator)

    def record(self, line: str) -> Event | None:
        values = line.split(self.separator)
        if not self.fields or len(values) != len(self.fields):
            return None
        out: Event = {"_path": self.path}
        for at, (name, value) in enumerate(zip(self.fields, values, strict=True)):
            if value != self.unset:
                out[name] = self._value(value, self.types[at] if at < len(self.types) else "string")
        return out

    def _value(self, value: str, kind: str) -> Value:
        if kind.startswith(("set[", "vector[")):
            return [] if value == self.empty else value.split(self.set_separator)
        if value == self.empty:
            return ""
        if kind == "bool":
            return value == "T"
        convert = _NUMBERS.get(kind)
        if convert is None:
            return value
        try:
            return convert(value)
        except ValueError:
            return value


def read(stream: BinaryIO, path: str, report: Report) -> Iterator[RecordBlock]:
    """The entries of a Zeek log; several logs one after another may stand in one file."""
    header = _Header()
    refusal = "does not have the fields that the header names"
    return read_records(stream, path, report, "zeek", header.record, refusal, about=header.take)


FORMAT = Format("zeek", "Zeek (TSV)", lambda head: 1.0 if head.startswith(b"#separator") else 0.0, read)
