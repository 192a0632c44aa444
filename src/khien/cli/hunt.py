"""`khien hunt`: find attacks in log files."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum, auto
from pathlib import Path
from typing import Annotated, BinaryIO, cast
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import typer
from rich.console import Console
from rich.text import Text

from khien.cli import rule_folders
from khien.cli.progress import hunting
from khien.errors import Problem, UsageError
from khien.events.timestamps import parse_time
from khien.findings import outputs
from khien.findings.summary import HuntSummary
from khien.findings.table import print_summary, printable
from khien.formats.inputs import find_inputs
from khien.formats.sniff import formats
from khien.hunt.assembly import Period
from khien.hunt.hunting import Hunt
from khien.hunt.plans import HuntOptions, HuntPlan

_BUFFER = 1 << 20


class Level(StrEnum):
    """The severities of Sigma."""

    informational = auto()
    low = auto()
    medium = auto()
    high = auto()
    critical = auto()


class OutputFormat(StrEnum):
    """The forms findings are written in."""

    table = auto()
    ndjson = auto()
    csv = auto()
    html = auto()
    ocsf = auto()
    navigator = auto()


def hunt(
    paths: Annotated[list[str], typer.Argument(help="Files, folders, archives, or - for standard input.")],
    rules: Annotated[
        list[Path] | None, typer.Option("--rules", help="Rule files or folders; may be given again.")
    ] = None,
    level: Annotated[Level, typer.Option(help="Report findings of this level and above.")] = Level.low,
    since: Annotated[str | None, typer.Option(help="Only findings at or after this time (ISO 8601).")] = None,
    until: Annotated[str | None, typer.Option(help="Only findings at or before this time.")] = None,
    exclude_rule: Annotated[list[str] | None, typer.Option(help="Id of a rule to leave out.")] = None,
    format: Annotated[OutputFormat | None, typer.Option(help="How findings are written.")] = None,
    output: Annotated[Path | None, typer.Option(help="Write to this file, not to standard output.")] = None,
    jobs: Annotated[int, typer.Option(min=0, max=256, help="Worker processes; 0: one a core.")] = 1,
    timezone: Annotated[str, typer.Option(help="Zone of times shown to people.")] = "Asia/Ho_Chi_Minh",
    input_format: Annotated[str | None, typer.Option(help="Do not tell the format by content.")] = None,
    placeholders: Annotated[Path | None, typer.Option(help="YAML file with placeholder values.")] = None,
) -> None:
    """Find attacks in log files: one line a finding, or a summary, a report, a layer.

    Exit code 0: done; 2: wrong usage; 3: done, but some input could not be read.
    """
    options = HuntOptions(
        level=str(level),
        exclude=frozenset(exclude_rule or ()),
        period=Period(_moment(since, "--since", timezone), _moment(until, "--until", timezone)),
        jobs=jobs or os.cpu_count() or 1,
        input_format=_known_format(input_format),
    )
    zone = _zone(timezone)
    plan = HuntPlan(rule_folders.load(rules, placeholders), options)
    chosen = str(format) if format else ("table" if output is None and sys.stdout.isatty() else "ndjson")
    if chosen == "html" and output is None and sys.stdout.isatty():
        raise UsageError("the HTML report is a page, not text for a terminal", remedy="Add e.g. --output report.html")
    problems: list[Problem] = []
    inputs = list(find_inputs(paths, problems.append))
    with _target(output) as stream:
        writer = outputs.writer(chosen, stream, zone, plan.ruleset)
        with hunting(inputs) as watch:
            tally = Hunt(plan, writer, watch).run(inputs)
        tally.problems[:0] = problems
        summary = HuntSummary(
            files=tally.files,
            size=tally.read,
            events=tally.events,
            findings=tally.findings,
            seconds=tally.seconds,
            rules=len(plan.ruleset.rules),
            correlations=len(plan.correlations),
            unusable=len(plan.ruleset.unusable),
            problems=tuple(tally.problems),
            paths=tuple(paths),
            finished=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        writer.close(summary)
    console = Console(stderr=True, highlight=False)
    if chosen != "table":
        print_summary(console, summary)
    if output is not None and str(output) != "-":
        console.print(Text.assemble(("written  ", "bold"), printable(str(output))), soft_wrap=True)
    if tally.problems:
        raise typer.Exit(3)


def _moment(text: str | None, option: str, timezone: str) -> int | None:
    if text is None:
        return None
    moment = parse_time(text)
    if moment is None:
        raise UsageError(
            f"{option} has no time that can be read: '{text}'", remedy="Write e.g. 2026-11-24T08:00:00+07:00"
        )
    return moment


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise UsageError(f"there is no time zone '{name}'", remedy="Write e.g. Asia/Ho_Chi_Minh or UTC") from error


def _known_format(name: str | None) -> str | None:
    if name is not None and name not in formats():
        raise UsageError(f"there is no input format '{name}'", remedy=f"Known: {', '.join(sorted(formats()))}")
    return name


@contextmanager
def _target(output: Path | None) -> Iterator[BinaryIO]:
    """Standard output, or a file that appears whole: written beside, then renamed."""
    if output is None or str(output) == "-":
        yield cast(BinaryIO, sys.stdout.buffer)
        sys.stdout.buffer.flush()
        return
    if output.exists() and not output.is_file():  # a device or pipe: write through
        with output.open("wb", buffering=_BUFFER) as stream:
            yield stream
        return
    part = output.with_name(f".{output.name}.part")
    try:
        stream = part.open("wb", buffering=_BUFFER)
    except OSError as error:
        raise UsageError(f"the output cannot be written: {error.strerror}", str(output)) from error
    try:
        with stream:
            yield stream
        part.replace(output)
    finally:
        part.unlink(missing_ok=True)
