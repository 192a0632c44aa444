"""The lake: append exactly once, and say which files hold what."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Transaction
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError
from deltalake.transaction import AddAction, RemoveAction

from khien.lake.errors import ConflictError, LakeError
from khien.lake.files import DataFile, delete, moment, write_table
from khien.lake.schema import EVENTS, FINDINGS, KINDS, TableKind
from khien.lake.storage import Storage

_ATTEMPTS: Final = 12
_UPKEEP: Final = "khien-upkeep"
_COLUMNS: Final = ("path", "size_bytes", "num_records", "modification_time", "min.time", "max.time")
_CONFIGURATION: Final = {
    "delta.checkpointInterval": "100",
    "delta.logRetentionDuration": "interval 1 days",
    "delta.deletedFileRetentionDuration": "interval 1 days",
}


class Lake:
    """The tables `events` and `findings` below `root` (a folder, or `s3://bucket/prefix`), made when missing.

    Any number of processes may append to, read and maintain one lake at the same time; an object of this class
    belongs to one thread. `storage_options` are those of `Storage`. Raises LakeError when the lake can be neither
    opened nor (unless `create` is False) made.
    """

    def __init__(
        self, root: str | Path, storage_options: Mapping[str, str] | None = None, *, create: bool = True
    ) -> None:
        self.storage = Storage(root, storage_options)
        self._create = create
        self._tables: dict[str, DeltaTable] = {}
        for kind in KINDS:
            self._tables[kind.name] = self._open(kind)

    def append_events(self, table: pa.Table, *, app: str, version: int) -> bool:
        """Append rows of EVENT_SCHEMA; True when they were appended, False when they are in the lake already.

        `app` names the writer's stream (a spool lane), `version` grows with every batch of it: a batch at or below
        the last version of its app is skipped, so that a crash may repeat it. When this returns, the rows are on disk.
        Raises LakeError for other columns, ConflictError when the commit was beaten again and again.
        """
        return self._append(EVENTS, table, app, version)

    def append_findings(self, table: pa.Table, *, app: str, version: int) -> bool:
        """Append rows of FINDING_SCHEMA, as `append_events` does. The tables count their versions apart."""
        return self._append(FINDINGS, table, app, version)

    def version(self, app: str, kind: TableKind = EVENTS) -> int | None:
        """The last version that `app` has appended to a table; None before the first."""
        return self.table(kind).transaction_version(app)

    def table(self, kind: TableKind) -> DeltaTable:
        """The Delta table as it is now."""
        table = self._tables[kind.name]
        try:
            table.update_incremental()
        except (DeltaError, OSError) as error:  # a log that was cut behind this object: read it anew
            table = self._tables[kind.name] = self._reopen(kind, error)
        return table

    def files(self, kind: TableKind) -> list[DataFile]:
        """The files that make up the table now, by their first time."""
        return data_files(self.table(kind))

    def mark(self, kind: TableKind) -> int:
        """How often files of the table were replaced: what `replace` wants to know."""
        return self.table(kind).transaction_version(_UPKEEP) or 0

    def replace(self, kind: TableKind, mark: int, added: list[AddAction], removed: list[RemoveAction]) -> None:
        """Add and remove files in one step, unless files were replaced since `mark` was read.

        Delta lets two writers remove the same file and add its rows twice; the mark does not. Raises ConflictError.
        """
        if self.mark(kind) != mark:
            raise ConflictError("its files were replaced by another process", self._place(kind), "Try again")
        try:
            self._commit(kind, [*added, *removed], Transaction(_UPKEEP, mark + 1))
        except DeltaError as error:
            raise ConflictError(
                f"another process was faster: {_line(error)}", self._place(kind), "Try again"
            ) from error

    def _commit(self, kind: TableKind, actions: list[AddAction | RemoveAction], transaction: Transaction) -> None:
        table = self._tables[kind.name]
        before = table.version()
        table.create_write_transaction(
            actions,
            "append",
            kind.schema,
            partition_by=list(kind.partitions),
            commit_properties=CommitProperties(max_commit_retries=20, app_transactions=[transaction]),
        )
        if self.storage.local is not None:
            table.update_incremental()
            for version in range(before + 1, table.version() + 1):
                name = f"{kind.name}/_delta_log/{version:020d}.json"
                if self.storage.size(name) is not None:
                    self.storage.sync(name)

    def _append(self, kind: TableKind, table: pa.Table, app: str, version: int) -> bool:
        if table.schema != kind.schema:
            table = _fitted(kind, table)
        if self._has(kind, app, version):
            return False
        try:
            written = write_table(self.storage, kind, table)
        except OSError as error:
            what = f"{kind.name} cannot be written: {error.strerror or _line(error)}"
            raise LakeError(what, self._place(kind), "Check that the disk has room and can be written to") from error
        return self._commit_once(kind, written, app, version)  # files of a commit that failed are left to vacuum

    def _commit_once(self, kind: TableKind, written: list[AddAction], app: str, version: int) -> bool:
        last: Exception | None = None
        for attempt in range(_ATTEMPTS):
            try:
                self._commit(kind, list(written), Transaction(app, version))
                return True
            except CommitFailedError as error:
                last = error
            except DeltaError as error:
                if "ransaction" not in str(error):
                    raise LakeError(f"cannot be appended to: {_line(error)}", self._place(kind)) from error
                last = error
            if self._has(kind, app, version):
                delete(self.storage, kind, written)
                return False
            time.sleep(random.uniform(0, 0.02 * 2 ** min(attempt, 6)))  # noqa: S311 - spreads writers apart
        what = f"other writers were always faster: {_line(last) if last else ''}"
        raise ConflictError(what, self._place(kind), "Try again") from last

    def _has(self, kind: TableKind, app: str, version: int) -> bool:
        known = self.version(app, kind)
        return known is not None and known >= version

    def _place(self, kind: TableKind) -> str:
        return f"{self.storage.uri}/{kind.name}"

    def _open(self, kind: TableKind) -> DeltaTable:
        place = self._place(kind)
        options = self.storage.options or None
        try:
            return DeltaTable(self._place(kind), storage_options=options)
        except TableNotFoundError as error:
            if not self._create:
                raise LakeError("there is no lake", place, "Give the folder of one with --lake") from error
        except (DeltaError, OSError) as error:
            raise LakeError(f"the table cannot be opened: {_line(error)}", place) from error

        def make() -> DeltaTable:
            if self.storage.local is not None:
                Path(place).mkdir(parents=True, exist_ok=True)
            DeltaTable.create(
                self._place(kind),
                kind.schema,
                mode="ignore",
                partition_by=list(kind.partitions),
                name=kind.name,
                configuration=_CONFIGURATION,
                storage_options=options,
            )
            return DeltaTable(self._place(kind), storage_options=options)

        return _patiently(make, place)

    def _reopen(self, kind: TableKind, cause: Exception) -> DeltaTable:
        try:
            return DeltaTable(self._place(kind), storage_options=self.storage.options or None)
        except (DeltaError, OSError) as error:
            raise LakeError(f"the table cannot be read: {_line(error)}", self._place(kind)) from cause


def data_files(table: DeltaTable) -> list[DataFile]:
    """The files of a table at its loaded version, by their first time."""
    actions: Any = pa.table(table.get_add_actions(flatten=True))
    columns = {name: actions.column(name).to_pylist() for name in actions.column_names if _wanted(name)}
    count = actions.num_rows
    nothing: list[Any] = [None] * count
    partitions = [name for name in columns if name.startswith("partition.")]
    files = [
        DataFile(
            path=columns["path"][at],
            size=columns["size_bytes"][at],
            rows=columns.get("num_records", nothing)[at] or 0,
            partition={name.removeprefix("partition."): str(columns[name][at]) for name in partitions},
            first=moment(columns.get("min.time", nothing)[at]),
            last=moment(columns.get("max.time", nothing)[at]),
            changed=_millis(columns["modification_time"][at]),
        )
        for at in range(count)
    ]
    files.sort(key=lambda file: (file.partition["day"], file.first or 0, file.path))
    return files


def _wanted(name: str) -> bool:
    return name.startswith("partition.") or name in _COLUMNS


def _millis(value: Any) -> int:
    return value if isinstance(value, int) else (moment(value) or 0) // 1000


def _fitted(kind: TableKind, table: pa.Table) -> pa.Table:
    """The table with the columns of the kind, in order; those that are missing and may be, null."""
    unknown = set(table.column_names) - set(kind.schema.names)
    if unknown:
        raise LakeError(f"the table '{kind.name}' has no column '{min(unknown)}'")
    columns = []
    for field in kind.schema:
        if field.name in table.column_names:
            try:
                columns.append(table.column(field.name).cast(field.type))
            except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
                raise LakeError(f"the column '{field.name}' is not {field.type}: {_line(error)}") from error
        elif field.nullable:
            columns.append(pa.chunked_array([pa.nulls(table.num_rows, field.type)]))
        else:
            raise LakeError(f"the column '{field.name}' is missing")
    return pa.table(columns, schema=kind.schema)


def _patiently(make: Callable[[], DeltaTable], place: str) -> DeltaTable:
    """Try again where another process makes the same table at the same moment."""
    for attempt in range(_ATTEMPTS):
        try:
            return make()
        except (DeltaError, OSError) as error:
            last = error
            time.sleep(random.uniform(0, 0.05 * (attempt + 1)))  # noqa: S311 - spreads writers apart
    raise LakeError(f"the table cannot be made: {_line(last)}", place) from last


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:300]
