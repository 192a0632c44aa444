"""`khien lake compact | retain | vacuum | check | reparse | info`: upkeep of the event store."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from khien.cli.progress import counting
from khien.cli.times import bound, known_zone
from khien.errors import UsageError
from khien.findings.table import bytes_text, counted, printable
from khien.lake import upkeep
from khien.lake.checking import check as check_lake
from khien.lake.reparse import reparse as run_reparse
from khien.lake.schema import KINDS
from khien.lake.sketch import sketch_path
from khien.lake.store import Lake

LakeOption = Annotated[
    str, typer.Option("--lake", envvar="KHIEN_LAKE", help="The lake: a folder, or s3://bucket/prefix.")
]
DEFAULT = "lake"

app = typer.Typer(help="Look after the event store.", no_args_is_help=True)
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(B|kB|MB|GB|TB)?\Z", re.IGNORECASE)
_UNITS = {"b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12}


def open_lake(root: str) -> Lake:
    """The lake at `root`, which must be there."""
    return Lake(root, create=False)


@app.command()
def compact(
    lake: LakeOption = DEFAULT,
    target: Annotated[str, typer.Option(help="Size of the files to make.")] = "128MB",
) -> None:
    """Merge small files, and sketch their texts so that searches can skip them. Safe beside writers and readers."""
    done = upkeep.compact(open_lake(lake), target=parse_size(target, "--target"))
    console = _console()
    console.print(
        f"merged {counted(done.files_before, 'file')} ({bytes_text(done.bytes_before)}) into "
        f"{done.files_after:,} ({bytes_text(done.bytes_after)})"
    )
    if done.conflicts:
        console.print(f"left {counted(done.conflicts, 'merge')} to other processes")


@app.command()
def retain(
    lake: LakeOption = DEFAULT,
    days: Annotated[int | None, typer.Option(min=0, help="Keep this many days before today (UTC).")] = None,
    size: Annotated[str | None, typer.Option(help="Keep at most this much, e.g. 500GB: the newest days.")] = None,
) -> None:
    """Remove old events and findings. Their files go with the next vacuum."""
    if days is None and size is None:
        raise UsageError("nothing says what to keep", remedy="Give --days, --size, or both")
    gone = upkeep.retain(open_lake(lake), days=days, size=parse_size(size, "--size") if size else None)
    text = f"removed {counted(gone.rows, 'row')} in {counted(gone.files, 'file')} ({bytes_text(gone.size)})"
    if gone.days:
        text += f" of {gone.days[0]}" + (f" to {gone.days[-1]}" if len(gone.days) > 1 else "")
    _console().print(text)


@app.command()
def vacuum(
    lake: LakeOption = DEFAULT,
    hours: Annotated[int, typer.Option(min=0, help="Spare files that were needed this many hours ago.")] = 24,
) -> None:
    """Delete the files that compact, retain and killed writers left behind."""
    gone = upkeep.vacuum(open_lake(lake), hours=hours)
    _console().print(f"deleted {counted(len(gone), 'file')}")


@app.command()
def check(
    lake: LakeOption = DEFAULT,
    deep: Annotated[bool, typer.Option("--deep", help="Read every value of every file too.")] = False,
) -> None:
    """Check that every file is there and whole, that the log tells the truth, and that no event is in twice.

    Exit code 0: clean; 2: wrong usage; 3: not clean.
    """
    report = check_lake(open_lake(lake), deep=deep)
    console = _console()
    console.print(f"checked {counted(report.files, 'file')}, {counted(report.rows, 'row')}, {bytes_text(report.size)}")
    for orphan in report.orphans:
        console.print(f"orphan  {printable(orphan)} (harmless; khien lake vacuum deletes it)", soft_wrap=True)
    for fault in report.faults:
        console.print(f"fault   {printable(fault)}", style="red", soft_wrap=True)
    if report.faults:
        raise typer.Exit(3)
    console.print("clean")


@app.command()
def reparse(
    lake: LakeOption = DEFAULT,
    since: Annotated[str | None, typer.Option(help="Only what came since then (24h, 7d, ISO).")] = None,
    until: Annotated[str | None, typer.Option(help="Only what came before then.")] = None,
    source: Annotated[str | None, typer.Option(help="Only what this source sent.")] = None,
    sources: Annotated[
        Path | None, typer.Option(help="Sources file: the format of each source; else by content.")
    ] = None,
    timezone: Annotated[str, typer.Option(help="Zone of times given without one.")] = "Asia/Ho_Chi_Minh",
) -> None:
    """Parse again what could not be parsed, after a mapping or a format is mended. Safe beside writers and readers."""
    from khien.collect.sources import load_sources
    from khien.flow.reparsing import LineParser

    zone = known_zone(timezone)
    formats = {each.id: each.format for each in load_sources(sources).sources} if sources else {}
    with counting("parsing again") as watch:
        done = run_reparse(
            open_lake(lake),
            LineParser(formats),
            since=bound("since", since, zone),
            until=bound("until", until, zone),
            source=source,
            watch=watch,
        )
    console = _console()
    parsed, left = done.parsed.total(), done.left.total()
    gave = f" into {counted(done.events, 'event')}" if parsed else ""
    console.print(f"parsed {parsed:,} of {counted(done.tried, 'line')}{gave}; {left:,} stay as they are")
    for name in sorted(done.parsed.keys() | done.left.keys()):
        console.print(f"  {printable(name)}: {done.parsed[name]:,} parsed, {done.left[name]:,} left", soft_wrap=True)


@app.command()
def info(lake: LakeOption = DEFAULT) -> None:
    """Show what is in the lake by day and log source."""
    opened = open_lake(lake)
    console = _console()
    for kind in KINDS:
        sums: dict[tuple[str, ...], list[int]] = defaultdict(lambda: [0, 0, 0])
        sketches = 0
        for file in opened.files(kind):
            one = sums[tuple(file.partition[part] for part in kind.partitions)]
            one[0] += 1
            one[1] += file.rows
            one[2] += file.size
            sketches += opened.storage.size(sketch_path(kind.name, file.path)) or 0
        table = Table(box=None, header_style="bold", pad_edge=False, title=kind.name, title_justify="left")
        for part in kind.partitions:
            table.add_column(part, no_wrap=True)
        for heading in ("files", "rows", "size", "bytes/row"):
            table.add_column(heading, justify="right", no_wrap=True)
        total = [0, 0, 0]
        for key, (files, rows, size) in sorted(sums.items()):
            table.add_row(
                *map(printable, key), f"{files:,}", f"{rows:,}", bytes_text(size), f"{size / max(rows, 1):.0f}"
            )
            total = [total[0] + files, total[1] + rows, total[2] + size]
        blank = [""] * (len(kind.partitions) - 1)
        each = f"{total[2] / max(total[1], 1):.0f}"
        table.add_row("all", *blank, f"{total[0]:,}", f"{total[1]:,}", bytes_text(total[2]), each)
        console.print(table)
        if sketches:
            console.print(f"and {bytes_text(sketches)} of sketches")


def parse_size(text: str, option: str) -> int:
    """Bytes of a size such as `500GB` (decimal units). Raises UsageError."""
    found = _SIZE.match(text.strip())
    if found is None:
        raise UsageError(f"{option} has no size that can be read: '{text}'", remedy="Write e.g. 128MB or 500GB")
    return round(float(found[1]) * _UNITS[(found[2] or "B").lower()])


def _console() -> Console:
    return Console(highlight=False, markup=False)
