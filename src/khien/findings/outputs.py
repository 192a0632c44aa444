"""The forms findings can be written in, by name."""

from __future__ import annotations

from typing import BinaryIO, Protocol
from zoneinfo import ZoneInfo

from khien.findings.csv_rows import CsvWriter
from khien.findings.html import HtmlWriter
from khien.findings.navigator import NavigatorWriter
from khien.findings.ocsf import OcsfWriter
from khien.findings.summary import HuntSummary
from khien.findings.table import TableWriter
from khien.rules.model import RuleSet

NAMES = ("table", "ndjson", "csv", "html", "ocsf", "navigator")


class Writer(Protocol):
    """Takes findings as lines of NDJSON, and at the end the hunt's summary."""

    def write_line(self, line: bytes) -> None:
        """One finding, with its newline."""

    def close(self, summary: HuntSummary) -> None:
        """Write what only the end can tell. The stream stays open."""


class NdjsonWriter:
    """The lines as they are."""

    def __init__(self, stream: BinaryIO) -> None:
        self._write = stream.write

    def write_line(self, line: bytes) -> None:
        """Write a finding given as NDJSON."""
        self._write(line)

    def close(self, summary: HuntSummary) -> None:
        """Nothing is left to write."""


def writer(name: str, stream: BinaryIO, zone: ZoneInfo, rules: RuleSet) -> Writer:
    """The writer of a form in `NAMES`."""
    if name == "table":
        return TableWriter(stream, zone)
    if name == "csv":
        return CsvWriter(stream)
    if name == "html":
        return HtmlWriter(stream, zone, rules)
    if name == "ocsf":
        return OcsfWriter(stream)
    if name == "navigator":
        return NavigatorWriter(stream)
    return NdjsonWriter(stream)
