"""Alarms of the service itself: sources that fall silent, drift or send garbage, a full disk, workers that die.

Each is a finding like any other, in the alerts: `docs/operate.md` lists them.
"""

from __future__ import annotations

import contextlib
import platform
import shutil
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Final

import msgspec
import structlog

from khien.alerts.live_finding import LiveFinding
from khien.alerts.sink import AlertSink, SqliteAlerts
from khien.collect.settings import Source
from khien.collect.sources import SourcesError, load_sources
from khien.errors import KhienError
from khien.events.batch import Event
from khien.events.logsource import LogSource
from khien.events.timestamps import format_time
from khien.findings.finding import Finding
from khien.flow.metrics import STALE_SECONDS, expected
from khien.flow.settings import FlowSettings
from khien.flow.status import ProcessStatus, read_all

LANE: Final = 1000
"""Under which alarms go into the sink; lanes of the spool are below 100."""
EVERY: Final = 5.0
MOST_SKEW: Final = 300.0
WELL_SKEW: Final = 240.0
MOST_UNPARSED: Final = 0.2
FEWEST_EVENTS: Final = 50
RECENT: Final = 600.0
_DEATHS_REMEMBERED: Final = 300.0
_FULL, _ROOMY = 0.95, 0.85
_TITLES: Final = {
    "khien-source-silent": "A Source Fell Silent",
    "khien-source-clock": "The Clock of a Source Is Off",
    "khien-source-garbage": "A Source Sends What Cannot Be Parsed",
    "khien-spool-full": "The Spool Is Full",
    "khien-disk-full": "The Disk Is Full",
    "khien-worker-dead": "A Process of the Service Died",
}
_SOURCE_RULES: Final = ("khien-source-silent", "khien-source-clock", "khien-source-garbage")
_log = structlog.get_logger()


class Alarm(msgspec.Struct):
    """One that goes on since `begin` (microseconds UTC). `figures` are those of its finding."""

    rule_id: str
    subject: str
    begin: int
    figures: dict[str, str | int | float] = {}
    raised: bool = False


class State(msgspec.Struct):
    """What is remembered over restarts: alarms that go on, and when each source was last received from."""

    alarms: list[Alarm] = []
    received: dict[str, int] = {}


@dataclass(slots=True)
class _Recent:
    """The newest events of a source: those of ten minutes, and at least fifty. `parts`: moment, events, unparsed."""

    events_seen: int = 0
    unparsed_seen: int = 0
    parts: deque[tuple[float, int, int]] = field(default_factory=deque)
    events: int = 0
    unparsed: int = 0

    def count(self, clock: float, events: int, unparsed: int) -> None:
        """Take the totals of a process that counts from its start."""
        if events < self.events_seen or unparsed < self.unparsed_seen:
            self.events_seen = self.unparsed_seen = 0
        more, worse = events - self.events_seen, unparsed - self.unparsed_seen
        self.events_seen, self.unparsed_seen = events, unparsed
        if more or worse:
            self.parts.append((clock, more, worse))
            self.events += more
            self.unparsed += worse
        while self.parts:
            moment, old, bad = self.parts[0]
            if moment >= clock - RECENT or self.events - old < FEWEST_EVENTS:
                break
            self.parts.popleft()
            self.events -= old
            self.unparsed -= bad


