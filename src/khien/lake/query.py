"""SQL over the lake: one SELECT, read-only, within limits."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import duckdb
import pyarrow as pa

from khien.lake.errors import QueryError
from khien.lake.files import DataFile
from khien.lake.reading import absolute, bounded, connect, literal, name, relation, seal
from khien.lake.schema import KINDS, TableKind
from khien.lake.store import Lake

_FUNCTIONS: Final = frozenset({"range", "generate_series", "unnest", "json_each", "json_tree", "repeat", "repeat_row"})
_EXPLAIN: Final = re.compile(r"\s*explain(?:\s+analyze)?\s+", re.IGNORECASE)
_ALLOWED: Final = "Only one SELECT, WITH, EXPLAIN or DESCRIBE can be run"
_HINT: Final = "Tables are events and findings"


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a query may take: seconds, MB of memory, rows of result (None: all), and which files it sees.

    `since`, `until` (not included): microseconds since 1970-01-01 UTC; only files that may hold such rows are read.
    """

    seconds: float | None = 60
    memory_mb: int = 1024
    rows: int | None = None
    since: int | None = None
    until: int | None = None


@dataclass(slots=True)
class _Names:
    """The names a statement uses."""

    columns: set[str] = field(default_factory=set)
    given: set[str] = field(default_factory=set)
    tables: set[str] = field(default_factory=set)
    ctes: set[str] = field(default_factory=set)


@contextmanager
def query(lake: Lake, sql: str, limits: Limits | None = None) -> Iterator[pa.RecordBatchReader]:
    """Run one statement over the views `events` and `findings`; the result, batch by batch. Times are UTC.

    A name that is no column of the tables reads the field of that name of the event, as text:
    `SELECT TargetObject FROM events WHERE EventID = '13'`. Raises QueryError for what is not allowed or not valid,
    and past the limits, also while the result is read.
    """
    limits = limits or Limits()
    connection = connect(limits.memory_mb)
    try:
        names = _examine(connection, sql)
        paths = []
        for kind in KINDS:
            files = (
                [file for file in lake.files(kind) if file.may_hold(limits.since, limits.until)]
                if kind.name in names.tables
                else []
            )
            _view(connection, lake, kind, files, _fields(kind, names))
            paths += absolute(lake.storage, kind, files)
        seal(connection, paths if lake.storage.local is not None else [])
        with bounded(connection, limits.seconds):
            reader = connection.sql(sql).to_arrow_reader(4096)
            yield reader if limits.rows is None else _first_rows(reader, limits.rows)
    finally:
        connection.close()


def _first_rows(reader: pa.RecordBatchReader, rows: int) -> pa.RecordBatchReader:
    def batches() -> Iterator[pa.RecordBatch]:
        left = rows
        for batch in reader:
            yield batch.slice(0, left)
            left -= batch.num_rows
            if left <= 0:
                return

    return pa.RecordBatchReader.from_batches(reader.schema, batches())


def _view(
    connection: duckdb.DuckDBPyConnection, lake: Lake, kind: TableKind, files: list[DataFile], fields: list[str]
) -> None:
    columns = [name(each) for each in kind.schema.names]
    columns += [f"{field_sql(each)} AS {name(each)}" for each in fields]
    source = relation(connection, lake.storage, kind, files)
    connection.execute(f"CREATE VIEW {kind.name} AS SELECT {', '.join(columns)} FROM {source}")  # noqa: S608


def field_sql(field_name: str) -> str:
    """SQL for a field of `event` as text: by its whole name, or else by its dotted path."""
    whole = (
        f"(event ->> {literal(field_name)})"
        if field_name[:1] not in ("$", "/")
        else f"(event ->> {_path([field_name])})"
    )
    if "." not in field_name.strip("."):
        return whole
    return f"coalesce({whole}, event ->> {_path(field_name.split('.'))})"


def _path(steps: list[str]) -> str:
    quoted = (step.replace("\\", "\\\\").replace('"', '\\"') for step in steps)
    return literal("$" + "".join(f'."{step}"' for step in quoted))


def _fields(kind: TableKind, names: _Names) -> list[str]:
    """The names in the query that can only be fields of the event, as they are spelled."""
    known = {each.lower() for each in kind.schema.names} | {each.lower() for each in names.given}
    for other in KINDS:
        if other is not kind and other.name in names.tables:
            known |= {each.lower() for each in other.schema.names}
    found: dict[str, str] = {}
    for each in sorted(names.columns):
        if each.lower() not in known and each.lower() not in names.tables | names.ctes:
            found.setdefault(each.lower(), each)
    return list(found.values())


def _examine(connection: duckdb.DuckDBPyConnection, sql: str) -> _Names:
    """Parse the statement, refuse what is not allowed, and collect its names."""
    try:
        statements = connection.extract_statements(sql)
    except duckdb.Error as error:
        lines = [line for line in str(error).splitlines() if line.strip()]
        raise QueryError("\n".join(lines[:4])) from error
    if len(statements) != 1:
        raise QueryError(f"there are {len(statements)} statements", remedy=_ALLOWED)
    kind = statements[0].type
    if kind not in (duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN):
        raise QueryError(f"{kind.name} is not allowed", remedy=_ALLOWED)
    text = _EXPLAIN.sub("", sql, count=1) if kind == duckdb.StatementType.EXPLAIN else sql
    tree = json.loads(connection.execute("SELECT json_serialize_sql($1)", [text]).fetchall()[0][0])
    if tree.get("error"):
        raise QueryError(f"the statement is not allowed: {tree.get('error_message', '')}", remedy=_ALLOWED)
    names = _Names()
    _collect(tree["statements"], names)
    unknown = names.tables - names.ctes - {each.name for each in KINDS}
    if unknown:
        raise QueryError(f"there is no table '{min(unknown)}'", remedy=_HINT)
    return names


def _collect(node: Any, names: _Names) -> None:
    if isinstance(node, list):
        for each in node:
            _collect(each, names)
        return
    if not isinstance(node, dict):
        return
    kind = node.get("type")
    if kind == "COLUMN_REF" and node.get("column_names"):
        names.columns.add(node["column_names"][-1])
    elif kind == "BASE_TABLE":
        names.tables.add(_table(node))
    elif kind == "SHOW_REF" and node.get("table_name"):
        shown = str(node["table_name"]).strip('"').lower()
        if not shown.startswith("__"):
            names.tables.add(shown)
    elif kind == "TABLE_FUNCTION":
        function = str((node.get("function") or {}).get("function_name", "")).lower()
        if function not in _FUNCTIONS:
            raise QueryError(f"the table function '{function}' is not allowed", remedy=_HINT)
    if node.get("alias"):
        names.given.add(str(node["alias"]))
    for each in ("column_name_alias", "aliases", "using_columns"):
        names.given.update(str(alias) for alias in node.get(each) or () if isinstance(alias, str))
    for entry in (node.get("cte_map") or {}).get("map", []):
        names.ctes.add(str(entry["key"]).lower())
    for value in node.values():
        _collect(value, names)


def _table(node: dict[str, Any]) -> str:
    if node.get("schema_name") or node.get("catalog_name"):
        raise QueryError(f"there is no schema '{node.get('catalog_name') or node.get('schema_name')}'", remedy=_HINT)
    return str(node["table_name"]).lower()
