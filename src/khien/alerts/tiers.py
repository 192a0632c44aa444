"""Correlations at work on hits in the order of their event times, each by itself and chained as in a hunt."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Any, NamedTuple

import msgspec

from khien.engine.correlation import Correlator, as_hit
from khien.engine.hit import CorrelationMatch, Hit
from khien.engine.sequences import has_not
from khien.rules.model import Correlation

Group = tuple[str, ...]
BY_CLOCK = 2**62
"""In place of a stored hit's number: decided because time has passed. Comes after all hits of the same time."""
_TEXTS = ("title", "name", "level", "status", "description", "author", "date", "path")
_LISTS = ("references", "falsepositives", "tags")
_PLAIN: dict[str, Any] = {**dict.fromkeys(_TEXTS, ""), **dict.fromkeys(_LISTS, ())}


class Found(NamedTuple):
    """A correlation came true. `decided`: when that was certain (event time, microseconds UTC).

    `seq`: of the stored hit by which it was decided, or `BY_CLOCK`. `hit`: the match as a hit
    of correlations of correlations.
    """

    correlation: Correlation
    match: CorrelationMatch
    decided: int
    seq: int
    hit: Hit


class Stage:
    """One correlation at work. `since`: the stored hit after which it began to take part."""

    def __init__(self, rule: Correlation, since: int) -> None:
        self.rule = rule
        self.since = since
        self.span = int(rule.timespan * 1_000_000)
        self.waits = rule.condition is not None and has_not(rule.condition)
        self._correlator = Correlator((rule,))

    @property
    def reach(self) -> int:
        """How far back hits can still matter, microseconds."""
        return (3 if self.waits else 2) * self.span

    @property
    def overflowed(self) -> int:
        """Groups given up because there were too many."""
        return self._correlator.overflowed

    def add(self, hit: Hit) -> list[CorrelationMatch]:
        """Take a hit whose time is not before that of the last."""
        return self._correlator.add(hit)

    def tick(self, time: int) -> list[CorrelationMatch]:
        """Decide what waited for hits up to `time`, itself included."""
        return self._correlator.add(Hit(time + 1, "", {}))

    def recall(self, fired: Mapping[Group, int]) -> None:
        """After hits were taken anew: when each group last fired, in place of what that came to."""
        self._correlator.recall(self.rule.id, fired)


class Tier:
    """All correlations, run so far behind the newest events as its delay says.

    `frontier`: the event time up to which hits were taken. A hit that comes later than that belongs to the
    tiers that are further behind.
    """

    def __init__(self, delay: int, stages: Iterable[Stage], frontier: int) -> None:
        self.delay = delay
        self.frontier = frontier
        self._pending: list[tuple[int, int, Hit]] = []
        self._dues: list[tuple[int, int]] = []
        self.stages: list[Stage] = []
        self._by_rule: dict[str, list[int]] = {}
        self.arrange(stages)

    def arrange(self, stages: Iterable[Stage]) -> None:
        """Go on with these stages; those that were there before keep what they wait for."""
        former = self.stages
        self.stages = list(stages)
        places = {id(stage): place for place, stage in enumerate(self.stages)}
        self._dues = [(due, places[key]) for due, at in self._dues if (key := id(former[at])) in places]
        heapq.heapify(self._dues)
        self._by_rule = {}
        for place, stage in enumerate(self.stages):
            for rule_id in dict.fromkeys(stage.rule.rules):
                self._by_rule.setdefault(rule_id, []).append(place)

    @property
    def waiting(self) -> int:
        """Hits that are not taken yet."""
        return len(self._pending)

    def push(self, seq: int, hit: Hit) -> None:
        """Hold a stored hit until its time has come; one that is behind the frontier is passed over."""
        if hit.time > self.frontier and hit.rule_id in self._by_rule:
            heapq.heappush(self._pending, (hit.time, seq, hit))

    def advance(self, until: int, stored: Iterable[tuple[int, int, Hit]] = ()) -> list[Found]:
        """Take all hits up to an event time; what came true.

        `stored`: (time, number, hit) by time and number, from the frontier to `until`; in place of hits pushed.
        """
        found: list[Found] = []
        if until <= self.frontier:
            return found
        for time, seq, hit in chain(self._come(until), stored):
            self._decide(time - 1, found)
            self._feed(hit, seq, found)
        self._decide(until, found)
        self.frontier = until
        return found

    def _come(self, until: int) -> Iterator[tuple[int, int, Hit]]:
        pending = self._pending
        while pending and pending[0][0] <= until:
            yield heapq.heappop(pending)

    def replay(self, place: int, hit: Hit) -> None:
        """Take a hit again into one stage, without what comes of it."""
        stage = self.stages[place]
        stage.add(hit)
        if stage.waits:
            heapq.heappush(self._dues, (hit.time + stage.span, place))

    def settle_replay(self) -> None:
        """The end of a replay: what waited and was due is decided, without what comes of it."""
        while self._dues and self._dues[0][0] <= self.frontier:
            due, place = heapq.heappop(self._dues)
            self.stages[place].tick(due)

    def copy_waiting(self, other: Tier) -> None:
        """Wait for the same moments as another tier with the same stages."""
        self._dues = list(other._dues)

    def _feed(self, hit: Hit, seq: int, found: list[Found]) -> None:
        for place in self._by_rule.get(hit.rule_id, ()):
            stage = self.stages[place]
            if seq <= stage.since:
                continue
            for match in stage.add(hit):
                self._found(stage, match, match.time, seq, found)
            if stage.waits:
                heapq.heappush(self._dues, (hit.time + stage.span, place))

    def _decide(self, until: int, found: list[Found]) -> None:
        """Decide conditions with a `not` whose time has passed, the earliest first, as `Correlator` does."""
        while self._dues and self._dues[0][0] <= until:
            due, place = heapq.heappop(self._dues)
            stage = self.stages[place]
            for match in stage.tick(due):
                self._found(stage, match, due, BY_CLOCK, found)

    def _found(self, stage: Stage, match: CorrelationMatch, decided: int, seq: int, found: list[Found]) -> None:
        hit = as_hit(match, decided)
        found.append(Found(stage.rule, match, decided, seq, hit))
        self._feed(hit, seq, found)


def fingerprint(rule: Correlation) -> str:
    """Equal for correlations that come true alike: what is only shown does not count."""
    return msgspec.json.encode(msgspec.structs.replace(rule, **_PLAIN)).decode()
