"""Hits of different rules within a timespan: together, in an order, or one without the other."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence

from khien.engine.figures import MOST_SHOWN, Figures, bounded
from khien.engine.hit import Hit
from khien.events.batch import Value
from khien.rules.model import Correlation, RefAnd, RefNode, RefNot, RefOr, RuleRef

Key = tuple[int, int]
"""A hit's time and the order of its arrival."""


def has_not(node: RefNode) -> bool:
    """Whether a boolean condition asks for the absence of a rule."""
    if isinstance(node, RefNot):
        return True
    return any(has_not(item) for item in node.items) if isinstance(node, RefAnd | RefOr) else False


def holds(node: RefNode, seen: Callable[[str], bool]) -> bool:
    """Evaluate a boolean condition over the rules seen."""
    if isinstance(node, RuleRef):
        return seen(node.rule)
    if isinstance(node, RefNot):
        return not holds(node.item, seen)
    return (all if isinstance(node, RefAnd) else any)(holds(item, seen) for item in node.items)


class _Whole:
    """A window in which every hit takes part, whatever its values."""

    def __init__(self, timespan: int) -> None:
        self._timespan = timespan

    def takes(self, values: Sequence[Value]) -> bool:
        return True

    def decide(self, anchor: int) -> tuple[Hit, ...]:
        return ()


class Temporal(_Whole):
    """A condition without `not` over the rules within the timespan, in any order."""

    def __init__(self, wanted: RefNode, timespan: int) -> None:
        super().__init__(timespan)
        self._wanted = wanted
        self._latest: dict[str, Hit] = {}
        self._least = 0

    def add(self, hit: Hit, values: Sequence[Value]) -> Figures | None:
        self._latest[hit.rule_id] = hit
        self._least = hit.time - self._timespan
        return {"rules": len(self.hits())} if self._true() else None

    def _true(self) -> bool:
        return holds(self._wanted, lambda rule: rule in self._latest and self._latest[rule].time >= self._least)

    def hits(self) -> tuple[Hit, ...]:
        return tuple(
            sorted((hit for hit in self._latest.values() if hit.time >= self._least), key=lambda hit: hit.time)
        )


class TemporalCount(Temporal):
    """A number of different rules within the timespan."""

    def __init__(self, rule: Correlation, timespan: int) -> None:
        super().__init__(RefOr(()), timespan)
        self._bounds = rule.bounds

    def _true(self) -> bool:
        return bounded(self._bounds, len(self.hits()))


class Ordered(_Whole):
    """The rules one after another within the timespan. Of chains that reach as far, the one begun last is kept."""

    def __init__(self, rules: Sequence[str], timespan: int) -> None:
        super().__init__(timespan)
        self._rules = rules
        self._chains: list[tuple[Hit, ...] | None] = [None] * len(rules)
        self._found: tuple[Hit, ...] = ()

    def add(self, hit: Hit, values: Sequence[Value]) -> Figures | None:
        least = hit.time - self._timespan
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
        self._found = self._chains[-1] or ()
        return {"rules": len(self._found)} if self._found and self._found[0].time >= least else None

    def hits(self) -> tuple[Hit, ...]:
        return self._found


class OrderedCount(_Whole):
    """How many of the rules occurred in the order listed; those between may be missing."""

    def __init__(self, rule: Correlation, timespan: int) -> None:
        super().__init__(timespan)
        self._rules = rule.rules
        self._bounds = rule.bounds
        # By place of the last rule and length: the chain that began last.
        self._chains: dict[tuple[int, int], tuple[Hit, ...]] = {}
        self._found: tuple[Hit, ...] = ()

    def add(self, hit: Hit, values: Sequence[Value]) -> Figures | None:
        least = hit.time - self._timespan
        for stage in range(len(self._rules) - 1, -1, -1):
            if self._rules[stage] == hit.rule_id:
                for length in range(stage, 0, -1):
                    before = [self._chains[key] for at in range(stage) if (key := (at, length)) in self._chains]
                    best = max(before, key=lambda chain: chain[0].time, default=None)
                    if best is not None and best[0].time >= least:
                        self._chains[stage, length + 1] = (*best, hit)
                self._chains[stage, 1] = (hit,)
        whole = [chain for chain in self._chains.values() if chain[0].time >= least]
        self._found = max(whole, key=len, default=())
        return {"rules": len(self._found)} if bounded(self._bounds, len(self._found)) else None

    def hits(self) -> tuple[Hit, ...]:
        return self._found


