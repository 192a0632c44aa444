"""Records as format readers yield them, before they are told into kinds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from khien.events.batch import Event


@dataclass(slots=True)
class RecordBlock:
    """Some hundred to some thousand records of one input, in input order.

    `family` names the mapping tables that may tell these records into kinds ("windows", "syslog",
    "auditd", "weblog", "zeek", "cef", "csv" ...), or "json" when any table may claim a record.
    `numbers[i]` is the record or line number of `records[i]` in the file, from 1. `texts[i]` is
    the original line where the format has lines.
    """

    family: str
    numbers: Sequence[int]
    records: Sequence[Event]
    texts: Sequence[str] | None = None
