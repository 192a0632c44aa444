"""`khien hunt`: find attacks in log files."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum, auto
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import typer
from rich.console import Console
from rich.text import Text
from typer.core import TyperCommand

from khien.cli.lake import DEFAULT, open_lake
from khien.cli.output import target
from khien.cli.progress import hunting
from khien.cli.times import known_zone
from khien.errors import Problem, UsageError
from khien.events.timestamps import parse_time
from khien.findings import outputs
from khien.findings.summary import HuntSummary
from khien.findings.table import print_summary, printable
from khien.formats.inputs import Input, find_inputs
from khien.formats.sniff import formats
from khien.hunt.assembly import Period
from khien.hunt.hunting import Hunt, Tally
from khien.hunt.plans import HuntOptions, HuntPlan
from khien.hunt.resuming import Resumption, State, rules_text
from khien.lake.inputs import files_of, lake_inputs
from khien.rules import folders as rule_folders

_SPAN = re.compile(r"(\d{1,6})(s|m|h|d|w)")
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


class CommandClass(TyperCommand):
    """Lets `--lake` stand without a value: the lake of KHIEN_LAKE, or the folder `lake`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the default where the value is left out."""
        if "--lake" in args:
            at = args.index("--lake") + 1
            if at == len(args) or args[at].startswith("-"):
                args = [*args[:at], os.environ.get("KHIEN_LAKE") or DEFAULT, *args[at:]]
        return super().parse_args(ctx, args)


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
    paths: Annotated[
        list[str] | None, typer.Argument(help="Files, folders, archives, or - for standard input.")
    ] = None,
    lake: Annotated[
        str | None, typer.Option("--lake", metavar="[DIR]", help="Hunt through this lake (default: lake), not PATHS.")
    ] = None,
    rules: Annotated[
        list[Path] | None, typer.Option("--rules", help="Rule files or folders; may be given again.")
    ] = None,
    level: Annotated[Level, typer.Option(help="Report findings of this level and above.")] = Level.low,
    since: Annotated[
        str | None, typer.Option(help="Only findings at or after this time (a date, ISO 8601, or e.g. 30d, 24h).")
    ] = None,
    until: Annotated[str | None, typer.Option(help="Only findings at or before this time.")] = None,
    exclude_rule: Annotated[list[str] | None, typer.Option(help="Id of a rule to leave out.")] = None,
    format: Annotated[OutputFormat | None, typer.Option(help="How findings are written.")] = None,
    output: Annotated[Path | None, typer.Option(help="Write to this file, not to standard output.")] = None,
    jobs: Annotated[int, typer.Option(min=0, max=256, help="Worker processes; 0: one a core.")] = 1,
    timezone: Annotated[str, typer.Option(help="Zone of times shown to people.")] = "Asia/Ho_Chi_Minh",
    input_format: Annotated[str | None, typer.Option(help="Do not tell the format by content.")] = None,
    placeholders: Annotated[Path | None, typer.Option(help="YAML file with placeholder values.")] = None,
    resume: Annotated[
        Path | None, typer.Option(help="With --lake: keep in this file how far the hunt is, and go on from there.")
    ] = None,
) -> None:
    """Find attacks in log files, or in the events of a lake: one line a finding, or a summary, a report, a layer.

    Exit code 0: done; 1: stopped before the end; 2: wrong usage; 3: done, but some input could not be read; 130: by
    Ctrl-C.
    """
    period = Period(_moment(since, "--since"), _moment(until, "--until"))
    if period.since is not None and period.until is not None and period.since > period.until:
        raise UsageError("--since is after --until", remedy="Exchange them")
    if bool(paths) == (lake is not None):
        what = "there are both PATHS and --lake" if paths else "nothing says what to hunt through"
        raise UsageError(what, remedy="Name files and folders, or give --lake")
    options = HuntOptions(
        level=str(level),
        exclude=frozenset(exclude_rule or ()),
        period=Period() if lake is not None else period,  # of the lake's times then, as events may have none
        jobs=jobs or os.cpu_count() or 1,
        input_format=_known_format(input_format),
    )
    zone = known_zone(timezone)
    plan = HuntPlan(rule_folders.load(rules, placeholders), options)
    chosen = str(format) if format else ("table" if output is None and sys.stdout.isatty() else "ndjson")
    if chosen == "html" and output is None and sys.stdout.isatty():
        raise UsageError("the HTML report is a page, not text for a terminal", remedy="Add e.g. --output report.html")
    problems: list[Problem] = []
    resumption = _resumption(resume, plan, lake, period, output, chosen, input_format)
    if lake is not None:
        inputs = _lake_inputs(lake, period, resumption, problems)
    else:
        inputs = list(find_inputs(paths or [], problems.append))
    with target(output) if resumption is None else _going_on(resumption) as stream:
        writer = outputs.writer(chosen, stream, zone, plan.ruleset)
        before = resumption.tally() if resumption else Tally()
        with hunting(inputs, before) as watch:
            tally = Hunt(plan, writer, watch, keeper=resumption, tally=before).run(inputs)
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
            paths=tuple(paths or [str(lake)]),
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


def _moment(text: str | None, option: str) -> int | None:
    if text is None:
        return None
    if ago := _SPAN.fullmatch(text):
        return time.time_ns() // 1000 - int(ago[1]) * _SECONDS[ago[2]] * 1_000_000
    moment = parse_time(f"{text}T00:00" if _DATE.fullmatch(text) else text)
    if moment is None:
        raise UsageError(
            f"{option} has no time that can be read: '{text}'",
            remedy="Write e.g. 30d, 24h, 2026-11-24 or 2026-11-24T08:00:00+07:00",
        )
    return moment


def _lake_inputs(root: str, period: Period, resumption: Resumption | None, problems: list[Problem]) -> list[Input]:
    """The events of the period; of a hunt that is gone on with, of the files that it began with and has not done."""
    lake = open_lake(root)
    if resumption is None:
        return lake_inputs(
            lake.storage, files_of(lake, period.since, period.until), period.since, period.until, problems.append
        )
    state = resumption.state
    inputs = lake_inputs(lake.storage, state.files, state.since, state.until, problems.append)
    done = set(state.done)
    return [each for each in inputs if each.path not in done]


def _resumption(
    file: Path | None,
    plan: HuntPlan,
    root: str | None,
    period: Period,
    output: Path | None,
    chosen: str,
    input_format: str | None,
) -> Resumption | None:
    if root is not None and input_format is not None:
        raise UsageError("the formats in a lake are known", remedy="Leave --input-format out")
    if file is None:
        return None
    if root is None or output is None or str(output) == "-" or chosen != "ndjson":
        raise UsageError("--resume needs a lake and a file of findings", remedy="Add --lake, and --output found.ndjson")
    lake = open_lake(root)
    known = Resumption.load(file, plan, lake.storage.uri, output)
    if known is not None:
        return known
    files = files_of(lake, period.since, period.until)
    place = str(output.absolute())
    return Resumption(file, State(lake.storage.uri, place, rules_text(plan), period.since, period.until, files))


@contextmanager
def _going_on(resumption: Resumption) -> Iterator[BinaryIO]:
    """The output of a hunt that can be gone on with, if what is inside does not come to its end."""
    try:
        yield resumption.open()
    except BaseException:
        resumption.close()
        raise
    resumption.finish()


def _known_format(name: str | None) -> str | None:
    if name is not None and name not in formats():
        raise UsageError(f"there is no input format '{name}'", remedy=f"Known: {', '.join(sorted(formats()))}")
    return name
