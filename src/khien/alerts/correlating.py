"""Live correlation: by event time, behind a short delay, with late hits, and with state that survives restarts.

All correlations run in several tiers. The first is a few seconds behind the newest events and reports
almost at once; each further one is further behind and sees the hits that came too late for those before it; the
last is behind by the allowed lateness and settles what is true. A hit costs the same in each tier, whatever the
windows hold. What a later tier finds for the first time is reported then; what an earlier tier reported and the
last does not find is superseded: late events have shown it did not come true, or at another time.
"""

from __future__ import annotations

import copy
import heapq
import sqlite3
from collections.abc import Callable, Mapping, Sequence

import msgspec

from khien.alerts import hit_store
from khien.alerts.grouping import SECOND, Alert
from khien.alerts.hit_store import Kept, Progress
from khien.alerts.live_finding import LiveFinding
from khien.alerts.sink import SqliteAlerts
from khien.alerts.tiers import Found, Stage, Tier, fingerprint
from khien.engine.correlation import Correlator
from khien.engine.hit import CorrelationMatch
from khien.errors import KhienError
from khien.findings.finding import Finding
from khien.rules.model import Correlation

REORDER = 5 * SECOND
LATENESS = 15 * 60 * SECOND
_STEP = 6
_HOLDING = 2
"""Tiers that hold the hits they wait for in memory; what the others wait for would be minutes of hits."""
_PRUNE_EVERY = 10 * SECOND
_SET_BACK = 60 * SECOND
"""So far behind what is settled, `until` tells that the clock was set back."""
_encode = msgspec.json.Encoder().encode

Describe = Callable[[Correlation, CorrelationMatch], Finding]
"""Makes the finding of a correlation that came true."""
Origin = Callable[[CorrelationMatch], tuple[str, str]]
"""Names the source and the unit of a correlation's hits; "" where there are several."""


class CorrelationTaken(KhienError):
    """Another process has taken over the correlations of the store; this one has to stop."""


class CorrelationStats(msgspec.Struct, frozen=True):
    """`late`, `early`: hits left out because their event time was beyond the lateness behind or ahead, ever.

    `waiting`: hits whose time has not come in the first tier. `overflowed`: groups given up since the start.
    `settled`: event time (microseconds UTC) up to which nothing will change; None before the first hit.
    """

    late: int
    early: int
    waiting: int
    overflowed: int
    settled: int | None


