"""Brings the live service's alerts into the console, and tells it which ones people have closed.

What is read and how far it was read are written in one transaction, so that everything comes exactly once, whatever
dies in between. What people decided (status, verdict, owner, incident) is never touched here.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import structlog
from django.conf import settings
from django.db import DataError, transaction
from django.utils import timezone

from khien.alerts.grouping import Alert as LiveAlert
from khien.alerts.selectors import AlertChange
from khien.alerts.sink import SqliteAlerts
from khien.console.alerts import content, tally
from khien.console.alerts.models import Alert, AlertFinding, FeedCursor, Handback, SeenRule, Status
from khien.errors import KhienError
from khien.findings.finding import LEVELS

Route = Callable[[Iterable[str], Iterable[str], str], tuple[int | None, int | None]]
AT_ONCE = 500
_UNFIT = (DataError, ArithmeticError, RecursionError, ValueError)
"""What an alert that the tables cannot hold raises; a database that is busy or away raises something else."""
_MOST_COUNTED = 2**31 - 1
_LATEST = datetime(9000, 1, 1, tzinfo=UTC)
_DEEPEST = 60
_log = structlog.get_logger()
_FED = ["title", "level", "count", "first_at", "last_at", "entities", "tags", "sources", "updated_at", "unit", "system"]


def _routed(hostnames: Iterable[str], addresses: Iterable[str], unit_code: str) -> tuple[int | None, int | None]:
    from khien.console.systems.selectors import route

    return route(hostnames, addresses, unit_code)


class Feed:
    """Reads the alerts' database of `khien up`; one at a time per console. `step` does a part of the work."""

    def __init__(self, path: Path | None = None, route: Route = _routed) -> None:
        self._path = path or Path(settings.LIVE) / "alerts.db"
        self._route = route
        self._live: SqliteAlerts | None = None
        self._file: tuple[int, int] | None = None

    def step(self) -> int:
        """Hand statuses back, then take up to `AT_ONCE` changed alerts in; how many. 0: there is no more for now.

        Raises AlertStoreError when the live service's file cannot be used.
        """
        live = self._open()
        if live is None:
            return 0
        self._hand_back(live)
        name = str(live.identity())  # another file has numbers of its own
        cursor = FeedCursor.objects.get_or_create(name=name)[0].value
        changes = live.changes(cursor, AT_ONCE)
        if not changes:
            if cursor > live.last_change():  # an older state of the file: all of it is taken in anew
                FeedCursor.objects.filter(name=name).update(value=0)
            return 0
        with transaction.atomic():
            held = FeedCursor.objects.select_for_update().get(name=name)
            if held.value != cursor:
                return 0  # somebody else was faster
            self._take(changes)
            held.value = changes[-1].number
            held.save()
        return len(changes)

    def close(self) -> None:
        """Give the file up."""
        if self._live is not None:
            self._live.close()
            self._live = None

    def _open(self) -> SqliteAlerts | None:
        """The file as it stands there now: one that was replaced or taken away is given up."""
        there = None
        if self._path.is_file():
            status = self._path.stat()
            there = status.st_dev, status.st_ino
        if there != self._file:
            self.close()
        self._file = there
        if self._live is None and there is not None:
            self._live = SqliteAlerts(self._path)
        return self._live

    def _take(self, changes: list[AlertChange]) -> None:
        """All of them; where one does not fit the tables, each by itself, and that one is passed over."""
        try:
            with transaction.atomic():
                _Intake(self._route).take(changes)
        except _UNFIT:
            for change in changes:
                try:
                    with transaction.atomic():
                        _Intake(self._route).take([change])
                except _UNFIT as error:
                    _log.error("alert not taken in", alert=change.detail.alert.id, error=str(error)[:500])

    def _hand_back(self, live: SqliteAlerts) -> None:
        """Delivered first and forgotten afterwards: a status told twice does no harm."""
        while rows := list(Handback.objects.order_by("id")[:AT_ONCE]):
            live.set_statuses({row.live_key: row.status for row in rows})
            Handback.objects.filter(pk__in=[row.pk for row in rows]).delete()