class Watching:
    """Looks at what the processes say of themselves. `restarts()`: how often each has been started again.

    An alarm is raised once, when it begins, and again only after all was well in between; over restarts of the service
    too, by the state in `settings.alarms`.
    """

    def __init__(self, settings: FlowSettings, sink: AlertSink, restarts: Callable[[], Mapping[str, int]]) -> None:
        self._settings = settings
        self._sink = sink
        self._restarts = restarts
        self._state = _load(settings.alarms)
        self._saved = b""
        self._started: float | None = None
        self._heard: dict[str, tuple[int, float]] = {}
        self._recent: dict[str, _Recent] = {}
        self._deaths: dict[str, tuple[int, float]] = {}
        self._signs: dict[str, tuple[tuple[int, int], float]] = {}
        self._sources: tuple[Source, ...] = ()
        self._stamp = -1

    def look(self, now: int, clock: float) -> None:
        """Look once. `now`: microseconds UTC; `clock`: seconds that only go forward."""
        if self._started is None:
            self._started = clock
        statuses = read_all(self._settings.status)
        self._read_sources()
        known = {source.id for source in self._sources}
        state = self._state
        state.alarms = [each for each in state.alarms if each.rule_id not in _SOURCE_RULES or each.subject in known]
        state.received = {name: last for name, last in state.received.items() if name in known}
        for source in self._sources:
            self._silence(source, statuses, clock)
            self._quality(source.id, statuses, now, clock)
        self._room(now)
        self._workers(statuses, now, clock)
        self._save()
        self._raise(now)

    def _silence(self, source: Source, statuses: Sequence[ProcessStatus], clock: float) -> None:
        received = self._state.received
        last = max((each.sources[source.id].last_received for each in statuses if source.id in each.sources), default=0)
        last = max(last, received.get(source.id, 0))
        if not last:
            return
        received[source.id] = last
        heard, since = self._heard.get(source.id, (0, clock))
        if heard != last:
            since = clock if heard else (self._started or clock)
            self._heard[source.id] = last, since
        quiet = clock - since
        self._judge(
            "khien-source-silent",
            source.id,
            last,
            source.silent_after > 0 and quiet > source.silent_after * 60,
            source.silent_after == 0 or self._newer("khien-source-silent", source.id, last),
            {"last_received": format_time(last), "silent_after_minutes": source.silent_after},
        )

    def _newer(self, rule_id: str, subject: str, last: int) -> bool:
        alarm = self._find(rule_id, subject)
        return alarm is not None and last > alarm.begin

    def _quality(self, name: str, statuses: Sequence[ProcessStatus], now: int, clock: float) -> None:
        """Clock and readability, as the storing workers see them."""
        for status in statuses:
            source = status.sources.get(name) if status.name.startswith("store-") else None
            if source is None:
                continue
            if source.last_time:
                skew = round(source.skew, 1)
                off, well = abs(skew) > MOST_SKEW, abs(skew) < WELL_SKEW
                self._judge("khien-source-clock", name, now, off, well, {"skew_seconds": skew})
            recent = self._recent.setdefault(f"{status.name}/{name}", _Recent())
            recent.count(clock, source.events, source.unparsed)
            if recent.events >= FEWEST_EVENTS:
                bad = recent.unparsed > MOST_UNPARSED * recent.events
                figures: dict[str, str | int | float] = {"events": recent.events, "unparsed": recent.unparsed}
                self._judge("khien-source-garbage", name, now, bad, not bad, figures)

    def _room(self, now: int) -> None:
        settings = self._settings
        used = _size(settings.spool)
        full, roomy = used >= _FULL * settings.spool_bytes, used < _ROOMY * settings.spool_bytes
        figures: dict[str, str | int | float] = {"bytes": used, "most_bytes": settings.spool_bytes}
        self._judge("khien-spool-full", "spool", now, full, roomy, figures)
        for place in {str(settings.folder), settings.lake_root}:
            with contextlib.suppress(OSError):
                free = shutil.disk_usage(place).free
                figures = {"free_bytes": free, "least_free_bytes": settings.min_free}
                self._judge(
                    "khien-disk-full", place, now, free < settings.min_free, free > settings.min_free * 1.1, figures
                )

    def _workers(self, statuses: Sequence[ProcessStatus], now: int, clock: float) -> None:
        signs = {status.name: (status.pid, status.at) for status in statuses}
        restarts = self._restarts()
        for name in expected(self._settings):
            count = restarts.get(name, 0)
            before, died = self._deaths.get(name, (0, -_DEATHS_REMEMBERED))
            if count > before:
                died = clock
            self._deaths[name] = count, died
            sign = signs.get(name, (0, 0))
            last, since = self._signs.get(name, ((0, 0), clock))
            if sign != last:
                since = clock
            self._signs[name] = sign, since
            quiet = clock - since
            dead = clock - died < _DEATHS_REMEMBERED or quiet > STALE_SECONDS
            figures: dict[str, str | int | float] = {"restarts": count, "seconds_without_sign": round(quiet)}
            self._judge("khien-worker-dead", name, now, dead, not dead, figures)

    def _judge(
        self, rule_id: str, subject: str, begin: int, bad: bool, well: bool, figures: dict[str, str | int | float]
    ) -> None:
        """Begin an alarm, or end it; between bad and well it stays as it is."""
        alarm = self._find(rule_id, subject)
        if alarm is None and bad:
            self._state.alarms.append(Alarm(rule_id, subject, begin, figures))
        elif alarm is not None and alarm.raised and well:
            self._state.alarms.remove(alarm)
            _log.info("all is well again", rule=rule_id, subject=subject)

    def _find(self, rule_id: str, subject: str) -> Alarm | None:
        return next((a for a in self._state.alarms if a.rule_id == rule_id and a.subject == subject), None)

    def _raise(self, now: int) -> None:
        """Into the sink what is not there yet: again after a crash, under the same id, which the sink knows then."""
        new = [alarm for alarm in self._state.alarms if not alarm.raised]
        if not new:
            return
        units = {source.id: source.unit for source in self._sources}
        findings = [_finding(alarm, units, now) for alarm in new]
        self._sink.take(LANE, self._sink.position(LANE) + 1, findings)
        for alarm in new:
            alarm.raised = True
            _log.warning("alarm", rule=alarm.rule_id, subject=alarm.subject, **alarm.figures)
        self._save()

    def _read_sources(self) -> None:
        file = self._settings.sources
        if file is None:
            return
        try:
            stamp = file.stat().st_mtime_ns
            if stamp != self._stamp:
                self._sources = load_sources(file).sources
                self._stamp = stamp
        except (OSError, SourcesError):
            return  # the collector reports it; the last good one stays

    def _save(self) -> None:
        data = msgspec.json.encode(self._state)
        if data == self._saved:
            return
        part = self._settings.alarms.with_suffix(".part")
        with contextlib.suppress(OSError):  # a full disk: ids that repeat keep alarms from doubling
            part.write_bytes(data)
            part.replace(self._settings.alarms)
            self._saved = data


