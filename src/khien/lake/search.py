"""Searching the lake's events: newest first, reading no more than it must."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import duckdb
import pyarrow as pa

from khien.lake.files import DataFile
from khien.lake.reading import bounded, connect, literal, name, relation, seal
from khien.lake.schema import EVENT_SCHEMA, EVENTS
from khien.lake.search_language import And, Is, Search, Term
from khien.lake.search_sql import Compiled, compile_term
from khien.lake.sketch import Group, candidates, sketch_path
from khien.lake.store import Lake

_HOUR: Final = 3_600_000_000
_GROWTH: Final = 6
_FEW_ROWS: Final = 400_000


@dataclass(slots=True)
class _Part:
    """A file that may hold hits; `groups` are its row groups that may, None for all."""

    file: DataFile
    groups: list[Group] | None

    def touches(self, low: int, high: int) -> bool:
        """Whether it may hold a row of the time [low, high)."""
        if self.groups is not None:
            return any(group.first < high and group.last >= low for group in self.groups)
        return self.file.may_hold(low, high)


def search(
    lake: Lake,
    wanted: Search,
    *,
    limit: int = 100,
    columns: Sequence[str] = tuple(EVENT_SCHEMA.names),
    seconds: float | None = 60,
    memory_mb: int = 1024,
) -> pa.Table:
    """The newest `limit` events that the search matches, newest first, with these columns. Times are UTC.

    Time is searched backwards in growing windows, so that a search with many hits ends early; files are left out by
    day, log source, time and sketch. Raises QueryError past the limits, SearchError for what cannot be searched for.
    """
    compiled = compile_term(wanted.term)
    parts = list(_parts(lake, wanted, compiled))
    schema = pa.schema([EVENT_SCHEMA.field(each) for each in columns])
    if not parts or limit <= 0:
        return schema.empty_table()
    connection = connect(memory_mb)
    try:
        local = lake.storage.local is not None
        seal(connection, [f"{lake.storage.uri}/events/{part.file.path}" for part in parts] if local else [])
        run = _Run(lake, connection, compiled, list(columns))
        with bounded(connection, seconds):
            found = run.newest(parts, wanted, limit)
        return found.cast(schema) if found is not None else schema.empty_table()
    finally:
        connection.close()


@dataclass(slots=True)
class _Run:
    lake: Lake
    connection: duckdb.DuckDBPyConnection
    compiled: Compiled
    columns: list[str]

    def newest(self, parts: list[_Part], wanted: Search, limit: int) -> pa.Table | None:
        """Collect hits window by window until there are enough."""
        find = self._local if self.lake.storage.local is not None else self._remote
        hits: list[pa.Table] = []
        count = 0
        for low, high in _windows(parts, wanted):
            inside = [part for part in parts if part.touches(low, high)]
            if not inside:
                continue
            table = find(inside, low, high, limit - count)
            count += table.num_rows
            hits.append(table)
            if count >= limit:
                break
        if not count:
            return None
        table = pa.concat_tables(hits)
        return table if self.lake.storage.local is None else self._fetch(table, parts)

    def _where(self, low: int, high: int) -> str:
        return f"time >= {_moment(low)} AND time < {_moment(high)} AND ({self.compiled.sql})"

    def _rows(self, sql: str, values: list[object]) -> pa.Table:
        return self.connection.sql(sql, params=values or None).to_arrow_table()

    def _local(self, parts: list[_Part], low: int, high: int, limit: int) -> pa.Table:
        """Where the hits lie: time, file, row number. Their columns are fetched once it is known which are newest."""
        where = self._where(low, high)
        selects = []
        whole = [part.file for part in parts if part.groups is None]
        sources = [(relation(self.connection, self.lake.storage, EVENTS, whole, positions=True), "")] if whole else []
        for part in parts:
            if part.groups is not None:
                source = relation(self.connection, self.lake.storage, EVENTS, [part.file], positions=True)
                sources.append((source, f" AND ({_ranges(part.groups, low, high)})"))
        for source, numbers in sources:
            selects.append(
                f"SELECT epoch_us(time) AS t, filename, file_row_number FROM {source} WHERE {where}{numbers}"  # noqa: S608
            )
        union = " UNION ALL ".join(selects)
        return self._rows(
            f"{union} ORDER BY t DESC, filename, file_row_number LIMIT {int(limit)}", self.compiled.values
        )

    def _remote(self, parts: list[_Part], low: int, high: int, limit: int) -> pa.Table:
        files = [part.file for part in parts]
        source = relation(self.connection, self.lake.storage, EVENTS, files)
        listed = ", ".join(map(name, self.columns))
        sql = f"SELECT {listed} FROM {source} WHERE {self._where(low, high)}"  # noqa: S608
        return self._rows(f"{sql} ORDER BY time DESC LIMIT {int(limit)}", self.compiled.values)

    def _fetch(self, hits: pa.Table, parts: list[_Part]) -> pa.Table:
        files = {f"{self.lake.storage.uri}/events/{part.file.path}": part.file for part in parts}
        wanted: dict[str, list[int]] = {}
        for path, number in zip(hits["filename"].to_pylist(), hits["file_row_number"].to_pylist(), strict=True):
            wanted.setdefault(path, []).append(number)
        listed = ", ".join(map(name, self.columns))
        selects = []
        for path, numbers in wanted.items():
            source = relation(self.connection, self.lake.storage, EVENTS, [files[path]], positions=True)
            rows = ", ".join(map(str, numbers))
            selects.append(
                f'SELECT {listed}, epoch_us(time) AS "t\'", filename, file_row_number FROM {source} '  # noqa: S608
                f"WHERE file_row_number IN ({rows})"
            )
        union = " UNION ALL ".join(selects)
        sql = f'SELECT {listed} FROM ({union}) ORDER BY "t\'" DESC, filename, file_row_number'  # noqa: S608
        return self._rows(sql, [])


def _parts(lake: Lake, wanted: Search, compiled: Compiled) -> Iterator[_Part]:
    sources = _logsources(wanted.term)
    for file in lake.files(EVENTS):
        if not file.may_hold(wanted.since, wanted.until):
            continue
        if any(not each.fullmatch(file.partition["logsource"]) for each in sources):
            continue
        groups = _groups(lake, file, compiled)
        if groups is None or groups:
            yield _Part(file, groups)


def _groups(lake: Lake, file: DataFile, compiled: Compiled) -> list[Group] | None:
    """The row groups that may hold hits; None for all."""
    if compiled.need is None:
        return None
    path = sketch_path(EVENTS.name, file.path)
    found: dict[int, Group] = {}
    for places in compiled.need:
        groups = candidates(lake.storage, path, places)
        if groups is None:
            return None
        found |= {group.number: group for group in groups}
    return [found[number] for number in sorted(found)]


def _logsources(term: Term) -> list[re.Pattern[str]]:
    """What the log source of every hit looks like."""
    terms = term.terms if isinstance(term, And) else (term,)
    patterns = [each.pattern for each in terms if isinstance(each, Is) and each.field.lower() == "logsource"]
    wild = {"*": ".*", "?": "."}
    return [
        re.compile("".join(re.escape(p) if at % 2 == 0 else wild[p] for at, p in enumerate(pattern.parts)), re.I | re.S)
        for pattern in patterns
    ]


def _windows(parts: list[_Part], wanted: Search) -> Iterator[tuple[int, int]]:
    """Windows [low, high) from the newest possible hit backwards, each longer than the one before."""
    high = max(_last(part.file) for part in parts) + 1
    low = min(_first(part.file) for part in parts)
    if wanted.until is not None:
        high = min(high, wanted.until)
    if wanted.since is not None:
        low = max(low, wanted.since)
    width = _HOUR
    if sum(part.file.rows for part in parts) <= _FEW_ROWS:
        width = max(high - low, 1)
    while high > low:
        ends = [_last(part.file) + 1 for part in parts if _first(part.file) < high]
        if not ends:
            return
        high = min(high, max(ends))  # leap over days without events
        if high <= low:
            return
        begin = max(low, high - width)
        yield begin, high
        high = begin
        width *= _GROWTH


def _ranges(groups: list[Group], low: int, high: int) -> str:
    """SQL for the row numbers of those groups that may hold rows of the window."""
    spans: list[list[int]] = []
    for group in groups:
        if group.first < high and group.last >= low:
            if spans and spans[-1][1] == group.start - 1:
                spans[-1][1] = group.start + group.rows - 1
            else:
                spans.append([group.start, group.start + group.rows - 1])
    return " OR ".join(f"file_row_number BETWEEN {first} AND {last}" for first, last in spans) or "FALSE"


def _moment(micros: int) -> str:
    clamped = min(max(micros, -62_135_596_800_000_000), 253_402_300_799_999_999)
    when = datetime.fromtimestamp(clamped // 1_000_000, UTC).replace(microsecond=clamped % 1_000_000)
    return f"TIMESTAMPTZ {literal(when.isoformat())}"


def _first(file: DataFile) -> int:
    return file.first if file.first is not None else -(1 << 62)


def _last(file: DataFile) -> int:
    return file.last if file.last is not None else 1 << 62
