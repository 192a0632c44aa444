"""The detecting worker: every parcel of a lane through the rules, findings into alerts, each exactly once."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from khien.alerts.live_finding import LiveFinding, finding_id
from khien.alerts.sink import AlertSink
from khien.collect.spool import LaneReader, Parcel, Position
from khien.engine.hit import Hit
from khien.errors import KhienError, Problem
from khien.events.mapping import Classifier
from khien.flow.archive import FindingArchive
from khien.flow.careful import Careful
from khien.flow.logs import log_damage
from khien.flow.parcels import ParcelReader
from khien.flow.rulebook import Rulebook
from khien.flow.setaside import Doubts, SetAside
from khien.flow.settings import FlowSettings
from khien.flow.status import Reporter
from khien.hunt.assembly import Encoded
from khien.hunt.finder import Finder
from khien.hunt.plans import HuntPlan

CONSUMER = "detect"
_READ_BYTES = 8 << 20
_IDLE = 0.05
_SAVE_EVERY = 1.0
_log = structlog.get_logger()


@dataclass(slots=True)
class Outcome:
    """What came of a parcel: encoded findings with their rules' ids, hits for correlations, what could not be read."""

    findings: list[tuple[Encoded, str]] = field(default_factory=list)
    hits: list[Hit] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


class ParcelDetector:
    """The rules at work on parcels: one set of compiled rules, replaced as a whole when rules change."""

    def __init__(self, plan: HuntPlan) -> None:
        self.plan = plan
        self._finder = Finder(plan)
        self._reader = ParcelReader(Classifier.load(), self._finder)

    def detect(self, parcel: Parcel) -> Outcome:
        """Everything the rules find in a parcel, in the order of its records."""
        read = self._reader.read(parcel)
        findings, hits = self._finder.find(read.batches)
        return Outcome(findings, hits, read.problems)


class Detecting:
    """Works through one lane. `unit_of(source)` gives the unit of a source.

    Findings, hits and the lane's position go into the sink in one transaction, so work that a crash
    makes it repeat is recognised there and skipped. The lake gets the findings in larger batches, each
    under the number of its last parcel; after a crash, work begins where the one that is further behind stands.
    """

    def __init__(
        self,
        settings: FlowSettings,
        lane: int,
        sink: AlertSink,
        rulebook: Rulebook,
        unit_of: Callable[[str], str],
    ) -> None:
        self._lane = lane
        self._sink = sink
        self._unit_of = unit_of
        self._rulebook = rulebook
        self._detector = ParcelDetector(rulebook.plan)
        self._reader = LaneReader(settings.spool, lane)
        self._position = Position(settings.spool, lane, CONSUMER)
        name = f"detect-{lane:02d}"
        self._aside = SetAside(settings.set_aside, name)
        self._doubts = Doubts(settings.folder / "doubts", name)
        self._report = Reporter(settings.status, name)
        self._careful = Careful(self._detect, self._doubts, self._aside, self._tell)
        self._report.status.rules = len(rulebook.plan.ruleset.rules)
        self._archive = FindingArchive(settings, lane)
        self._taken = max(sink.position(lane), 0)
        self._at = min(self._taken, self._archive.stored)
        self._oldest = 0
        self._position.save(self._at)
        self._saved = time.monotonic()

    def run(self, stopping: Callable[[], bool]) -> None:
        """Work until `stopping()`, then through what is in the spool already, and end."""
        gc.freeze()
        while not stopping():
            if not self.step():
                time.sleep(_IDLE)
        while self.step():
            pass
        self._archive.flush()
        self._position.save(self._archive.stored)
        self._tell(force=True)

    def step(self) -> bool:
        """Work on some parcels; False when there was none."""
        if self._rulebook.changed():
            self._detector = ParcelDetector(self._rulebook.plan)
            self._report.status.rules = len(self._rulebook.plan.ruleset.rules)
            _log.info("rules reloaded", rules=self._report.status.rules)
        parcels = self._reader.read(self._at, _READ_BYTES)
        log_damage(self._reader)
        if parcels:
            self._oldest = parcels[0][1].received
            self._work(parcels)
        now = time.monotonic()
        self._archive.look()
        if now - self._saved >= _SAVE_EVERY:
            if self._position.load() != self._archive.stored:
                self._position.save(self._archive.stored)
            self._saved = now
        self._tell()
        if not parcels:
            self._oldest = 0
        return bool(parcels)

    def _tell(self, force: bool = False) -> None:
        """Say how it is. Correlations wait for the oldest parcel at work, however long that takes."""
        status = self._report.status
        status.position = self._at
        status.lag = self._reader.last() - self._at
        status.lag_seconds = max(0.0, time.time() - self._oldest / 1e6) if status.lag and self._oldest else 0.0
        status.set_aside = self._aside.count
        self._report.tick(force=force)

    def _work(self, parcels: list[tuple[int, Parcel]]) -> None:
        findings: list[LiveFinding] = []
        hits: list[Hit] = []
        arrived: list[tuple[int, int]] = []
        started = time.perf_counter()
        for sequence, parcel in parcels:
            out = self._careful.run(sequence, parcel)
            made = self._live(sequence, parcel, out)
            if sequence > self._taken:
                findings += made
                hits += out.hits
                arrived.append((parcel.received, len(made)))
                self._count(parcel, out)
            self._archive.add(sequence, made)
        self._doubts.clear(parcels[-1][0])
        detected = time.perf_counter()
        self._report.spent("detect", detected - started)
        last = parcels[-1][0]
        if last > self._taken:
            self._hand_over(last, findings, hits)
            self._taken = last
        self._at = last
        durable = time.time()
        for received, count in arrived:
            if count:
                self._report.took(durable - received / 1e6, count)
        self._report.status.findings += len(findings)
        self._report.spent("alerts", time.perf_counter() - detected)

    def _detect(self, sequence: int, parcel: Parcel) -> Outcome:
        return self._detector.detect(parcel)

    def _live(self, sequence: int, parcel: Parcel, out: Outcome) -> list[LiveFinding]:
        now = time.time_ns() // 1000
        unit = self._unit_of(parcel.source)
        return [
            LiveFinding(
                finding_id(rule_id, self._lane, sequence, encoded.record),
                encoded.line(),
                parcel.source,
                unit,
                parcel.received,
                now,
            )
            for encoded, rule_id in out.findings
        ]

    def _hand_over(self, last: int, findings: list[LiveFinding], hits: list[Hit]) -> None:
        """Into the sink, trying again while that fails: a full disk must not lose a finding."""
        wait = 0.5
        while True:
            try:
                self._sink.take(self._lane, last, findings, hits)
                self._report.status.error = ""
                return
            except (KhienError, OSError) as error:
                self._report.status.error = str(error)
                self._tell(force=True)
                _log.error("alerts not written", lane=self._lane, error=str(error), next_try=wait)
                time.sleep(wait)
                wait = min(wait * 2, 15.0)

    def _count(self, parcel: Parcel, out: Outcome) -> None:
        source = self._report.source(parcel.source)
        source.events += parcel.count
        source.bytes += len(parcel.data)
        source.unparsed += len(out.problems)
        source.last_received = parcel.received
        if out.problems:
            source.error = str(out.problems[-1].what)[:200]
        self._report.status.events += parcel.count
