"""Findings as CSV (RFC 4180, UTF-8)."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from typing import BinaryIO

import msgspec

from khien.findings.finding import Finding, shown
from khien.findings.summary import HuntSummary

COLUMNS = (
    *("time", "level", "title", "rule_id", "host", "user", "path", "record", "tags", "matched", "event"),
    *("status", "logsource", "events"),
)
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What a spreadsheet takes for the beginning of a formula, the full-width forms included."""


def safe(text: str) -> str:
    """Text that a spreadsheet does not take for a formula: one that begins like it gets an apostrophe before it."""
    return f"'{text}" if text.lstrip(" ").startswith(_FORMULA) else text


def csv_line(cells: Iterable[object]) -> bytes:
    """A row of RFC 4180."""
    text = io.StringIO(newline="")
    csv.writer(text).writerow(cells)
    return text.getvalue().encode("utf-8", "replace")


class CsvWriter:
    """A row a finding, with a header."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._decode = msgspec.json.Decoder(Finding).decode
        self._stream.write(csv_line(COLUMNS))

    def write_line(self, line: bytes) -> None:
        """Write a finding given as NDJSON."""
        finding = self._decode(line)
        cells = (
            finding.time,
            finding.level,
            finding.title,
            finding.rule_id,
            finding.host,
            finding.user,
            finding.path,
            str(finding.record),
            " ".join(finding.tags),
            "; ".join(f"{each.field or 'keyword'}={shown(each.value)}" for each in finding.matched),
            shown(finding.event),
            finding.status,
            str(finding.logsource),
            shown(finding.events) if finding.events else "",
        )
        self._stream.write(csv_line(map(safe, cells)))

    def close(self, summary: HuntSummary) -> None:
        """Nothing is left to write."""
