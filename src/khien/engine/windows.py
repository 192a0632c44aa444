"""The window of one group of a correlation: what each type keeps of its hits, and when it is true."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from khien.engine.figures import EventCount, Figures, Ranked, Total, ValueCount
from khien.engine.hit import Hit
from khien.engine.sequences import Absence, Ordered, OrderedCount, OrderedTree, Temporal, TemporalCount, has_not
from khien.events.batch import Value
from khien.rules.model import Correlation, RefAnd, RuleRef


class Window(Protocol):
    """The hits of one group within the timespan that ends at the last of them."""

    def takes(self, values: Sequence[Value]) -> bool:
        """Whether a hit with these values of the correlation's fields takes part at all."""

    def add(self, hit: Hit, values: Sequence[Value]) -> Figures | None:
        """Take a hit and the values of the correlation's fields in it."""

    def hits(self) -> tuple[Hit, ...]:
        """The last hits of the window, at most 100, oldest first."""

    def decide(self, anchor: int) -> tuple[Hit, ...]:
        """For conditions with a `not`: the hits for which the one at time `anchor` makes it true."""


def make_window(rule: Correlation, timespan: int) -> Window:
    """An empty window for a correlation; `timespan` in microseconds."""
    if rule.type in ("temporal", "temporal_ordered"):
        return _temporal(rule, timespan)
    if rule.type == "event_count":
        return EventCount(rule, timespan)
    if rule.type == "value_count":
        return ValueCount(rule, timespan)
    if rule.type in ("value_sum", "value_avg"):
        return Total(rule, timespan)
    return Ranked(rule, timespan)


def _temporal(rule: Correlation, timespan: int) -> Window:
    ordered = rule.type == "temporal_ordered"
    if rule.condition is not None:
        if has_not(rule.condition):
            return Absence(rule.condition, timespan, ordered)
        return OrderedTree(rule.condition, timespan) if ordered else Temporal(rule.condition, timespan)
    if rule.bounds:
        return OrderedCount(rule, timespan) if ordered else TemporalCount(rule, timespan)
    if ordered:
        return Ordered(rule.rules, timespan)
    return Temporal(RefAnd(tuple(map(RuleRef, rule.rules))), timespan)
