"""What each correlation type keeps of the hits of one group, and when its condition holds.

`add` takes a hit and gives the figures for which the condition holds, or None. Its cost does not
grow with the window: sums and counts are kept running, order statistics in a sorted list.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter, deque
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Protocol

from sortedcontainers import SortedList

from khien.engine.hit import Hit
from khien.engine.values import number
from khien.events.batch import MISSING, Value
from khien.events.text import value_text
from khien.rules.model import Correlation, RefAnd, RefNode, RefNot, RefOr, RuleRef

MOST_SHOWN = 100
Figures = dict[str, float | int]

_HOLDS: dict[str, Callable[[float | Fraction, float], bool]] = {
    "lt": lambda a, b: a < b,
    "lte": lambda a, b: a <= b,
    "gt": lambda a, b: a > b,
    "gte": lambda a, b: a >= b,
    "eq": lambda a, b: a == b,
    "neq": lambda a, b: a != b,
}


class Window(Protocol):
    """The hits of one group within the timespan that ends at the last of them."""

    def add(self, hit: Hit, values: Sequence[Value]) -> Figures | None:
        """Take a hit and the values of the correlation's fields in it."""

    def hits(self) -> tuple[Hit, ...]:
        """The last hits of the window, at most 100, oldest first."""

    def decide(self, anchor: int) -> tuple[Hit, ...]:
        """For conditions with a `not`: the hits for which the one at time `anchor` makes it true."""


def make_window(rule: Correlation, timespan: int) -> Window:
    """An empty window for a correlation; `timespan` in microseconds."""
    if rule.condition is not None and rule.type == "temporal" and has_not(rule.condition):
        return Absence(rule.condition, timespan)
    if rule.type == "temporal":
        wanted = rule.condition if rule.condition is not None else RefAnd(tuple(map(RuleRef, rule.rules)))
        return Temporal(wanted, timespan)
    if rule.type == "temporal_ordered":
        return Ordered(rule.rules, timespan)
    if rule.type == "event_count":
        return EventCount(rule, timespan)
    if rule.type == "value_count":
        return ValueCount(rule, timespan)
    if rule.type in ("value_sum", "value_avg"):
        return Total(rule, timespan)
    return Ranked(rule, timespan)


def has_not(node: RefNode) -> bool:
    """Whether a boolean condition asks for the absence of a rule."""
    if isinstance(node, RefNot):
        return True
    return any(has_not(item) for item in node.items) if isinstance(node, RefAnd | RefOr) else False


class _Sliding:
    """Hits with something kept of each, expiring with the timespan."""

    def __init__(self, rule: Correlation, timespan: int) -> None:
        self._bounds = rule.bounds
        self._timespan = timespan
        self._kept: deque[tuple[int, object]] = deque()
        self._last: deque[Hit] = deque(maxlen=MOST_SHOWN)
        self._now = 0

    def _push(self, hit: Hit, kept: object) -> None:
        self._kept.append((hit.time, kept))
        self._last.append(hit)
        self._now = hit.time
        while self._kept[0][0] < hit.time - self._timespan:
            self._drop(self._kept.popleft()[1])

    def _drop(self, kept: object) -> None:
        """Something has left the window."""

    def _true(self, figure: float | Fraction) -> bool:
        return all(_HOLDS[operator](figure, bound) for operator, bound in self._bounds)

    def hits(self) -> tuple[Hit, ...]:
        return tuple(hit for hit in self._last if hit.time >= self._now - self._timespan)

    def decide(self, anchor: int) -> tuple[Hit, ...]:
        return ()


class EventCount(_Sliding):
    """How many hits."""

    def add(self, hit: Hit, values: Sequence[Value]) -> Figures | None:
        self._push(hit, None)
        count = len(self._kept)
        return {"count": count} if self._true(count) else None


class ValueCount(_Sliding):
    """How many distinct values; of several fields, distinct combinations. Hits without the field do not count."""

    def __init__(self, rule: Correlation, timespan: int) -> None:
        super().__init__(rule, timespan)
        self._counts: Counter[object] = Counter()

    def _drop(self, kept: object) -> None:
        self._counts[kept] -= 1
        if not self._counts[kept]:
            del self._counts[kept]

    def add(self, hit: Hit, values: Sequence[Value]) -> Figures | None:
        texts = tuple(value_text(value) for value in values)
        if None in texts:
            return None
        self._counts[texts] += 1
        self._push(hit, texts)
        distinct = len(self._counts)
        return {"distinct": distinct, "count": len(self._kept)} if self._true(distinct) else None


def exact(value: Value) -> Fraction | None:
    """A number without rounding, so that what is added can be taken away again."""
    found = number(value) if value is not MISSING else None
    if found is None or found in (float("inf"), float("-inf")):
        return None
    return Fraction(found)


class Total(_Sliding):
    """The sum of a field, or its mean."""

    def __init__(self, rule: Correlation, timespan: int) -> None:
        super().__init__(rule, timespan)
        self._sum = Fraction(0)
        self._mean = rule.type == "value_avg"

    def _drop(self, kept: object) -> None:
        assert isinstance(kept, Fraction)
        self._sum -= kept

    def add(self, hit: Hit, values: Sequence[Value]) -> Figures | None:
        value = exact(values[0])
        if value is None:
            return None
        self._sum += value
        self._push(hit, value)
        figure = self._sum / len(self._kept) if self._mean else self._sum
        if not self._true(figure):
            return None
        return {"avg" if self._mean else "sum": plain(figure), "count": len(self._kept)}


