"""DuckDB over the lake's files: nothing but Parquet in, nothing else within reach."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import duckdb
import pyarrow as pa
import pyarrow.dataset as ds

from khien.lake.errors import QueryError
from khien.lake.files import DataFile
from khien.lake.schema import TableKind
from khien.lake.storage import Storage

_CONFIGURATION: Final = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "allow_community_extensions": "false",
    "python_enable_replacements": "false",
}


def connect(memory_mb: int | None = None, spill: str = "") -> duckdb.DuckDBPyConnection:
    """A connection to an empty database in memory, without extensions; times are UTC.

    `spill`: a folder for what does not fit into `memory_mb` MB; "" to fail instead.
    """
    configuration: dict[str, str | bool | int | float | list[str]] = dict(_CONFIGURATION)
    if memory_mb is not None:
        configuration["memory_limit"] = f"{memory_mb}MB"
    connection = duckdb.connect(config=configuration)
    connection.execute("SET temp_directory = $1", [spill])
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET preserve_insertion_order = false")
    connection.execute("SET parquet_metadata_cache = true")
    return connection


def seal(connection: duckdb.DuckDBPyConnection, paths: Sequence[str]) -> None:
    """From here on the connection reads these files alone, and its settings cannot be changed."""
    listed = ", ".join(literal(path) for path in paths)
    connection.execute(f"SET allowed_paths = [{listed}]")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")


def relation(
    connection: duckdb.DuckDBPyConnection,
    storage: Storage,
    kind: TableKind,
    files: Sequence[DataFile],
    *,
    positions: bool = False,
) -> str:
    """SQL to put after FROM: the rows of these files with all columns of the table.

    With `positions` (local folders only) also `filename` and `file_row_number`.
    """
    if not files:
        name = f"no_{kind.name}"
        connection.register(name, kind.schema.empty_table())
        return name
    if storage.local is None:
        name = f"dataset_{id(files):x}"
        connection.register(name, _dataset(storage, kind, files))
        return name
    paths = ", ".join(literal(path) for path in absolute(storage, kind, files))
    types = ", ".join(f"{name}: {'DATE' if name == 'day' else 'VARCHAR'}" for name in kind.partitions)
    extra = ", filename = true, file_row_number = true" if positions else ""
    return f"read_parquet([{paths}], hive_partitioning = true, hive_types = {{{types}}}{extra})"


def absolute(storage: Storage, kind: TableKind, files: Sequence[DataFile]) -> list[str]:
    """The files' paths on this machine."""
    return [f"{storage.uri}/{kind.name}/{file.path}" for file in files]


def _dataset(storage: Storage, kind: TableKind, files: Sequence[DataFile]) -> Any:
    partitioning = ds.partitioning(pa.schema([kind.schema.field(name) for name in kind.partitions]), flavor="hive")
    return ds.dataset(
        [f"{kind.name}/{file.path}" for file in files],
        schema=kind.schema,
        format="parquet",
        filesystem=storage.filesystem,
        partitioning=partitioning,
        partition_base_dir=kind.name,
    )


@contextmanager
def bounded(connection: duckdb.DuckDBPyConnection, seconds: float | None) -> Iterator[None]:
    """Run what is inside for at most `seconds`. DuckDB's errors leave it as QueryError."""
    late = threading.Event()

    def stop() -> None:
        late.set()
        connection.interrupt()

    timer = threading.Timer(seconds, stop) if seconds else None
    if timer:
        timer.daemon = True
        timer.start()
    try:
        yield
    except duckdb.OutOfMemoryException as error:
        raise QueryError(
            "the query needs more memory than it may use", remedy="Ask for less at once, or raise --memory"
        ) from error
    except (duckdb.Error, pa.ArrowException, RuntimeError) as error:
        if late.is_set():
            raise QueryError(
                f"the query took longer than {seconds:g} s", remedy="Narrow it by day or time, or raise --timeout"
            ) from error
        if isinstance(error, RuntimeError) and not isinstance(error, duckdb.Error):
            raise
        raise QueryError(_first_lines(error)) from error
    finally:
        if timer:
            timer.cancel()


def literal(text: str) -> str:
    """A text as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def name(text: str) -> str:
    """A name as a quoted SQL identifier."""
    return '"' + text.replace('"', '""') + '"'


def _first_lines(error: BaseException) -> str:
    lines = [line.rstrip() for line in str(error).strip().splitlines() if line.strip()]
    return "\n".join(lines[:6])
