"""Findings as tables for the terminal: by level and rule, and the closing summary."""

from __future__ import annotations

import io
import os
import sys
from datetime import datetime
from typing import BinaryIO
from zoneinfo import ZoneInfo

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from khien.findings.attack import techniques
from khien.findings.finding import Finding
from khien.findings.summary import HuntSummary, RuleTally, Tallies

_STYLES = {
    "critical": "bold white on dark_red",
    "high": "bold red",
    "medium": "yellow",
    "low": "blue",
    "informational": "dim",
}
_MARKS = {"critical": "!!", "high": "! ", "medium": "* ", "low": "- ", "informational": "  "}
_MOST_PROBLEMS = 20


def local(time: str, zone: ZoneInfo) -> str:
    """A finding's time in a zone, to the second; "" stays so."""
    return f"{datetime.fromisoformat(time).astimezone(zone):%Y-%m-%d %H:%M:%S}" if time else ""


def bytes_text(size: int) -> str:
    """A size for people."""
    value = float(size)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000 or unit == "GB":
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return ""


def print_summary(console: Console, summary: HuntSummary) -> None:
    """The closing lines: what was read, what was found, what could not be read."""
    console.print(
        f"{summary.files:,} files, {bytes_text(summary.size)}, {summary.events:,} events in "
        f"{summary.seconds:.1f} s ({summary.rate:,.0f} events/s) with {summary.rules:,} rules"
        + (f" and {summary.correlations:,} correlations" if summary.correlations else "")
        + f": {summary.findings:,} findings",
        markup=False,
    )
    if summary.unusable:
        console.print(f"{summary.unusable:,} rules cannot be used; see: khien rules check", markup=False)
    if summary.problems:
        console.print(f"{len(summary.problems):,} inputs or parts of them could not be read:", markup=False)
        for problem in summary.problems[:_MOST_PROBLEMS]:
            console.print(f"  {printable(str(problem))}", markup=False, soft_wrap=True)
        if len(summary.problems) > _MOST_PROBLEMS:
            console.print(f"  … and {len(summary.problems) - _MOST_PROBLEMS:,} more", markup=False)


def printable(text: str) -> str:
    """Text without control characters that a terminal would act on."""
    return "".join(char if char.isprintable() else "\ufffd" for char in text)


class TableWriter:
    """Counts findings by rule, and prints them when the hunt is over."""

    def __init__(self, stream: BinaryIO, zone: ZoneInfo) -> None:
        self._stream = stream
        self._zone = zone
        self._tallies = Tallies()
        self._decode = msgspec.json.Decoder(Finding).decode

    def write_line(self, line: bytes) -> None:
        """Count a finding given as NDJSON."""
        self._tallies.add(self._decode(line))

    def close(self, summary: HuntSummary) -> None:
        """Print the tables."""
        terminal = self._stream is sys.stdout.buffer and sys.stdout.isatty()
        text = io.StringIO()
        width = None if terminal else int(os.environ.get("COLUMNS", "120"))
        console = Console(file=text, force_terminal=terminal, width=width, highlight=False)
        if terminal:
            console.width = Console().width
        self._print(console, summary)
        self._stream.write(text.getvalue().encode("utf-8", "replace"))
        self._stream.flush()

    def _print(self, console: Console, summary: HuntSummary) -> None:
        wide = console.width >= 130
        tallies = self._tallies.ordered()
        if tallies:
            table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 1))
            table.add_column("level", no_wrap=True)
            table.add_column("rule", ratio=3, overflow="fold")
            if wide:
                table.add_column("ATT&CK", ratio=1)
            table.add_column("count", justify="right", no_wrap=True)
            table.add_column("hosts", ratio=1, overflow="ellipsis", no_wrap=not wide)
            table.add_column("first", no_wrap=True)
            if wide:
                table.add_column("last", no_wrap=True)
            for tally in tallies:
                table.add_row(*self._row(tally, wide))
            console.print(table)
            console.print()
            levels = [f"{count:,} {level}" for level, count in self._tallies.by_level().items() if count]
            console.print(", ".join(levels), markup=False)
        print_summary(console, summary)

    def _row(self, tally: RuleTally, wide: bool) -> list[Text | str]:
        hosts = [printable(host) for host, _ in tally.hosts.most_common(3)]
        rest = len(tally.hosts) - len(hosts)
        shown = ", ".join(hosts[: 3 if wide else 1])
        more = rest + (0 if wide else max(len(hosts) - 1, 0))
        if more or tally.more_hosts:
            shown += f" +{more}{' or more' if tally.more_hosts else ''}"
        level = Text(f"{_MARKS[tally.level]}{tally.level}", _STYLES[tally.level])
        first, last = local(tally.first, self._zone), local(tally.last, self._zone)
        row: list[Text | str] = [level, Text(tally.title)]
        if wide:
            row.append(Text(" ".join(techniques(tally.tags)[:4])))
        row += [f"{tally.count:,}", Text(shown), first if wide else first[5:16]]
        if wide:
            row.append(last)
        return row
