"""Results of the lake as CSV, NDJSON, Parquet. Times are RFC 3339 in UTC."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any, BinaryIO

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from khien.findings.csv_rows import csv_line, safe
from khien.lake.schema import FINDING_SCHEMA

_JSON = frozenset({"event", "matched", "events"}) & frozenset(FINDING_SCHEMA.names)


def write_csv(reader: pa.RecordBatchReader, stream: BinaryIO) -> int:
    """RFC 4180 with a header; a text that a spreadsheet takes for a formula gets an apostrophe before it."""
    stream.write(csv_line([safe(name) for name in reader.schema.names]))
    count = 0
    for batch in reader:
        for row in rows(batch):
            stream.write(csv_line([value if _numeric(value) else safe(value_text(value)) for value in row]))
            count += 1
    return count


def write_ndjson(reader: pa.RecordBatchReader, stream: BinaryIO) -> int:
    """One object a line; the columns `event`, `matched` and `events` as the JSON they hold."""
    count = 0
    names = reader.schema.names
    for batch in reader:
        lines = []
        for row in rows(batch):
            record = {name: _json_value(name, value) for name, value in zip(names, row, strict=True)}
            lines.append(orjson.dumps(record, default=value_text, option=orjson.OPT_APPEND_NEWLINE))
        stream.write(b"".join(lines))
        count += len(lines)
    return count


def write_parquet(reader: pa.RecordBatchReader, stream: BinaryIO) -> int:
    """One Parquet file, zstd."""
    count = 0
    with pq.ParquetWriter(stream, reader.schema, compression="zstd") as writer:
        for batch in reader:
            writer.write_batch(batch)
            count += batch.num_rows
    return count


WRITERS: dict[str, Callable[[pa.RecordBatchReader, BinaryIO], int]] = {
    "csv": write_csv,
    "ndjson": write_ndjson,
    "parquet": write_parquet,
}


def value_text(value: Any) -> str:
    """A value as text: times in UTC, null as nothing, lists and objects as JSON."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, datetime):
        if value.tzinfo is None:
            return value.isoformat()
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, list | dict):
        return orjson.dumps(value, default=value_text, option=orjson.OPT_NON_STR_KEYS).decode()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, timedelta):
        return f"{value.total_seconds():g} s"
    return str(value)


def rows(batch: pa.RecordBatch) -> Iterator[tuple[Any, ...]]:
    """The rows of a batch as Python values."""
    return zip(*(column.to_pylist() for column in batch.columns), strict=True)


def _json_value(name: str, value: Any) -> Any:
    if name in _JSON and isinstance(value, str):
        try:
            return orjson.loads(value)
        except orjson.JSONDecodeError:
            return value
    if isinstance(value, datetime | date | timedelta | bytes):
        return value_text(value)
    if isinstance(value, int) and not -(1 << 63) <= value < 1 << 64:
        return str(value)
    return value


def _numeric(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