class LiveCorrelations:
    """The correlations of a rule set over the hits that `SqliteAlerts.take` has stored, of all lanes.

    One process runs them at a time: whoever begins last has them, the others get `CorrelationTaken`.
    `describe` makes findings (`khien.hunt.assembly.correlation_finding`), `origin` names their source and unit.
    `reorder` and `lateness`: microseconds.
    """

    def __init__(
        self,
        store: SqliteAlerts,
        correlations: Sequence[Correlation],
        describe: Describe,
        *,
        origin: Origin = lambda match: ("", ""),
        reorder: int = REORDER,
        lateness: int = LATENESS,
    ) -> None:
        self._store = store
        self._describe = describe
        self._origin = origin
        self._lateness = lateness
        self._delays = _delays(reorder, lateness)
        self._tiers: list[Tier] = []
        self._pruned = -(2**62)
        self._sure = False
        self._until = -(2**62)
        self._correlations = tuple(correlations)
        self._silent = Correlator(correlations).suppressed
        with store.database.writing() as connection:
            self._progress = hit_store.read_progress(connection)
            self._progress = self._progress._replace(epoch=self._progress.epoch + 1)
            hit_store.write_progress(connection, self._progress)
        self._load()

    def advance(self, until: int, detected: int | None = None) -> list[Alert]:
        """Correlate the hits stored so far; the alerts begun or changed by what came true or was superseded.

        `until`: microseconds UTC; hits received up to it are stored, of every lane. While lanes have
        work, the received time of what they take; when nothing waits, the clock. An `until` that goes
        back counts as the last one, unless it goes back beyond what is settled: then the clock was wrong and
        is set right, and correlations begin anew with the hits that come from then on. `detected`: the time
        of the findings (default `until`).
        Raises CorrelationTaken and AlertStoreError; after the latter, call again.
        """
        if not self._sure:
            self._load()
        if until < self._progress.settled - _SET_BACK:
            self._begin_anew(until)
        self._until = until = max(until, self._until)
        self._sure = False
        dropped = self._read(until)
        found_by = [self._advance(place, until) for place in range(len(self._tiers))]
        earlier = [each for found in found_by[:-1] for each in found]
        settled = found_by[-1]
        progress = self._progress = self._progress._replace(settled=self._tiers[-1].frontier)
        found = {hit_store.found_id(each): each for each in (*settled, *reversed(earlier))}
        reported = [each for each in found.values() if each.correlation.id not in self._silent]
        sightings = self._store.sightings(self._finding(each, until, detected) for each in reported)
        with self._store.database.writing() as connection:
            self._insist(connection)
            hit_store.forget_hits(connection, dropped)
            alerts = self._store.add(connection, sightings)
            hit_store.record_found(connection, earlier, hit_store.PROVISIONAL)
            hit_store.record_found(connection, settled, hit_store.SETTLED)
            superseded = hit_store.supersede_until(connection, progress.settled)
            changed = self._store.supersede(connection, superseded) if superseded else []
            hit_store.write_progress(connection, progress)
            if until >= self._pruned + _PRUNE_EVERY:
                self._prune(connection, progress)
                self._pruned = until
        self._sure = True
        return list({alert.id: alert for alert in (*alerts, *changed)}.values())

    def _advance(self, place: int, until: int) -> list[Found]:
        """Take one tier as far as its delay allows; those far behind read their hits again and hold none."""
        tier = self._tiers[place]
        goal = until - tier.delay
        if place < _HOLDING:
            return tier.advance(goal)
        with self._store.database.reading() as connection:
            hits = hit_store.stored_hits(connection, self._base, tier.frontier, goal, self._progress.read)
            return tier.advance(goal, hits)

    def reload(self, correlations: Sequence[Correlation]) -> None:
        """Go on with another rule set. Correlations that come true as before keep their state; others begin anew.

        Raises as `advance` does; after AlertStoreError the new rules are in use with the next `advance`.
        """
        self._correlations = tuple(correlations)
        self._silent = Correlator(correlations).suppressed
        if not self._sure:
            return  # the next advance loads
        self._sure = False  # until the store knows
        kept = self._keep()
        for tier in self._tiers:
            former = {stage.rule.id: stage for stage in tier.stages}
            tier.arrange([_stage(rule, kept[rule.id], former.get(rule.id)) for rule in correlations])
        self._sure = True

    @property
    def _base(self) -> tuple[str, ...]:
        """The rules whose hits are read."""
        ids = {rule.id for rule in self._correlations}
        return tuple({name: None for rule in self._correlations for name in rule.rules if name not in ids})

    @property
    def stats(self) -> CorrelationStats:
        """Counts for those who watch."""
        settled = self._progress.settled
        return CorrelationStats(
            self._progress.late,
            self._progress.early,
            self._tiers[0].waiting,
            sum(stage.overflowed for stage in self._tiers[0].stages),
            settled if settled > -(2**61) else None,
        )

    def _read(self, until: int) -> list[int]:
        """Hand new hits to the tiers; the numbers of those left out."""
        dropped: list[int] = []
        while True:
            with self._store.database.reading() as connection:
                hits = hit_store.new_hits(connection, self._progress.read)
            if not hits:
                return dropped
            late = early = 0
            for seq, hit in hits:
                if hit.time <= self._tiers[-1].frontier:
                    late += 1
                    dropped.append(seq)
                elif hit.time > until + self._lateness:
                    early += 1
                    dropped.append(seq)
                else:
                    for tier in self._tiers[:_HOLDING]:
                        tier.push(seq, hit)
            progress = self._progress
            self._progress = progress._replace(
                read=hits[-1][0], late=progress.late + late, early=progress.early + early
            )

    def _insist(self, connection: sqlite3.Connection) -> None:
        """Nobody else may have begun since."""
        if hit_store.read_progress(connection).epoch != self._progress.epoch:
            raise CorrelationTaken(
                "Another process has taken over the correlations",
                str(self._store.database.path),
                "Run one process that correlates for each store of alerts",
            )

    def _finding(self, found: Found, until: int, detected: int | None) -> LiveFinding:
        source, unit = self._origin(found.match)
        record = _encode(self._describe(found.correlation, found.match))
        identity = hit_store.found_id(found)
        return LiveFinding(identity, record, source, unit, until, until if detected is None else detected)

    def _keep(self) -> Mapping[str, Kept]:
        """Tell the store which correlations there are; from which hit each takes part."""
        progress = self._progress
        with self._store.database.writing() as connection:
            self._insist(connection)
            known = hit_store.kept_correlations(connection)
            wanted = {}
            for rule in self._correlations:
                mark = fingerprint(rule)
                before = known.get(rule.id)
                fresh = Kept(mark, progress.read, progress.settled)
                wanted[rule.id] = before if before is not None and before.fingerprint == mark else fresh
            if wanted != known:
                hit_store.keep_correlations(connection, wanted)
        return wanted

    def _load(self) -> None:
        """Bring all tiers to where the last one had got, from what is stored."""
        epoch = self._progress.epoch
        with self._store.database.reading() as connection:
            self._progress = hit_store.read_progress(connection)._replace(epoch=epoch)
        kept = self._keep()
        settled = self._progress.settled
        stages = [_stage(rule, kept[rule.id], None) for rule in self._correlations]
        last = Tier(self._delays[-1], stages, settled)
        for place, stage in enumerate(stages):
            self._replay(last, place, stage, kept[stage.rule.id])
        last.settle_replay()
        self._tiers = [Tier(delay, copy.deepcopy(stages), settled) for delay in self._delays[:-1]]
        for tier in self._tiers:
            tier.copy_waiting(last)
        self._tiers.append(last)
        with self._store.database.reading() as connection:
            for place, stage in enumerate(stages):
                after = max(settled - stage.reach, -(2**62))
                fired = hit_store.last_fired(connection, stage.rule.id, after)
                for tier in self._tiers:
                    tier.stages[place].recall(fired)
            for _, seq, hit in hit_store.stored_hits(connection, self._base, settled, 2**62, self._progress.read):
                for tier in self._tiers[:_HOLDING]:
                    tier.push(seq, hit)
        self._sure = True

    def _begin_anew(self, until: int) -> None:
        """Forget what was read: its windows have been closed by a clock that ran ahead."""
        progress = self._progress = self._progress._replace(settled=until - self._lateness)
        self._sure = False
        with self._store.database.writing() as connection:
            self._insist(connection)
            hit_store.forget_read(connection, progress.read)
            hit_store.write_progress(connection, progress)
        self._until = self._pruned = -(2**62)
        self._load()

    def _replay(self, tier: Tier, place: int, stage: Stage, kept: Kept) -> None:
        settled = tier.frontier
        after = max(settled - stage.reach, -(2**62))
        order = {rule.id: at for at, rule in enumerate(self._correlations)}
        with self._store.database.reading() as connection:
            streams = []
            for rule_id in dict.fromkeys(stage.rule.rules):
                if rule_id in order:
                    hits = hit_store.settled_hits(connection, rule_id, max(after, kept.start), settled)
                else:
                    hits = hit_store.stored_hits(connection, (rule_id,), after, settled, self._progress.read)
                cause = order.get(rule_id, place)
                streams.append([(time, seq, cause, hit) for time, seq, hit in hits if seq > stage.since])
            for _, _, _, hit in heapq.merge(*streams, key=lambda each: each[:3]):
                tier.replay(place, hit)

    def _prune(self, connection: sqlite3.Connection, progress: Progress) -> None:
        reach: dict[str, int] = {}
        for stage in self._tiers[-1].stages:
            for rule_id in stage.rule.rules:
                reach[rule_id] = max(reach.get(rule_id, 0), stage.reach)
        longest = max(reach.values(), default=0)
        needed = {rule_id: progress.settled - back for rule_id, back in reach.items()}
        hit_store.prune(connection, needed, progress.read, progress.settled - longest)


def _stage(rule: Correlation, kept: Kept, former: Stage | None) -> Stage:
    """The former stage if the correlation comes true as before, or a new one."""
    if former is not None and former.since == kept.since and fingerprint(former.rule) == kept.fingerprint:
        former.rule = rule
        return former
    return Stage(rule, kept.since)


def _delays(reorder: int, lateness: int) -> list[int]:
    """How far behind each tier is: from the reorder delay, six times further each, to the lateness."""
    delays = [min(reorder, lateness)]
    while delays[-1] < lateness:
        delays.append(min(delays[-1] * _STEP, lateness) if delays[-1] > 0 else lateness)
    return delays
