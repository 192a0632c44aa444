"""Many files of a partition into one, in order of time, without holding them all in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from deltalake.transaction import AddAction

from khien.lake.files import ROW_GROUP, DataFile, FileWriter, in_order
from khien.lake.schema import TableKind
from khien.lake.sketch import SketchBuilder, sketch_path
from khien.lake.storage import Storage

_MOST_BYTES = 96 << 20
"""A row group ends at ROW_GROUP rows or near this many bytes of memory."""

_SKETCHED = 500_000


@dataclass(slots=True)
class _Piece:
    """A row group of an input. Times in microseconds since 1970 UTC."""

    reader: Any
    number: int
    first: int
    last: int
    size: int


class Overlap:
    """How much memory row groups lying over each other in time take while files are merged.

    Files come in order of their first time; rows are taken as if each file were one row group.
    """

    def __init__(self, storage: Storage, kind: TableKind) -> None:
        self._storage, self._kind = storage, kind
        self._sizes: dict[str, int] = {}
        self._held: list[tuple[int, int]] = []

    def with_(self, file: DataFile) -> int:
        """The bytes held at once when this file comes next."""
        return self._memory(file) + sum(size for last, size in self._held if last >= (file.first or 0))

    def add(self, file: DataFile) -> None:
        """Take the file in."""
        self._held = [each for each in self._held if each[0] >= (file.first or 0)]
        self._held.append((file.last or 0, self._memory(file)))

    def _memory(self, file: DataFile) -> int:
        """A file read in order of time has one row group in memory; its neighbours may need two."""
        known = self._sizes.get(file.path)
        if known is None:
            try:
                with self._storage.open(f"{self._kind.name}/{file.path}") as stream:
                    metadata = pq.read_metadata(stream)
                groups = [metadata.row_group(at).total_byte_size for at in range(metadata.num_row_groups)]
                known = 2 * max(groups, default=0)
            except (OSError, pa.ArrowException):
                known = 0  # the merge will tell
            self._sizes[file.path] = known
        return known


def merge(storage: Storage, kind: TableKind, files: Sequence[DataFile]) -> AddAction:
    """Write one file with all rows of `files` (of one partition), and its sketch. Raises OSError and ArrowException."""
    writer = FileWriter(storage, kind, files[0].partition)
    sketch = SketchBuilder() if sketched(kind, files) else None
    try:
        for group in _groups(storage, kind, files):
            writer.write(group)
            if sketch:
                sketch.add(group)
        if sketch:
            with storage.create(sketch_path(kind.name, writer.path)) as stream:
                stream.write(sketch.encode())
        return writer.close(data_change=False)
    except BaseException:
        writer.abandon()
        storage.delete(sketch_path(kind.name, writer.path))
        raise


def sketched(kind: TableKind, files: Sequence[DataFile]) -> bool:
    """Whether a sketch of these files, merged, is worth its room."""
    return kind.name == "events" and sum(file.size for file in files) >= _SKETCHED


def _groups(storage: Storage, kind: TableKind, files: Sequence[DataFile]) -> Iterator[pa.Table]:
    """The rows in order of time, as tables of one row group each."""
    ready: list[pa.Table] = []
    count = size = 0
    for rows in _sorted(storage, kind, files):
        ready.append(rows)
        count += rows.num_rows
        size += rows.nbytes
        if count >= ROW_GROUP or size >= _MOST_BYTES:
            table = in_order(pa.concat_tables(ready)).combine_chunks()
            step = ROW_GROUP if size < _MOST_BYTES else max(1, min(ROW_GROUP, count * _MOST_BYTES // size))
            at = 0
            while count - at >= step:
                yield table.slice(at, step)
                at += step
            rest = table.slice(at)
            ready = [rest] if rest.num_rows else []
            count, size = rest.num_rows, rest.nbytes if rest.num_rows else 0
    if count:
        yield in_order(pa.concat_tables(ready)).combine_chunks()


def _sorted(storage: Storage, kind: TableKind, files: Sequence[DataFile]) -> Iterator[pa.Table]:
    """Slices whose rows are never older than all rows of the slices before them, but for rows of the same time."""
    pieces = [piece for file in files for piece in _pieces(storage, kind, file)]
    pieces.sort(key=lambda piece: piece.first)
    open_: list[tuple[Any, pa.Table]] = []
    for at, piece in enumerate(pieces):
        table = piece.reader.read_row_group(piece.number, columns=kind.file_schema.names).select(kind.file_schema.names)
        table = in_order(table.cast(kind.file_schema))
        open_.append((np.asarray(table.column("time").cast(pa.int64())), table))
        horizon = pieces[at + 1].first if at + 1 < len(pieces) else None
        still = []
        taken = []
        for times, rows in open_:
            end = len(times) if horizon is None else int(np.searchsorted(times, horizon, side="left"))
            if end:
                taken.append(rows.slice(0, end))
            if end < len(times):
                still.append((times[end:], rows.slice(end)))
        open_ = still
        if taken:
            yield in_order(pa.concat_tables(taken)) if len(taken) > 1 else taken[0]


def _pieces(storage: Storage, kind: TableKind, file: DataFile) -> list[_Piece]:
    reader = pq.ParquetFile(storage.open(f"{kind.name}/{file.path}"), pre_buffer=False)
    column = reader.schema_arrow.names.index("time")
    pieces = []
    for number in range(reader.metadata.num_row_groups):
        group = reader.metadata.row_group(number)
        statistics = group.column(column).statistics
        if statistics is not None and statistics.has_min_max:
            first, last = int(statistics.min_raw), int(statistics.max_raw)
        else:
            first, last = file.first or 0, file.last or 0
        pieces.append(_Piece(reader, number, first, last, group.total_byte_size))
    return pieces
