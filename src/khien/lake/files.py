"""The data files of the lake: Parquet, sorted by time, one partition each."""

from __future__ import annotations

import re
import time as clock
import uuid
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake.transaction import AddAction, RemoveAction

from khien.lake.errors import LakeError
from khien.lake.schema import TableKind
from khien.lake.storage import Storage

ROW_GROUP: Final = 16_384
_ZSTD_LEVEL: Final = 3
_PAGE: Final = 8 << 20  # zstd finds what recurs within a page only
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}\Z")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class DataFile:
    """A file that the log of a table names.

    `path` is relative to the table's folder; `partition` has the values as the log writes them; `first` and `last` are
    the least and greatest `time` in it (microseconds since 1970-01-01 UTC; None where the log does not say).
    """

    path: str
    size: int
    rows: int
    partition: dict[str, str]
    first: int | None
    last: int | None
    changed: int

    @property
    def day(self) -> date:
        """The UTC day of its rows."""
        return date.fromisoformat(self.partition["day"])

    def may_hold(self, since: int | None, until: int | None) -> bool:
        """Whether rows of this period can be in it (microseconds UTC; `since` included, `until` not)."""
        after = since is None or self.last is None or self.last >= since
        return after and (until is None or self.first is None or self.first < until)

    def removal(self, *, data_change: bool) -> RemoveAction:
        """What the log is to say when the file is no longer part of the table."""
        return RemoveAction(
            path=self.path,
            data_change=data_change,
            deletion_timestamp=int(clock.time() * 1000),
            size=self.size,
            partition_values=dict(self.partition),
        )


class FileWriter:
    """Writes one data file row group by row group; `close` gives what the log is to say of it."""

    def __init__(self, storage: Storage, kind: TableKind, partition: dict[str, str]) -> None:
        folder = "/".join(f"{name}={partition[name]}" for name in kind.partitions)
        self.path = f"{folder}/part-{uuid.uuid4().hex}.parquet"
        self._whole = f"{kind.name}/{self.path}"
        self._storage, self._kind, self._partition = storage, kind, partition
        self._rows = 0
        self._least: dict[str, Any] = {}
        self._greatest: dict[str, Any] = {}
        self._nulls = dict.fromkeys(kind.statistics, 0)
        self._stream = storage.create(self._whole)
        self._writer = pq.ParquetWriter(
            self._stream,
            kind.file_schema,
            compression="zstd",
            compression_level=_ZSTD_LEVEL,
            use_dictionary=list(kind.dictionary),
            write_statistics=[*kind.statistics, *(() if "host" in kind.statistics else ("host",))],
            data_page_size=_PAGE,
            max_rows_per_page=ROW_GROUP,
            store_schema=False,
        )

    def write(self, table: pa.Table) -> None:
        """Append rows (without the partition columns), already in order of time."""
        self._writer.write_table(table, row_group_size=ROW_GROUP)
        self._rows += table.num_rows
        for name in self._kind.statistics:
            column = table.column(name)
            self._nulls[name] += column.null_count
            bounds = pc.min_max(column)
            least, greatest = bounds["min"].as_py(), bounds["max"].as_py()
            if least is not None:
                self._least[name] = min(least, self._least.get(name, least))
                self._greatest[name] = max(greatest, self._greatest.get(name, greatest))

    def close(self, data_change: bool = True) -> AddAction:
        """Finish the file and bring it to disk."""
        self._writer.close()
        self._stream.close()
        self._storage.sync(self._whole)
        stats = {
            "numRecords": self._rows,
            "minValues": {name: _log_value(value) for name, value in self._least.items()},
            "maxValues": {name: _log_value(value) for name, value in self._greatest.items()},
            "nullCount": self._nulls,
        }
        return AddAction(
            path=self.path,
            size=self._storage.size(self._whole) or 0,
            partition_values=self._partition,
            modification_time=int(clock.time() * 1000),
            data_change=data_change,
            stats=orjson.dumps(stats).decode(),
        )

    def abandon(self) -> None:
        """Leave the file unfinished and delete it."""
        with suppress(OSError, pa.ArrowException):
            self._writer.close()
        with suppress(OSError, pa.ArrowException):
            self._stream.close()
        self._storage.delete(self._whole)


def write_table(storage: Storage, kind: TableKind, table: pa.Table) -> list[AddAction]:
    """Write the rows of a table, in any order, to one file a partition. What was written is deleted on error."""
    done: list[AddAction] = []
    try:
        for partition, rows in partitions(kind, table):
            writer = FileWriter(storage, kind, partition)
            try:
                writer.write(rows)
                done.append(writer.close())
            except BaseException:
                writer.abandon()
                raise
    except BaseException:
        delete(storage, kind, done)
        raise
    return done


def delete(storage: Storage, kind: TableKind, actions: Iterable[AddAction]) -> None:
    """Delete files that were written but not committed."""
    for action in actions:
        storage.delete(f"{kind.name}/{action.path}")


def partitions(kind: TableKind, table: pa.Table) -> Iterator[tuple[dict[str, str], pa.Table]]:
    """Cut a table by partition; each part in order of time. Raises LakeError for a partition without a proper name."""
    if not table.num_rows:
        return
    names = list(kind.partitions)
    keys = table.select(names).group_by(names).aggregate([])
    for key in keys.to_pylist():
        part = table
        if keys.num_rows > 1:
            mask = None
            for name in names:
                equal = pc.equal(table.column(name), pa.scalar(key[name], table.schema.field(name).type))
                mask = equal if mask is None else pc.and_(mask, equal)
            part = table.filter(mask)
        part = in_order(part.select(kind.file_schema.names))
        yield {name: _partition_text(name, key[name]) for name in names}, part


def in_order(table: pa.Table) -> pa.Table:
    """The rows by time; rows of one time keep their order."""
    if table.num_rows < 2:
        return table
    times = table.column("time").cast(pa.int64())
    if times.null_count == 0 and pc.min(pc.pairwise_diff(times.combine_chunks())).as_py() >= 0:
        return table
    numbered = pa.table({"time": times, "at": pa.arange(0, table.num_rows)})
    return table.take(pc.sort_indices(numbered, [("time", "ascending"), ("at", "ascending")]))


def _partition_text(name: str, value: Any) -> str:
    text = value.isoformat() if isinstance(value, date) else str(value)
    if value is None or not _NAME.match(text):
        raise LakeError(f"'{text}' is no value for the partition '{name}'", remedy="Use letters, digits, '-', '_', '.'")
    return text


def _log_value(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return value


def moment(value: datetime | None) -> int | None:
    """Microseconds since 1970-01-01 UTC."""
    if value is None:
        return None
    if value.tzinfo is None:
        value = value.replace(tzinfo=UTC)
    return (value - _EPOCH) // timedelta(microseconds=1)
