"""`khien search`: find events by a few words."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from enum import StrEnum, auto
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import orjson
import pyarrow as pa
import typer
from rich.table import Table

from khien.cli.lake import DEFAULT, LakeOption, open_lake
from khien.cli.output import target
from khien.cli.query import shown, write_table
from khien.cli.results import WRITERS
from khien.cli.times import known_zone
from khien.findings.table import counted, printable
from khien.lake.schema import EVENT_SCHEMA
from khien.lake.search import search as run_search
from khien.lake.search_language import parse

_SHOWN = ("time", "host", "user", "logsource", "event_id", "process", "command_line", "event", "raw")
_MOST_TEXT = 300


class SearchFormat(StrEnum):
    """The forms events are written in."""

    table = auto()
    ndjson = auto()
    csv = auto()


def search(
    text: Annotated[
        str, typer.Argument(metavar="SEARCH", help="""E.g. 'host:web01 user:admin "mimikatz" since:24h'.""")
    ],
    lake: LakeOption = DEFAULT,
    format: Annotated[SearchFormat | None, typer.Option(help="How events are written.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1_000_000, help="The newest events to show, at most.")] = 100,
    output: Annotated[Path | None, typer.Option(help="Write to this file, not to standard output.")] = None,
    timeout: Annotated[float, typer.Option(min=0.1, max=86_400, help="Give up after this many seconds.")] = 60,
    memory: Annotated[int, typer.Option(min=64, help="MB of memory the search may use.")] = 1024,
    timezone: Annotated[str, typer.Option(help="Zone of times in the search and on the screen.")] = "Asia/Ho_Chi_Minh",
) -> None:
    """Find events, newest first: words, "phrases", field:value, wildcards, AND OR NOT, ( ), since: and until:."""
    zone = known_zone(timezone)
    chosen = str(format) if format else ("table" if output is None and sys.stdout.isatty() else "ndjson")
    wanted = parse(text, datetime.now(UTC), zone)
    columns = _SHOWN if chosen == "table" else tuple(EVENT_SCHEMA.names)
    found = run_search(open_lake(lake), wanted, limit=limit, columns=columns, seconds=timeout, memory_mb=memory)
    with target(output) as stream:
        if chosen == "table":
            write_table(_table(found, zone), stream)
        else:
            WRITERS[chosen](found.to_reader(max_chunksize=1000), stream)
    if chosen == "table":
        more = f" (the newest; --limit {limit * 10} shows more)" if found.num_rows == limit else ""
        print(f"{counted(found.num_rows, 'event')}{more}", file=sys.stderr)


def _table(found: pa.Table, zone: ZoneInfo) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 1))
    for heading in (f"time ({zone.key})", "host", "user", "log source", "id"):
        table.add_column(heading, no_wrap=True)
    table.add_column("what", ratio=1, overflow="fold")
    for row in found.to_pylist():
        cells = (shown(row["time"], zone), *(printable(row[name] or "") for name in _SHOWN[1:5]))
        table.add_row(*cells, printable(_what(row)))
    return table


def _what(row: dict[str, Any]) -> str:
    """What says most about an event in one line."""
    text = row["command_line"] or row["raw"]
    if not text:
        try:
            event = orjson.loads(row["event"] or "{}")
        except orjson.JSONDecodeError:
            event = {}
        text = event.get("Message") or event.get("message") or event.get("msg") if isinstance(event, dict) else None
        if not isinstance(text, str):
            text = row["process"] or row["event"] or ""
    text = " ".join(text.split())
    return text if len(text) <= _MOST_TEXT else text[: _MOST_TEXT - 1] + "…"
