"""Correlation rules: hits in the order of time to correlations that came true.

Semantics (see `docs/correlation.md`): a window is the hits of one group whose times differ by at
most the timespan, ending at the hit at hand. A correlation fires when its condition becomes true,
and again only after it was false or a whole timespan has passed since it fired, so a lasting attack
is one finding a timespan and not one an event. Hits that lack a group-by field take no part.
"""

from __future__ import annotations

import heapq
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from khien.engine.hit import CorrelationMatch, Hit
from khien.engine.sequences import has_not
from khien.engine.windows import Window, make_window
from khien.events.batch import MISSING, Value
from khien.events.text import value_text
from khien.rules.model import Correlation

MOST_GROUPS = 200_000
"""Groups kept for one correlation; beyond it the one longest without a hit is given up and counted."""


@dataclass(slots=True)
class _Group:
    """One group of one correlation. `armed` is False while the condition has stayed true since it fired."""

    window: Window
    names: dict[str, str]
    last: int = 0
    fired: int | None = None
    armed: bool = True


@dataclass(slots=True)
class _State:
    """One correlation rule at work."""

    rule: Correlation
    timespan: int
    waits: bool = False
    groups: OrderedDict[tuple[str, ...], _Group] = field(default_factory=OrderedDict)
    due: list[tuple[int, tuple[str, ...]]] = field(default_factory=list)


class Correlator:
    """The correlations of a rule set, fed with hits in the order of their times.

    `overflowed` counts groups given up because there were more than `MOST_GROUPS`.
    """

    def __init__(self, correlations: Sequence[Correlation]) -> None:
        self._states: dict[str, list[_State]] = {}
        self._by_id: dict[str, _State] = {}
        self._waiting: list[_State] = []
        ids = {rule.id for rule in correlations}
        fields: dict[str, set[str]] = {}
        hidden: set[str] = set()
        shown: set[str] = set()
        for rule in correlations:
            waits = rule.condition is not None and has_not(rule.condition)
            state = self._by_id[rule.id] = _State(rule, int(rule.timespan * 1_000_000), waits)
            if waits:
                self._waiting.append(state)
            (shown if rule.generate else hidden).update(rule.rules)
            for rule_id in dict.fromkeys(rule.rules):
                self._states.setdefault(rule_id, []).append(state)
                wanted = fields.setdefault(rule_id, set())
                wanted.update(_field_of(rule, name, rule_id) for name in (*rule.group_by, *rule.field))
        self.base_rules = frozenset(rule_id for rule_id in self._states if rule_id not in ids)
        self.suppressed = frozenset(hidden - shown)
        self._fields = {rule_id: frozenset(names) for rule_id, names in fields.items()}
        self.overflowed = 0

    def fields(self, rule_id: str) -> frozenset[str]:
        """The Sigma fields of a rule's events that correlations read."""
        return self._fields.get(rule_id, frozenset())

    def add(self, hit: Hit) -> list[CorrelationMatch]:
        """Take a hit whose time is not before that of the last; the correlations that come true by it."""
        matches = self._due(hit.time)
        for state in self._states.get(hit.rule_id, ()):
            match = self._take(state, hit)
            if match is not None:
                matches.append(match)
                matches += self._chain(state.rule, match, match.time)
        return matches

    def flush(self) -> list[CorrelationMatch]:
        """The end of the stream: decide what waited for events that now will not come."""
        return self._due(None)

    def recall(self, correlation_id: str, fired: Mapping[tuple[str, ...], int]) -> None:
        """Set when each group of a correlation, by its values, last fired; those not named never did.

        For state built anew from hits: what these came to was seen without those before them.
        """
        for key, group in self._by_id[correlation_id].groups.items():
            group.fired = fired.get(key)
            group.armed = group.armed or group.fired is None  # nothing it is known to have done holds it back

    def _due(self, now: int | None) -> list[CorrelationMatch]:
        """Conditions with a `not` are decided when their window has passed, the earliest first."""
        matches: list[CorrelationMatch] = []
        while True:
            ready = [state for state in self._waiting if state.due and (now is None or state.due[0][0] < now)]
            if not ready:
                return matches
            state = min(ready, key=lambda state: state.due[0][0])
            due, key = heapq.heappop(state.due)
            group = state.groups.get(key)
            if group is None:
                continue
            anchor = due - state.timespan
            if group.fired is not None and anchor - group.fired <= state.timespan:
                continue
            hits = group.window.decide(anchor)
            if hits:
                group.fired = anchor
                match = CorrelationMatch(state.rule.id, anchor, group.names, {"rules": len(hits)}, hits)
                matches.append(match)
                matches += self._chain(state.rule, match, due)

    def _take(self, state: _State, hit: Hit) -> CorrelationMatch | None:
        rule = state.rule
        names: dict[str, str] = {}
        for name in rule.group_by:
            text = _text(hit.values.get(_field_of(rule, name, hit.rule_id), MISSING))
            if text is None:
                return None
            names[name] = text
        values = [hit.values.get(_field_of(rule, name, hit.rule_id), MISSING) for name in rule.field]
        key = tuple(names.values())
        self._expire(state, hit.time)
        group = state.groups.get(key)
        if group is not None and not group.window.takes(values):
            return None
        if group is None:
            window = make_window(rule, state.timespan)
            if not window.takes(values):
                return None
            if len(state.groups) >= MOST_GROUPS:
                state.groups.popitem(last=False)
                self.overflowed += 1
            group = state.groups[key] = _Group(window, names)
        state.groups.move_to_end(key)
        group.last = hit.time
        figures = group.window.add(hit, values)
        if state.waits:
            heapq.heappush(state.due, (hit.time + state.timespan, key))
            return None
        if not self._may_fire(group, state, hit.time, figures is not None) or figures is None:
            return None
        return CorrelationMatch(rule.id, hit.time, names, figures, group.window.hits())

    @staticmethod
    def _may_fire(group: _Group, state: _State, now: int, true: bool) -> bool:
        if not true:
            group.armed = True
            return False
        if group.armed or (group.fired is not None and now - group.fired > state.timespan):
            group.armed = False
            group.fired = now
            return True
        return False

    @staticmethod
    def _expire(state: _State, now: int) -> None:
        """Give up groups without a hit for two timespans (they can neither fire nor hold back)."""
        while state.groups:
            key = next(iter(state.groups))
            group = state.groups[key]
            if now - group.last <= 2 * state.timespan:
                return
            del state.groups[key]

    def _chain(self, rule: Correlation, match: CorrelationMatch, time: int) -> list[CorrelationMatch]:
        """Hand a match on as a hit; `time` is when it was decided, so that hits stay in order."""
        if rule.id not in self._states:
            return []
        hit = as_hit(match, time)
        found: list[CorrelationMatch] = []
        for state in self._states[rule.id]:
            chained = self._take(state, hit)
            if chained is not None:
                found.append(chained)
                found += self._chain(state.rule, chained, chained.time)
        return found


def as_hit(match: CorrelationMatch, time: int) -> Hit:
    """A match as a hit of correlations of correlations; `time` is when it was decided."""
    last = match.hits[-1] if match.hits else None
    values: dict[str, Value] = {**match.group, **match.figures}
    return Hit(time, match.correlation_id, values, last.path if last else "", last.record if last else 0)


def _field_of(rule: Correlation, name: str, rule_id: str) -> str:
    """The field that a group-by name or alias stands for in a rule's events."""
    alias = rule.aliases.get(name)
    return alias.get(rule_id, name) if alias else name


def _text(value: Value) -> str | None:
    if isinstance(value, list):
        return _text(value[0]) if value else None
    return value_text(value)