class Ranked(_Sliding):
    """A percentile of a field (the median is the 50th), interpolated between the two nearest ranks."""

    def __init__(self, rule: Correlation, timespan: int) -> None:
        super().__init__(rule, timespan)
        self._values: SortedList[Fraction] = SortedList()
        self._share = Fraction(50 if rule.type == "value_median" else Fraction(rule.percentile)) / 100
        self._name = "median" if rule.type == "value_median" else "percentile"

    def _drop(self, kept: object) -> None:
        assert isinstance(kept, Fraction)
        self._values.remove(kept)

    def add(self, hit: Hit, values: Sequence[Value]) -> Figures | None:
        value = exact(values[0])
        if value is None:
            return None
        self._values.add(value)
        self._push(hit, value)
        place = self._share * (len(self._values) - 1)
        low = int(place)
        high = min(low + 1, len(self._values) - 1)
        figure = self._values[low] + (self._values[high] - self._values[low]) * (place - low)
        return {self._name: plain(figure), "count": len(self._kept)} if self._true(figure) else None


def plain(value: Fraction) -> float | int:
    """An exact number as people write it."""
    return value.numerator if value.denominator == 1 else float(value)


class Temporal:
    """All rules (or a condition without `not` over them) within the timespan, in any order."""

    def __init__(self, wanted: RefNode, timespan: int) -> None:
        self._wanted = wanted
        self._timespan = timespan
        self._latest: dict[str, Hit] = {}
        self._now = 0

    def add(self, hit: Hit, values: Sequence[Value]) -> Figures | None:
        self._latest[hit.rule_id] = hit
        self._now = hit.time
        least = hit.time - self._timespan
        if not holds(self._wanted, lambda rule: rule in self._latest and self._latest[rule].time >= least):
            return None
        return {"rules": len(self.hits())}

    def hits(self) -> tuple[Hit, ...]:
        least = self._now - self._timespan
        return tuple(sorted((hit for hit in self._latest.values() if hit.time >= least), key=lambda hit: hit.time))

    def decide(self, anchor: int) -> tuple[Hit, ...]:
        return ()


class Ordered:
    """The rules one after another within the timespan. Of chains that reach as far, the one begun last is kept."""

    def __init__(self, rules: Sequence[str], timespan: int) -> None:
        self._rules = rules
        self._timespan = timespan
        self._chains: list[tuple[Hit, ...] | None] = [None] * len(rules)
        self._found: tuple[Hit, ...] = ()

    def add(self, hit: Hit, values: Sequence[Value]) -> Figures | None:
        least = hit.time - self._timespan
        done = False
        for stage in range(len(self._rules) - 1, -1, -1):
            if self._rules[stage] != hit.rule_id:
                continue
            if stage == 0:
                self._chains[0] = (hit,)
            else:
                before = self._chains[stage - 1]
                if before is None or before[0].time < least:
                    continue
                self._chains[stage] = (*before, hit)
            done = done or stage == len(self._rules) - 1
        if not done:
            return None
        self._found = self._chains[-1] or ()
        return {"rules": len(self._found)}

    def hits(self) -> tuple[Hit, ...]:
        return self._found

    def decide(self, anchor: int) -> tuple[Hit, ...]:
        return ()


class Absence:
    """A condition with `not`: decided for each hit a timespan later.

    For a hit at time t the rules asked for must lie in [t, t + timespan], and the rules ruled out
    must not lie in [t - timespan, t + timespan].
    """

    def __init__(self, wanted: RefNode, timespan: int) -> None:
        self._wanted = wanted
        self._timespan = timespan
        self._hits: dict[str, list[Hit]] = {}
        self._times: dict[str, list[int]] = {}

    def add(self, hit: Hit, values: Sequence[Value]) -> Figures | None:
        self._hits.setdefault(hit.rule_id, []).append(hit)
        times = self._times.setdefault(hit.rule_id, [])
        times.append(hit.time)
        old = bisect_left(times, hit.time - 3 * self._timespan)
        if old > 1024 and old > len(times) // 2:
            del times[:old], self._hits[hit.rule_id][:old]
        return None

    def _between(self, rule: str, low: int, high: int) -> int | None:
        """The place of the first hit of a rule between two times."""
        times = self._times.get(rule, [])
        at = bisect_left(times, low)
        return at if at < bisect_right(times, high) else None

    def decide(self, anchor: int) -> tuple[Hit, ...]:
        high = anchor + self._timespan

        def seen(node: RefNode, wanted: bool) -> bool:
            if isinstance(node, RuleRef):
                return self._between(node.rule, anchor if wanted else anchor - self._timespan, high) is not None
            if isinstance(node, RefNot):
                return not seen(node.item, not wanted)
            decide = all if isinstance(node, RefAnd) else any
            return decide(seen(item, wanted) for item in node.items)

        if not seen(self._wanted, True):
            return ()
        found = [self._hits[rule][at] for rule in self._times if (at := self._between(rule, anchor, high)) is not None]
        return tuple(sorted(found, key=lambda hit: hit.time))

    def hits(self) -> tuple[Hit, ...]:
        return ()


def holds(node: RefNode, seen: Callable[[str], bool]) -> bool:
    """Evaluate a boolean condition over the rules seen."""
    if isinstance(node, RuleRef):
        return seen(node.rule)
    if isinstance(node, RefNot):
        return not holds(node.item, seen)
    if isinstance(node, RefAnd):
        return all(holds(item, seen) for item in node.items)
    return any(holds(item, seen) for item in node.items)
