"""What is counted of the hits in a window: their number, distinct values, sums and percentiles.

`add` takes a hit and gives the figures for which the condition holds, or None. Its cost does not
grow with the window: sums and counts are kept running, order statistics in a sorted list.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import islice, product

from sortedcontainers import SortedList

from khien.engine.hit import Hit
from khien.engine.values import elements, number
from khien.events.batch import MISSING, Value
from khien.events.text import value_text
from khien.rules.model import Correlation

MOST_SHOWN = 100
_MOST_COMBINATIONS = 1_000
Figures = dict[str, float | int]

_HOLDS: dict[str, Callable[[float | Fraction, float], bool]] = {
    "lt": lambda a, b: a < b,
    "lte": lambda a, b: a <= b,
    "gt": lambda a, b: a > b,
    "gte": lambda a, b: a >= b,
    "eq": lambda a, b: a == b,
    "neq": lambda a, b: a != b,
}


def bounded(bounds: Sequence[tuple[str, float | int]], figure: float | Fraction) -> bool:
    """Whether a figure meets all bounds of a condition."""
    return all(_HOLDS[operator](figure, bound) for operator, bound in bounds)


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
        return bounded(self._bounds, figure)

    def takes(self, values: Sequence[Value]) -> bool:
        return True

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
    """How many distinct values; of several fields, distinct combinations. Each element of a list counts."""

    def __init__(self, rule: Correlation, timespan: int) -> None:
        super().__init__(rule, timespan)
        self._counts: Counter[object] = Counter()

    def _drop(self, kept: object) -> None:
        assert isinstance(kept, list)
        for texts in kept:
            self._counts[texts] -= 1
            if not self._counts[texts]:
                del self._counts[texts]

    def takes(self, values: Sequence[Value]) -> bool:
        return all(any(value_text(each) is not None for each in elements(value)) for value in values)

    def add(self, hit: Hit, values: Sequence[Value]) -> Figures | None:
        texts = [[text for each in elements(value) if (text := value_text(each)) is not None] for value in values]
        combinations = list(islice(product(*texts), _MOST_COMBINATIONS))
        self._counts.update(combinations)
        self._push(hit, combinations)
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

    def takes(self, values: Sequence[Value]) -> bool:
        return exact(values[0]) is not None

    def add(self, hit: Hit, values: Sequence[Value]) -> Figures | None:
        value = exact(values[0])
        assert value is not None
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

    def takes(self, values: Sequence[Value]) -> bool:
        return exact(values[0]) is not None

    def add(self, hit: Hit, values: Sequence[Value]) -> Figures | None:
        value = exact(values[0])
        assert value is not None
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
