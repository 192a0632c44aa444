"""Findings as tables for the terminal: by level and rule, and the closing summary."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Mapping
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
_WITH_HOSTS = 100
_WIDE = 140


def local(time: str, zone: ZoneInfo) -> str:
    """A finding's time in a zone, to the second; "" stays so."""
    return f"{datetime.fromisoformat(time).astimezone(zone):%Y-%m-%d %H:%M:%S}" if time else ""


def bytes_text(size: int) -> str:
    """A size for people, in decimal units."""
    value = float(size)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000 or unit == "GB":
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return ""


def counted(number: int, noun: str) -> str:
    """A number with its noun: 1 file, 2 files."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def duration_text(seconds: float) -> str:
    """A duration for people: 0.5 s, 42 s, 3 min 20 s, 1 h 05 min."""
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def print_summary(console: Console, summary: HuntSummary, levels: Mapping[str, int] | None = None) -> None:
    """The closing lines: what was found, what was searched and with what, what could not be read."""
    found = counted(summary.findings, "finding")
    named = ", ".join(f"{count:,} {level}" for level, count in (levels or {}).items() if count)
    _line(console, "found", f"{found}: {named}" if named else found)
    _line(
        console,
        "searched",
        f"{counted(summary.files, 'file')}, {bytes_text(summary.size)}, {counted(summary.events, 'event')} in "
        f"{duration_text(summary.seconds)} ({summary.rate:,.0f} events/s)",
    )
    rules = counted(summary.rules, "rule")
    if summary.correlations:
        rules += f" and {counted(summary.correlations, 'correlation')}"
    if summary.unusable:
        rules += f"; {summary.unusable:,} cannot be used (khien rules check says why)"
    _line(console, "rules", rules)
    if summary.problems:
        _line(
            console,
            "unread",
            f"{counted(len(summary.problems), 'part')} of the input could not be read:",
            "bold yellow",
        )
        for problem in summary.problems[:_MOST_PROBLEMS]:
            console.print(f"  {printable(str(problem))}", markup=False, soft_wrap=True)
        if len(summary.problems) > _MOST_PROBLEMS:
            console.print(f"  … and {len(summary.problems) - _MOST_PROBLEMS:,} more", markup=False)


def _line(console: Console, word: str, text: str, style: str = "bold") -> None:
    console.print(Text.assemble((f"{word:<9}", style), text), soft_wrap=True)


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
        tallies = self._tallies.ordered()
        if tallies:
            table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 1), expand=True)
            table.add_column("level", no_wrap=True)
            table.add_column("rule", ratio=3, overflow="fold")
            if console.width >= _WIDE:
                table.add_column("ATT&CK", ratio=1, no_wrap=True, overflow="ellipsis")
            table.add_column("count", justify="right", no_wrap=True)
            if console.width >= _WITH_HOSTS:
                table.add_column("hosts", ratio=2, overflow="ellipsis", no_wrap=True)
            else:
                table.add_column("hosts", justify="right", no_wrap=True)
            table.add_column(f"first ({_offset(tallies, self._zone)})", no_wrap=True)
            if console.width >= _WIDE:
                table.add_column("last", no_wrap=True)
            for tally in tallies:
                table.add_row(*self._row(tally, console.width))
            console.print(table)
            console.print()
        print_summary(console, summary, self._tallies.by_level())

    def _row(self, tally: RuleTally, width: int) -> list[Text | str]:
        level = Text(f"{_MARKS[tally.level]}{tally.level}", _STYLES[tally.level])
        first, last = local(tally.first, self._zone), local(tally.last, self._zone)
        row: list[Text | str] = [level, Text(printable(tally.title))]
        if width >= _WIDE:
            row.append(Text(" ".join(techniques(tally.tags))))
        row += [f"{tally.count:,}", Text(_hosts(tally, width)), first if width >= _WIDE else first[:16]]
        if width >= _WIDE:
            row.append(last)
        return row


def _hosts(tally: RuleTally, width: int) -> str:
    if width < _WITH_HOSTS:
        return f"{len(tally.hosts):,}{'+' if tally.more_hosts else ''}" if tally.hosts else "–"
    names = [printable(host) for host, _ in tally.hosts.most_common(3 if width >= _WIDE else 1)]
    rest = len(tally.hosts) - len(names)
    return ", ".join(names) + (f" +{rest:,}{' or more' if tally.more_hosts else ''}" if rest else "") or "–"


def _offset(tallies: list[RuleTally], zone: ZoneInfo) -> str:
    """The zone as people read it beside a time: UTC+7; its name where the offset is not the same all over."""
    offsets = {f"{datetime.fromisoformat(t.first).astimezone(zone):%z}" for t in tallies if t.first}
    if len(offsets) != 1:
        return zone.key
    offset = offsets.pop()
    hours, minutes = offset[:3].replace("+0", "+").replace("-0", "-"), offset[3:5]
    text = f"UTC{hours}" + (f":{minutes}" if minutes != "00" else "")
    return "UTC" if text == "UTC+0" else text
