"""Findings to alerts: those of one rule about one entity within a window are one alert."""

from __future__ import annotations

import re
from collections.abc import Iterable
from hashlib import blake2b
from typing import TypeVar

import msgspec

from khien.alerts.entities import Entity, Extractor
from khien.alerts.live_finding import LiveFinding
from khien.events.timestamps import parse_time
from khien.findings.finding import LEVELS, Finding

_T = TypeVar("_T")
SECOND = 1_000_000
STATUSES = ("new", "acknowledged", "closed")
NOBODY = Entity("", "")
"""The main entity of findings that name none."""
FIRST_SAMPLES = 5
MOST_SAMPLES = 10
MOST_NAMED = 50
"""Entities and sources kept of one alert."""
_MOST_AHEAD = 15 * 60 * SECOND
_DIGITS = re.compile(r"\d+")
_decode = msgspec.json.Decoder(Finding).decode


class GroupingWindow(msgspec.Struct, frozen=True):
    """`gap`: a finding joins an alert at most so long after its last (or before its first) one.

    `longest`: an alert spans at most so long. Both in microseconds.
    """

    gap: int = 3600 * SECOND
    longest: int = 24 * 3600 * SECOND


class Sighting(msgspec.Struct, frozen=True):
    """A finding with what grouping reads of it. `time`: event time, microseconds UTC.

    `variant`: equal for findings whose matched values differ in digits only.
    """

    finding: LiveFinding
    rule_id: str
    title: str
    level: str
    tags: tuple[str, ...]
    time: int
    entities: tuple[Entity, ...]
    variant: int

    @property
    def main(self) -> Entity:
        """The entity the finding is mainly about."""
        return self.entities[0] if self.entities else NOBODY


class Alert(msgspec.Struct):
    """Findings of one rule about one entity of one unit.

    `first` and `last` (event time), `created` (when its first finding was made) and `updated` are
    microseconds UTC. `count`: findings that stand; `superseded`: those that later events took back.
    `levels`: level to findings; `level` is the highest. `variants`: of the findings in the sample.
    """

    id: str
    rule_id: str
    title: str
    level: str
    tags: tuple[str, ...]
    unit: str
    entity: Entity
    first: int
    last: int
    created: int
    updated: int
    count: int = 0
    superseded: int = 0
    status: str = "new"
    levels: dict[str, int] = {}
    sources: tuple[str, ...] = ()
    entities: tuple[Entity, ...] = ()
    variants: tuple[int, ...] = ()


def sight(finding: LiveFinding, extractor: Extractor) -> Sighting:
    """Read a finding's record. Raises msgspec.DecodeError for what is no finding record.

    A finding without a time, or whose clock runs ahead, has the time it was received.
    """
    record = _decode(finding.record)
    time = parse_time(record.time)
    if time is None or time > finding.received + _MOST_AHEAD:
        time = finding.received
    return Sighting(
        finding,
        record.rule_id,
        record.title,
        record.level if record.level in LEVELS else LEVELS[0],
        tuple(record.tags),
        time,
        extractor.entities(record.event, record.host, record.user),
        _variant(record),
    )


def group_key(sighting: Sighting) -> bytes:
    """16 bytes that findings of one alert share: rule, unit and main entity."""
    main = sighting.main
    parts = (sighting.rule_id, sighting.finding.unit, main.kind, main.value)
    return blake2b("\0".join(parts).encode("utf-8", "surrogatepass"), digest_size=16).digest()


def fits(alert: Alert, time: int, window: GroupingWindow) -> bool:
    """Whether a finding of the alert's rule and entity at a time belongs to the alert."""
    if alert.status == "closed" or not alert.first - window.gap <= time <= alert.last + window.gap:
        return False
    return max(alert.last, time) - min(alert.first, time) <= window.longest


def begin(sighting: Sighting) -> Alert:
    """A new alert for a finding, still without it. Its id follows from the finding's, and begins with its time."""
    finding = sighting.finding
    return Alert(
        f"{max(sighting.time // SECOND, 0):08x}"
        + blake2b(b"alert\0" + finding.id.encode(), digest_size=12).hexdigest(),
        sighting.rule_id,
        sighting.title,
        sighting.level,
        sighting.tags,
        finding.unit,
        sighting.main,
        sighting.time,
        sighting.time,
        finding.detected,
        finding.detected,
    )


def join(alert: Alert, sighting: Sighting) -> bool:
    """Add a finding to an alert; whether the finding belongs into the sample.

    The sample is the first five findings, then up to five whose matched values are new to it.
    """
    finding = sighting.finding
    alert.count += 1
    alert.first = min(alert.first, sighting.time)
    alert.last = max(alert.last, sighting.time)
    alert.updated = max(alert.updated, finding.detected)
    alert.levels = {**alert.levels, sighting.level: alert.levels.get(sighting.level, 0) + 1}
    alert.level = max(alert.levels, key=LEVELS.index)
    alert.sources = _union(alert.sources, (finding.source,) if finding.source else ())
    alert.entities = _union(alert.entities, sighting.entities)
    size = len(alert.variants)
    if size < FIRST_SAMPLES or (size < MOST_SAMPLES and sighting.variant not in alert.variants):
        alert.variants = (*alert.variants, sighting.variant)
        return True
    return False


def _union(known: tuple[_T, ...], more: Iterable[_T]) -> tuple[_T, ...]:
    new = tuple(each for each in more if each not in known)
    return (known + new)[:MOST_NAMED] if new else known


def _variant(record: Finding) -> int:
    texts = [f"{matched.field}={matched.value}"[:500] for matched in record.matched]
    text = _DIGITS.sub("#", "\n".join(texts))
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=7).digest())
