"""A finding: one rule matched by one event, or by a group of events (correlation)."""

from __future__ import annotations

import msgspec

from khien.events.batch import Event, Value
from khien.events.logsource import LogSource
from khien.rules import collection

LEVELS = collection.LEVELS


def shown(value: Value) -> str:
    """A value as people read it: a text as it is, anything else as JSON."""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


class Matched(msgspec.Struct, frozen=True):
    """One field test that held: the Sigma field ("" for keywords), its value, the rule's pattern."""

    field: str
    value: Value
    pattern: str


class Finding(msgspec.Struct):
    """The stable output record, written as one line of NDJSON. `docs/output.md` describes it.

    `time` is RFC 3339 in UTC with microseconds and `Z`, "" when the event has none. `record` is
    the record number in `path` from 1. A correlation's finding has `event` = the group-by fields
    and the counted figures, and `events` = the findings' references (path, record, rule_id, time) that
    made it, at most 100.
    """

    rule_id: str
    title: str
    level: str
    status: str
    tags: list[str]
    logsource: LogSource
    time: str
    host: str
    user: str
    path: str
    record: int
    matched: list[Matched]
    event: Event
    events: list[dict[str, Value]] = []
