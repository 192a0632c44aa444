"""Trying again what could not be parsed: after a mapping or a format is mended."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake.transaction import AddAction, RemoveAction

from khien.lake.errors import ConflictError, LakeError
from khien.lake.files import ROW_GROUP, DataFile, FileWriter, delete, write_table
from khien.lake.schema import EVENT_SCHEMA, EVENTS, UNPARSED
from khien.lake.store import Lake

_PLACE: Final = re.compile(r"(\d{1,9}):(\d{1,18}):(\d{1,7})\Z")
_MOST_LINES: Final = 1_000_000
_WRITTEN_AT: Final = 200_000
_ATTEMPTS: Final = 5


@dataclass(frozen=True, slots=True)
class Lines:
    """Original lines that came in one parcel. `numbers`: theirs in it, from 1; `received`: microseconds UTC."""

    lane: int
    sequence: int
    numbers: tuple[int, ...]
    texts: tuple[str, ...]
    source: str
    unit: str
    received: int


Parser = Callable[[Lines], pa.Table]
"""Rows of EVENT_SCHEMA for lines: `spool` is `lane:sequence:number`; those of log source `unparsed` do not count."""
Watch = Callable[[int, int], None]
"""Gets how many rows were tried, and how many there are to try."""


@dataclass(slots=True)
class Reparsed:
    """What came of it: rows tried, how many of them were parsed, by source, and how many events they gave."""

    tried: int = 0
    events: int = 0
    parsed: Counter[str] = field(default_factory=Counter)
    left: Counter[str] = field(default_factory=Counter)


def reparse(
    lake: Lake,
    parse: Parser,
    *,
    since: int | None = None,
    until: int | None = None,
    source: str | None = None,
    watch: Watch = lambda done, of: None,
) -> Reparsed:
    """Parse the unparsed rows of a period (microseconds UTC, `since` included, `until` not), of one source or all.

    What can be parsed now replaces what was there, in one commit; the rest stays as it is, so that doing it again
    changes nothing. Safe beside writers and upkeep: when files were replaced meanwhile, it begins again; raises
    ConflictError when that happens again and again, LakeError when files cannot be read or written.
    """
    attempt = 0
    while True:
        mark = lake.mark(EVENTS)
        run = _Run(lake, parse, since, until, source, watch)
        try:
            run.through(_files(lake, since, until))
        except BaseException as error:
            delete(lake.storage, EVENTS, run.added)
            attempt += 1
            if not isinstance(error, ConflictError) or attempt == _ATTEMPTS:
                raise
            continue
        try:
            if run.added or run.removed:
                lake.replace(EVENTS, mark, run.added, run.removed)
            return run.done
        except ConflictError:  # of any other error it is not known what became of it: files are left to vacuum
            delete(lake.storage, EVENTS, run.added)
            attempt += 1
            if attempt == _ATTEMPTS:
                raise
            time.sleep(0.2 * attempt)


def _files(lake: Lake, since: int | None, until: int | None) -> list[DataFile]:
    return [
        file for file in lake.files(EVENTS) if file.partition["logsource"] == UNPARSED and file.may_hold(since, until)
    ]


class _Run:
    """One pass through the files: what to add and what to remove when it is done."""

    def __init__(
        self, lake: Lake, parse: Parser, since: int | None, until: int | None, source: str | None, watch: Watch
    ) -> None:
        self._lake = lake
        self._parse = parse
        self._since, self._until, self._source = since, until, source
        self._watch = watch
        self._parsed: list[pa.Table] = []
        self._waiting = 0
        self.added: list[AddAction] = []
        self.removed: list[RemoveAction] = []
        self.done = Reparsed()

    def through(self, files: list[DataFile]) -> None:
        """Every file, one after another."""
        total = sum(file.rows for file in files)
        seen = 0
        for file in files:
            try:
                self._file(file, seen, total)
            except FileNotFoundError as error:
                raise ConflictError("a file was merged meanwhile", file.path, "Try again") from error
            except (OSError, pa.ArrowException) as error:
                raise LakeError(f"cannot be parsed again: {error}", file.path, "Run khien lake check") from error
            seen += file.rows
            self._watch(seen, total)
        self._flush()

    def _file(self, file: DataFile, seen: int, total: int) -> None:
        """The rows that stay go to a new file, if any row does not."""
        writer = FileWriter(self._lake.storage, EVENTS, file.partition)
        replaced = kept = 0
        try:
            with self._lake.storage.open(f"{EVENTS.name}/{file.path}") as stream:
                for batch in pq.ParquetFile(stream).iter_batches(ROW_GROUP, columns=EVENTS.file_schema.names):
                    table = pa.Table.from_batches([batch]).cast(EVENTS.file_schema)
                    stays = self._batch(table)
                    replaced += table.num_rows - stays.num_rows
                    kept += stays.num_rows
                    if stays.num_rows:
                        writer.write(stays)
                    seen += table.num_rows
                    self._watch(seen, total)
        except BaseException:
            writer.abandon()
            raise
        if replaced and kept:
            self.added.append(writer.close())
        else:
            writer.abandon()
        if replaced:
            self.removed.append(file.removal(data_change=True))

    def _batch(self, table: pa.Table) -> pa.Table:
        """Parse what is asked for; the rows that stay."""
        wanted = self._wanted(table)
        gone: set[int] = set()
        for lines, at in _parcels(table, wanted):
            rows = self._parse(lines)
            rows = rows.filter(pc.not_equal(rows.column("logsource"), UNPARSED))
            self.done.tried += len(at)
            parsed = {_number(spool) for spool in rows.column("spool").to_pylist()}
            replaced = [row for number, row in zip(lines.numbers, at, strict=True) if number in parsed]
            gone.update(replaced)
            self.done.parsed[lines.source] += len(replaced)
            self.done.left[lines.source] += len(at) - len(replaced)
            self.done.events += rows.num_rows
            if rows.num_rows:
                self._parsed.append(rows.select(EVENT_SCHEMA.names))
                self._waiting += rows.num_rows
        if self._waiting >= _WRITTEN_AT:
            self._flush()
        if not gone:
            return table
        return table.take(pa.array([row for row in range(table.num_rows) if row not in gone], pa.int64()))

    def _wanted(self, table: pa.Table) -> list[int]:
        times = table.column("time").cast(pa.int64())
        mask: Any = pc.is_valid(table.column("raw"))
        if self._since is not None:
            mask = pc.and_(mask, pc.greater_equal(times, self._since))
        if self._until is not None:
            mask = pc.and_(mask, pc.less(times, self._until))
        if self._source is not None:
            mask = pc.and_(mask, pc.fill_null(pc.equal(table.column("source"), self._source), False))
        return [at for at, yes in enumerate(mask.to_pylist()) if yes]

    def _flush(self) -> None:
        if self._parsed:
            self.added += write_table(self._lake.storage, EVENTS, pa.concat_tables(self._parsed))
        self._parsed, self._waiting = [], 0


def _parcels(table: pa.Table, wanted: Iterable[int]) -> Iterator[tuple[Lines, list[int]]]:
    """The wanted rows by the parcel they came in, with their numbers in the table. A row without a place is left."""
    names = ("spool", "raw", "source", "unit")
    spools, texts, sources, units = (table.column(name).to_pylist() for name in names)
    received = table.column("received").cast(pa.int64()).to_pylist()
    parcels: dict[tuple[int, int, str, str, int], list[tuple[int, int]]] = {}
    for at in wanted:
        place = _PLACE.match(spools[at] or "")
        if place is not None and 1 <= int(place[3]) <= _MOST_LINES:
            key = int(place[1]), int(place[2]), sources[at] or "", units[at] or "", received[at]
            parcels.setdefault(key, []).append((int(place[3]), at))
    for (lane, sequence, source, unit, moment), rows in parcels.items():
        rows.sort()
        numbers = tuple(number for number, _ in rows)
        lines = tuple(texts[at] for _, at in rows)
        yield Lines(lane, sequence, numbers, lines, source, unit, moment), [at for _, at in rows]


def _number(spool: str) -> int:
    """The line of a row's place; several events of a line may share it, with something after a point."""
    return int(spool.rpartition(":")[2].partition(".")[0])
