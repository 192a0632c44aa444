"""The columns of the lake's two tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import pyarrow as pa

MOMENT: Final = pa.timestamp("us", tz="UTC")
"""Microseconds since 1970-01-01 UTC."""

EVENT_SCHEMA: Final = pa.schema(
    [
        pa.field("day", pa.date32(), nullable=False),
        pa.field("logsource", pa.string(), nullable=False),
        pa.field("time", MOMENT, nullable=False),
        pa.field("received", MOMENT, nullable=False),
        pa.field("source", pa.string()),
        pa.field("unit", pa.string()),
        pa.field("host", pa.string()),
        pa.field("user", pa.string()),
        pa.field("src_ip", pa.string()),
        pa.field("dst_ip", pa.string()),
        pa.field("process", pa.string()),
        pa.field("command_line", pa.string()),
        pa.field("domain", pa.string()),
        pa.field("url", pa.string()),
        pa.field("file_hash", pa.string()),
        pa.field("event_id", pa.string()),
        pa.field("event", pa.string()),
        pa.field("raw", pa.string()),
        pa.field("reason", pa.string()),
        pa.field("spool", pa.string()),
    ]
)
"""One row an event. `day` (the UTC date of `time`) and `logsource` ("windows-sysmon", "linux-sshd", "unparsed":
letters, digits, `-`, `_`, `.`) are partitions. `time` is the event's own time, or `received` where it has none.
`event` is a JSON object of all its fields, `raw` the original text where that is not `event` itself, `reason` why it
could not be parsed, `spool` the lane and sequence number it came by: no two rows share one."""

FINDING_SCHEMA: Final = pa.schema(
    [
        pa.field("day", pa.date32(), nullable=False),
        pa.field("finding_id", pa.string(), nullable=False),
        pa.field("time", MOMENT),
        pa.field("rule_id", pa.string()),
        pa.field("title", pa.string()),
        pa.field("level", pa.string()),
        pa.field("status", pa.string()),
        pa.field("tags", pa.list_(pa.string())),
        pa.field("logsource", pa.string()),
        pa.field("source", pa.string()),
        pa.field("unit", pa.string()),
        pa.field("host", pa.string()),
        pa.field("user", pa.string()),
        pa.field("path", pa.string()),
        pa.field("record", pa.int64()),
        pa.field("matched", pa.string()),
        pa.field("event", pa.string()),
        pa.field("events", pa.string()),
    ]
)
"""One row a finding, as `docs/output.md` has it. `day` (the UTC date of `time`, or of its arrival where it has
none) is the partition; `finding_id` is unique; `matched`, `event` and `events` are JSON."""


@dataclass(frozen=True, slots=True)
class TableKind:
    """A table of the lake: its folder, columns, and how its files are written.

    `dictionary`: columns whose values recur; `statistics`: columns whose least and greatest value stand in the
    log for every file; `unique`: the column no two rows share a value of.
    """

    name: str
    schema: pa.Schema
    partitions: tuple[str, ...]
    dictionary: tuple[str, ...]
    statistics: tuple[str, ...]
    unique: str

    @property
    def file_schema(self) -> pa.Schema:
        """The columns inside data files: all but the partitions, which stand in the path."""
        return pa.schema([field for field in self.schema if field.name not in self.partitions])


UNPARSED: Final = "unparsed"
"""The log source of what could not be parsed."""

EVENTS: Final = TableKind(
    "events",
    EVENT_SCHEMA,
    ("day", "logsource"),
    (
        *("source", "unit", "host", "user", "src_ip", "dst_ip", "process", "command_line"),
        *("domain", "url", "file_hash", "event_id", "reason"),
    ),
    ("time", "received", "host"),
    "spool",
)
FINDINGS: Final = TableKind(
    "findings",
    FINDING_SCHEMA,
    ("day",),
    ("rule_id", "title", "level", "status", "logsource", "source", "unit", "host", "user", "path"),
    ("time",),
    "finding_id",
)
KINDS: Final = (EVENTS, FINDINGS)