class _Kept(_Whole):
    """Keeps the hits of each rule for three timespans, to look up what lies between two times."""

    def __init__(self, wanted: RefNode, timespan: int) -> None:
        super().__init__(timespan)
        self._wanted = wanted
        self._hits: dict[str, list[Hit]] = {}
        self._keys: dict[str, list[Key]] = {}
        self._count = 0

    def _keep(self, hit: Hit) -> None:
        keys = self._keys.setdefault(hit.rule_id, [])
        hits = self._hits.setdefault(hit.rule_id, [])
        self._count += 1
        keys.append((hit.time, self._count))
        hits.append(hit)
        old = bisect_left(keys, (hit.time - 3 * self._timespan, 0))
        if old > 1024 and old > len(keys) // 2:
            del keys[:old], hits[:old]

    def _first(self, rule: str, start: Key, high: int) -> tuple[Key, Hit] | None:
        """The first hit of a rule not before `start` and not after the time `high`."""
        keys = self._keys.get(rule, [])
        at = bisect_left(keys, start)
        return (keys[at], self._hits[rule][at]) if at < len(keys) and keys[at][0] <= high else None

    def _in_order(
        self, node: RefNode, start: Key, high: int, absent: Callable[[RefNode], bool]
    ) -> tuple[Key, tuple[Hit, ...]] | None:
        """What comes earliest of a condition whose parts follow one another, and where it ends."""
        if isinstance(node, RuleRef):
            found = self._first(node.rule, start, high)
            return None if found is None else ((found[0][0], found[0][1] + 1), (found[1],))
        if isinstance(node, RefNot):
            return (start, ()) if absent(node.item) else None
        if isinstance(node, RefOr):
            ends = [end for item in node.items if (end := self._in_order(item, start, high, absent)) is not None]
            return min(ends, key=lambda end: end[0], default=None)
        hits: tuple[Hit, ...] = ()
        for item in node.items:
            step = self._in_order(item, start, high, absent)
            if step is None:
                return None
            start, hits = step[0], hits + step[1]
        return start, hits


class OrderedTree(_Kept):
    """A condition without `not` whose parts occur in the order written."""

    def __init__(self, wanted: RefNode, timespan: int) -> None:
        super().__init__(wanted, timespan)
        self._found: tuple[Hit, ...] = ()

    def add(self, hit: Hit, values: Sequence[Value]) -> Figures | None:
        self._keep(hit)
        found = self._in_order(self._wanted, (hit.time - self._timespan, 0), hit.time, lambda node: False)
        self._found = found[1] if found is not None else ()
        return {"rules": len(self._found)} if self._found else None

    def hits(self) -> tuple[Hit, ...]:
        return self._found


class Absence(_Kept):
    """A condition with `not`: decided for each hit a timespan later.

    For a hit at time t the rules asked for must lie in [t, t + timespan] (with `ordered` in the order
    written), and the rules ruled out must not lie in [t - timespan, t + timespan].
    """

    def __init__(self, wanted: RefNode, timespan: int, ordered: bool) -> None:
        super().__init__(wanted, timespan)
        self._ordered = ordered

    def add(self, hit: Hit, values: Sequence[Value]) -> Figures | None:
        self._keep(hit)
        return None

    def decide(self, anchor: int) -> tuple[Hit, ...]:
        low, high = anchor - self._timespan, anchor + self._timespan

        def seen(node: RefNode, wanted: bool) -> bool:
            if isinstance(node, RuleRef):
                return self._first(node.rule, (anchor if wanted else low, 0), high) is not None
            if isinstance(node, RefNot):
                return not seen(node.item, not wanted)
            return (all if isinstance(node, RefAnd) else any)(seen(item, wanted) for item in node.items)

        if self._ordered:
            chain = self._in_order(self._wanted, (anchor, 0), high, lambda node: not seen(node, False))
            return chain[1] if chain is not None else ()
        if not seen(self._wanted, True):
            return ()
        found = [hit[1] for rule in self._keys if (hit := self._first(rule, (anchor, 0), high)) is not None]
        return tuple(sorted(found, key=lambda hit: hit.time)[:MOST_SHOWN])

    def hits(self) -> tuple[Hit, ...]:
        return ()
