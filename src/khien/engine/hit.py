"""A base rule's match as correlation rules see it."""

from __future__ import annotations

import msgspec

from khien.events.batch import Value


class Hit(msgspec.Struct, frozen=True):
    """One event matched one rule.

    `time`: microseconds since 1970-01-01 UTC. `values`: the Sigma fields that `Correlator.fields`
    asked for, without those the event lacks. `path`, `record`: where the event stands.
    """

    time: int
    rule_id: str
    values: dict[str, Value]
    path: str = ""
    record: int = 0


class CorrelationMatch(msgspec.Struct, frozen=True):
    """A correlation came true. `time` is that of the hit that made it true.

    `group`: group-by field (or alias) to its text. `figures`: what was counted, e.g.
    {"count": 12}, {"distinct": 7}, {"sum": 1234.5}. `hits`: the window's hits, oldest first, at most the last 100.
    """

    correlation_id: str
    time: int
    group: dict[str, str]
    figures: dict[str, float | int]
    hits: tuple[Hit, ...]