def watch(settings: FlowSettings, restarts: Callable[[], Mapping[str, int]], ending: threading.Event) -> None:
    """Look every few seconds until `ending`; what fails is logged and tried again."""
    sink: SqliteAlerts | None = None
    watching: Watching | None = None
    while not ending.wait(EVERY):
        try:
            if watching is None:
                sink = SqliteAlerts(settings.alerts)
                watching = Watching(settings, sink, restarts)
            watching.look(time.time_ns() // 1000, time.monotonic())
        except (KhienError, OSError) as error:
            _log.error("alarms not raised", error=str(error))
    if sink is not None:
        sink.close()


def alarm_id(rule_id: str, subject: str, begin: int) -> str:
    """The id of an alarm's finding: the same for the same subject and begin."""
    text = "\0".join(("alarm", rule_id, subject, str(begin)))
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _finding(alarm: Alarm, units: Mapping[str, str], now: int) -> LiveFinding:
    of_source = alarm.rule_id in _SOURCE_RULES
    event: Event = {"subject": alarm.subject, "begin": format_time(alarm.begin), **alarm.figures}
    record = Finding(
        rule_id=alarm.rule_id,
        title=_TITLES[alarm.rule_id],
        level="medium",
        status="stable",
        tags=[],
        logsource=LogSource(product="khien", service="service"),
        time=format_time(alarm.begin),
        host=alarm.subject if of_source else platform.node(),
        user="",
        path="khien",
        record=0,
        matched=[],
        event=event,
    )
    source = alarm.subject if of_source else ""
    name = alarm_id(alarm.rule_id, alarm.subject, alarm.begin)
    return LiveFinding(name, msgspec.json.encode(record), source, units.get(source, ""), now, now)


def _load(file: Path) -> State:
    try:
        return msgspec.json.decode(file.read_bytes(), type=State)
    except (OSError, msgspec.MsgspecError):
        return State()


def _size(folder: Path) -> int:
    """Bytes of the files below a folder, each once: a backup gives segments a second name."""
    sizes: dict[int, int] = {}
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):
            if path.is_file():
                status = path.stat()
                sizes[status.st_ino] = status.st_size
    return sum(sizes.values())
