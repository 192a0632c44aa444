"""Whether the lake is whole: every file there and readable, the log true, no event twice."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake.exceptions import DeltaError

from khien.lake.errors import QueryError
from khien.lake.files import DataFile
from khien.lake.reading import bounded, connect, name, relation
from khien.lake.schema import KINDS, TableKind
from khien.lake.store import Lake

_MOST: Final = 20


@dataclass(slots=True)
class CheckReport:
    """What a check found. `faults`: sentences with the file they are about; `orphans`: files that no log names.

    Orphans are what writers that were killed left behind: they do no harm, and `vacuum` deletes them.
    """

    files: int = 0
    rows: int = 0
    size: int = 0
    faults: list[str] = field(default_factory=list)
    orphans: list[str] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        """Whether nothing is wrong."""
        return not self.faults


def check(lake: Lake, *, deep: bool = False, memory_mb: int = 1024) -> CheckReport:
    """Look at every file that the logs name: there, its size, rows, columns, times and day as the log says, no doubles.

    With `deep`, every page of every file is read and its values decoded too.
    """
    report = CheckReport()
    for kind in KINDS:
        files = lake.files(kind)
        whole = []
        for file in files:
            faults = list(_file_faults(lake, kind, file, deep))
            report.faults += [f"{kind.name}/{file.path}: {fault}" for fault in faults]
            if not faults:
                whole.append(file)
        report.files += len(files)
        report.rows += sum(file.rows for file in files)
        report.size += sum(file.size for file in files)
        report.faults += [f"{kind.name}: {fault}" for fault in _doubles(lake, kind, whole, memory_mb)]
        report.orphans += _orphans(lake, kind, files)
    return report


def _file_faults(lake: Lake, kind: TableKind, file: DataFile, deep: bool) -> Iterator[str]:
    path = f"{kind.name}/{file.path}"
    size = lake.storage.size(path)
    if size is None:
        yield "the log names it, but it is missing"
        return
    if size != file.size:
        yield f"it has {size:,} bytes, the log says {file.size:,}"
        return
    try:
        with lake.storage.open(path) as stream:
            reader = pq.ParquetFile(stream)
            yield from _content_faults(kind, file, reader, deep)
    except (OSError, ValueError, pa.ArrowException) as error:
        yield f"it cannot be read: {' '.join(str(error).split())[:200]}"


def _content_faults(kind: TableKind, file: DataFile, reader: Any, deep: bool) -> Iterator[str]:
    metadata = reader.metadata
    if metadata.num_rows != file.rows:
        yield f"it has {metadata.num_rows:,} rows, the log says {file.rows:,}"
    missing = set(kind.file_schema.names) - set(reader.schema_arrow.names)
    if missing:
        yield f"it has no column '{min(missing)}'"
        return
    column = reader.schema_arrow.names.index("time")
    bounds = [metadata.row_group(at).column(column).statistics for at in range(metadata.num_row_groups)]
    known = [each for each in bounds if each is not None and each.has_min_max]
    if known and len(known) == len(bounds):
        first, last = min(int(each.min_raw) for each in known), max(int(each.max_raw) for each in known)
        if (first, last) != (file.first, file.last):
            yield "its times are not those the log says"
        for moment in (first, last):
            day = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=moment)).date()
            if kind.name == "events" and day != file.day:
                yield f"it has rows of {day}"
                break
    if deep:
        rows = sum(batch.num_rows for batch in reader.iter_batches(batch_size=4096))
        if rows != file.rows:
            yield f"{rows:,} rows can be read, the log says {file.rows:,}"


def _doubles(lake: Lake, kind: TableKind, files: list[DataFile], memory_mb: int) -> Iterator[str]:
    if not files:
        return
    unique = name(kind.unique)
    with tempfile.TemporaryDirectory(prefix="khien-check-") as spill:
        connection = connect(memory_mb, spill)
        try:
            source = relation(connection, lake.storage, kind, files)
            sql = (
                f"SELECT {unique}, count(*) FROM {source} WHERE {unique} IS NOT NULL "  # noqa: S608
                f"GROUP BY 1 HAVING count(*) > 1 ORDER BY 1 LIMIT {_MOST + 1}"
            )
            with bounded(connection, None):
                found = connection.execute(sql).fetchall()
        except QueryError as error:
            yield f"doubles cannot be looked for: {error.what}"
            return
        finally:
            connection.close()
    for value, count in found[:_MOST]:
        yield f"{count} rows have the {kind.unique} '{value}'"
    if len(found) > _MOST:
        yield f"and more rows share a {kind.unique}"


def _orphans(lake: Lake, kind: TableKind, files: list[DataFile]) -> list[str]:
    """Data files that neither the log names nor a version younger than the vacuum's bound needs."""
    named = {f"{kind.name}/{file.path}" for file in files}
    try:
        removed = set(lake.table(kind).vacuum(retention_hours=0, dry_run=True, enforce_retention_duration=False))
    except DeltaError:
        removed = set()
    removed = {f"{kind.name}/{path}" for path in removed}
    return sorted(
        path
        for path, _, _ in lake.storage.walk(kind.name)
        if path.endswith(".parquet") and "/_delta_log/" not in path and path not in named and path not in removed
    )
