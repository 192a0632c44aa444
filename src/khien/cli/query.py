"""`khien query`: SQL over the lake."""

from __future__ import annotations

import io
import sys
from datetime import datetime
from enum import StrEnum, auto
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, BinaryIO
from zoneinfo import ZoneInfo

import pyarrow as pa
import typer
from rich.console import Console
from rich.table import Table

from khien.cli.lake import DEFAULT, LakeOption, open_lake
from khien.cli.output import target
from khien.cli.results import WRITERS, rows, value_text
from khien.cli.times import bound, known_zone
from khien.errors import UsageError
from khien.findings.table import counted, printable
from khien.lake.query import Limits
from khien.lake.query import query as run_query

_TABLE_ROWS = 1000


class QueryFormat(StrEnum):
    """The forms a result is written in."""

    table = auto()
    csv = auto()
    parquet = auto()
    ndjson = auto()


def query(
    sql: Annotated[str, typer.Argument(help="One SELECT over the tables events and findings.")],
    lake: LakeOption = DEFAULT,
    format: Annotated[QueryFormat | None, typer.Option(help="How the result is written.")] = None,
    output: Annotated[Path | None, typer.Option(help="Write to this file, not to standard output.")] = None,
    timeout: Annotated[float, typer.Option(min=0.1, max=86_400, help="Give up after this many seconds.")] = 60,
    memory: Annotated[int, typer.Option(min=64, help="MB of memory the query may use.")] = 1024,
    limit: Annotated[int | None, typer.Option(min=0, help="Write at most this many rows.")] = None,
    since: Annotated[str | None, typer.Option(help="Read only files with events since then (24h, 7d, ISO).")] = None,
    until: Annotated[str | None, typer.Option(help="Read only files with events before then.")] = None,
    timezone: Annotated[str, typer.Option(help="Zone of times shown in tables.")] = "Asia/Ho_Chi_Minh",
) -> None:
    """Ask the lake in SQL (DuckDB's), read-only: any name that is no column reads the event's field of that name."""
    zone = known_zone(timezone)
    chosen = str(format) if format else ("table" if output is None and sys.stdout.isatty() else "ndjson")
    if chosen == "parquet" and output is None and sys.stdout.isatty():
        raise UsageError("Parquet is not text for a terminal", remedy="Add e.g. --output result.parquet")
    limits = Limits(
        seconds=timeout,
        memory_mb=memory,
        rows=limit,
        since=bound("since", since, zone),
        until=bound("until", until, zone),
    )
    with run_query(open_lake(lake), sql, limits) as reader, target(output) as stream:
        if chosen == "table":
            _table(reader, stream, zone)
        else:
            WRITERS[chosen](reader, stream)


def _table(reader: pa.RecordBatchReader, stream: BinaryIO, zone: ZoneInfo) -> None:
    found = list(islice((row for batch in reader for row in rows(batch)), _TABLE_ROWS + 1))
    numbers = [pa.types.is_integer(kind) or pa.types.is_floating(kind) for kind in reader.schema.types]
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 1))
    for name, number in zip(reader.schema.names, numbers, strict=True):
        table.add_column(printable(name), justify="right" if number else "left", overflow="fold")
    for row in found[:_TABLE_ROWS]:
        table.add_row(*(shown(value, zone) for value in row))
    write_table(table, stream)
    if len(found) > _TABLE_ROWS:
        print(f"khien: {counted(_TABLE_ROWS, 'row')} are shown; use --format for all", file=sys.stderr)


def shown(value: Any, zone: ZoneInfo) -> str:
    """A value for the screen: times in the zone, to the second."""
    if isinstance(value, datetime) and value.tzinfo is not None:
        return f"{value.astimezone(zone):%Y-%m-%d %H:%M:%S}"
    text = value_text(value)
    return "\n".join(printable(line) for line in text.splitlines()) if "\n" in text else printable(text)


def write_table(table: Table, stream: BinaryIO) -> None:
    """Print a table to standard output as wide as the terminal, and to a file as wide as it is."""
    if stream is sys.stdout.buffer and sys.stdout.isatty():
        Console(highlight=False, markup=False).print(table)
        return
    console = Console(file=(text := io.StringIO()), width=400, highlight=False, markup=False)
    console.print(table)
    stream.write("".join(line.rstrip() + "\n" for line in text.getvalue().splitlines()).encode("utf-8", "replace"))