@dataclass(slots=True)
class _Intake:
    """A batch of changes on its way into the tables."""

    route: Route
    out: list[tally.Cell] = field(default_factory=list)
    into: list[tally.Cell] = field(default_factory=list)

    def take(self, changes: list[AlertChange]) -> None:
        keys = [change.detail.alert.id for change in changes]
        latest = {
            alert.live_key: alert
            for alert in Alert.objects.select_for_update(of=("self",), no_key=True)
            .filter(live_key__in=keys)
            .order_by("id")
        }
        new: list[Alert] = []
        old: list[Alert] = []
        for change in changes:
            live = change.detail.alert
            known = latest.get(live.id)
            if known is not None and known.status == Status.CLOSED and live.count - known.live_offset > known.count:
                # Findings that came between the closing here and the live service's learning of it.
                new.append(self._begin(live, known.live_offset + known.count))
            elif known is None:
                new.append(self._begin(live, 0))
            elif self._grow(known, live):
                old.append(known)
        Alert.objects.bulk_create(new)
        Alert.objects.bulk_update(old, _FED, batch_size=100)
        self.into += [tally.cell(each.last_at, each.unit_id, each.level, each.status) for each in new]
        tally.shift(self.out, self.into)
        self._findings({each.live_key: each for each in [*latest.values(), *new]}, changes, {each.pk for each in new})
        self._rules(change.detail.alert for change in changes)

    def _begin(self, live: LiveAlert, offset: int) -> Alert:
        alert = Alert(
            key=f"{live.id}.{offset}" if offset else live.id,
            live_key=live.id,
            live_offset=offset,
            rule_id=_clean(live.rule_id)[:120],
            entity_kind=live.entity.kind,
            entity_value=_clean(live.entity.value)[:300],
            arrived_at=timezone.now(),
        )
        if not offset and live.status == "closed":
            alert.status = Status.CLOSED  # closed in the live service itself, before the console saw it
        self._fill(alert, live)
        if offset:
            alert.first_at = alert.last_at
        return alert

    def _grow(self, alert: Alert, live: LiveAlert) -> bool:
        """Whether there is anything to write."""
        before = tally.cell(alert.last_at, alert.unit_id, alert.level, alert.status)
        state = [getattr(alert, name) for name in _FED if name != "updated_at"]
        first = alert.first_at
        self._fill(alert, live)
        if alert.live_offset:
            alert.first_at = min(first, alert.last_at)
        if state == [getattr(alert, name) for name in _FED if name != "updated_at"]:
            return False
        self.out.append(before)
        self.into.append(tally.cell(alert.last_at, alert.unit_id, alert.level, alert.status))
        return True

    def _fill(self, alert: Alert, live: LiveAlert) -> None:
        alert.title = _clean(live.title)[:300]
        alert.level = LEVELS.index(live.level)
        alert.count = min(max(live.count - alert.live_offset, 0), _MOST_COUNTED)
        alert.first_at, alert.last_at = _time(live.first), _time(live.last)
        alert.entities = [[entity.kind, _clean(entity.value)] for entity in live.entities]
        alert.tags, alert.sources = [_clean(tag) for tag in live.tags], [_clean(source) for source in live.sources]
        alert.updated_at = timezone.now()
        if alert.unit_id is None:
            hosts = [entity.value for entity in live.entities if entity.kind == "host"]
            addresses = [entity.value for entity in live.entities if entity.kind == "ip"]
            alert.unit_id, alert.system_id = self.route(hosts, addresses, live.unit)

    def _findings(self, alerts: dict[str, Alert], changes: list[AlertChange], new: set[int]) -> None:
        """Findings not kept yet. Those of an alert are only ever added to, so their positions say which."""
        positions: dict[str, int] = {}
        kept = AlertFinding.objects.filter(alert__live_key__in=list(alerts)).values_list("alert__live_key", "position")
        for key, position in kept:
            positions[key] = max(positions.get(key, -1), position)
        rows = []
        for change in changes:
            live, sample = change.detail.alert, change.detail.sample
            alert = alerts[live.id]
            if alert.status == Status.CLOSED and alert.pk not in new:
                continue
            start = positions.get(live.id, -1) + 1
            if start >= len(sample) and alert.pk in new and sample:
                start = len(sample) - 1  # the live service kept nothing of the late findings: show what they are like
            rows += [
                AlertFinding(alert=alert, position=position, record=_record(sample[position].record, live))
                for position in range(start, min(len(sample), content.POSITIONS))
            ]
        AlertFinding.objects.bulk_create(rows)
        content.add(
            (content.row_of(row.alert_id, row.position), content.words_of_finding(row.alert.title, row.record))
            for row in rows
        )

    def _rules(self, lives: Iterable[LiveAlert]) -> None:
        by_id = {_clean(live.rule_id)[:120]: live for live in lives}
        known = {rule.rule_id: rule for rule in SeenRule.objects.filter(rule_id__in=list(by_id))}
        for rule_id, live in by_id.items():
            level, title = LEVELS.index(live.level), _clean(live.title)[:300]
            tags = [_clean(tag) for tag in live.tags]
            rule = known.get(rule_id)
            if rule is None or (rule.title, rule.tags) != (title, tags):
                SeenRule.objects.update_or_create(
                    rule_id=rule_id, defaults={"title": title, "level": level, "tags": tags, "seen_at": timezone.now()}
                )


def _time(microseconds: int) -> datetime:
    """Within what every clock of the province can show; machines with broken clocks say anything."""
    try:
        at = datetime.fromtimestamp(max(microseconds, 0) / 1_000_000, UTC)
    except (OverflowError, ValueError, OSError):
        return _LATEST
    return min(at, _LATEST)


def _clean(text: str) -> str:
    """Without the characters that PostgreSQL refuses."""
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()


def _record(line: bytes, live: LiveAlert) -> Any:
    """The finding's record; without its event when that cannot be read at all."""
    try:
        return _plain(msgspec.json.decode(line))
    except (msgspec.DecodeError, RecursionError):
        return {"rule_id": live.rule_id, "title": live.title, "level": live.level, "matched": [], "event": {}}


def _plain(value: Any, depth: int = 0) -> Any:
    """As JSON that every database takes; what is nested too deep is left out."""
    if isinstance(value, str):
        return _clean(value)
    if isinstance(value, dict):
        return {_clean(str(key)): _plain(each, depth + 1) for key, each in value.items()} if depth < _DEEPEST else "…"
    if isinstance(value, list):
        return [_plain(each, depth + 1) for each in value] if depth < _DEEPEST else "…"
    return value


_mine = threading.local()


def run() -> int:
    """Take in all there is, a part at a time; how many alerts. A file that cannot be used now is tried again later."""
    feed: Feed | None = getattr(_mine, "feed", None)
    if feed is None:
        feed = _mine.feed = Feed()
    taken = 0
    try:
        while part := feed.step():
            taken += part
            if part < AT_ONCE or taken >= 20 * AT_ONCE:
                break
    except KhienError:
        feed.close()
        raise
    return taken
