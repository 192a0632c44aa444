"""Reads of incidents: the list, the timeline, what is the same elsewhere, search."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from khien.console.accounts.models import User
from khien.console.alerts.models import Alert, AlertFinding, Level
from khien.console.incidents import observables
from khien.console.incidents.models import (
    WORKING,
    Clock,
    EntryKind,
    Incident,
    IncidentEntry,
    IncidentStatus,
    Indicator,
    IndicatorKind,
)
from khien.console.units.folding import saying

MOST_EVENTS = 400
"""Findings of alerts that a timeline shows; the alerts themselves tell the rest."""
ORDERS = {
    "number": ("pk",),
    "-number": ("-pk",),
    "title": ("title", "pk"),
    "-title": ("-title", "-pk"),
    "level": ("level", "pk"),
    "-level": ("-level", "-pk"),
    "detected": ("detected_at", "pk"),
    "-detected": ("-detected_at", "-pk"),
    "unit": ("unit__name", "pk"),
    "-unit": ("-unit__name", "-pk"),
    "state": ("status", "-pk"),
    "-state": ("-status", "-pk"),
}


def listed(incidents: QuerySet[Incident]) -> QuerySet[Incident]:
    """With what a line of a list names."""
    return incidents.select_related("unit", "leader")


def found(user: User, wanted: dict[str, Any], now: datetime | None = None) -> QuerySet[Incident]:
    """Incidents by `text`, `state` (a status, or "working", "all"), `working_class`, `level`, `unit`, `leader`, `mine`,
    `overdue`, `from`, `until` (of detection) in an order of `ORDERS`. What is not set does not narrow."""
    now = now or timezone.now()
    rows = Incident.objects.visible_to(user)
    state = wanted.get("state") or "working"
    if wanted.get("overdue"):
        rows = rows.filter(next_due_at__lt=now)
    elif state == "working":
        rows = rows.filter(status__in=WORKING)
    elif state in IncidentStatus.values:
        rows = rows.filter(status=state)
    elif state == "all":
        rows = rows.exclude(status=IncidentStatus.MERGED)
    for name in ("working_class", "level"):
        if wanted.get(name) not in (None, ""):
            rows = rows.filter(**{name: wanted[name]})
    if unit := wanted.get("unit"):
        touched = Incident.units.through.objects.filter(unit_id=unit.pk).values("incident_id")
        rows = rows.filter(Q(unit=unit) | Q(pk__in=touched))
    if leader := wanted.get("leader"):
        rows = rows.filter(leader=leader)
    if wanted.get("mine"):
        teams = Incident.team.through.objects.filter(user_id=user.pk).values("incident_id")
        rows = rows.filter(Q(leader=user) | Q(pk__in=teams))
    if since := wanted.get("from"):
        rows = rows.filter(detected_at__gte=since)
    if until := wanted.get("until"):
        rows = rows.filter(detected_at__lt=until)
    if text := (wanted.get("text") or "").strip():
        rows = rows.filter(matching(text))
    return rows.order_by(*ORDERS.get(wanted.get("sort") or "", ("-pk",)))


def matching(text: str) -> Q:
    """Incidents whose number, title or description has a text, or that have it as an indicator."""
    condition = saying(text)
    kind = observables.detect(text)
    if kind != IndicatorKind.OTHER:
        try:
            digest = observables.digest(kind, observables.normalise(kind, text))
        except ValueError:
            return condition
        condition |= Q(pk__in=Indicator.objects.filter(digest=digest).values("incident_id"))
    return condition


def search_incidents(user: User, text: str, most: int = 10) -> list[Incident]:
    """Incidents for the search over everything, those opened last first."""
    text = text.strip()
    if not text:
        return []
    return list(listed(Incident.objects.visible_to(user).filter(matching(text)))[:most])


def overdue_count(user: User, now: datetime | None = None) -> int:
    """How many incidents a person sees with a missed legal deadline."""
    return Incident.objects.visible_to(user).filter(next_due_at__lt=now or timezone.now()).count()


def incident_of(user: User, incident_id: int | None) -> Incident | None:
    """The incident something points to, if the person may see it: so that a link does not give one away."""
    if incident_id is None:
        return None
    return Incident.objects.visible_to(user).filter(pk=incident_id).first()


def visible_numbers(user: User, incident_ids: Iterable[int]) -> dict[int, str]:
    """Numbers of those of some incidents that a person may see, in one query."""
    wanted = {each for each in incident_ids if each}
    return dict(Incident.objects.visible_to(user).filter(pk__in=wanted).values_list("pk", "number")) if wanted else {}


@dataclass(frozen=True, slots=True)
class Moment:
    """A line of the timeline: an entry, or a finding of a linked alert."""

    key: str
    kind: str
    at: datetime
    text: str
    by: User | None = None
    level: str = ""
    alert: Alert | None = None
    entry: IncidentEntry | None = None
    mail: dict[str, str] = field(default_factory=dict)
    recorded_at: datetime | None = None
    moved_from: str = ""

    @property
    def kind_label(self) -> str:
        """The kind in the reader's language."""
        return str(EntryKind(self.kind).label)

    @property
    def is_attack(self) -> bool:
        """Whether it stands above the axis."""
        return self.kind == EntryKind.EVENT

    @property
    def is_late_note(self) -> bool:
        """Whether it was written down well after it happened."""
        return self.recorded_at is not None and abs((self.recorded_at - self.at).total_seconds()) > 300


def timeline(user: User, incident: Incident, kinds: Iterable[str] = ()) -> list[Moment]:
    """The entries of an incident and the findings of its alerts that the person sees, oldest first."""
    chosen = set(kinds)
    entries = IncidentEntry.objects.visible_to(user).filter(incident=incident).select_related("by")
    moments = [_of_entry(entry) for entry in (entries.filter(kind__in=chosen) if chosen else entries)]
    if not chosen or EntryKind.EVENT in chosen:
        moments += _events(user, incident)
    return sorted(moments, key=lambda moment: (moment.at, moment.key))


def _of_entry(entry: IncidentEntry) -> Moment:
    return Moment(
        key=f"e{entry.pk}",
        kind=entry.kind,
        at=entry.at,
        text=entry.shown,
        by=entry.by,
        entry=entry,
        mail={name: str(entry.data[name]) for name in ("from", "to", "subject") if name in entry.data}
        if entry.kind in (EntryKind.MAIL_IN, EntryKind.MAIL_OUT)
        else {},
        recorded_at=entry.recorded_at,
        moved_from=str(entry.data.get("moved_from", "")),
    )


def _events(user: User, incident: Incident) -> list[Moment]:
    alerts = {alert.pk: alert for alert in alerts_of(user, incident)[:MOST_EVENTS]}
    findings = AlertFinding.objects.filter(alert_id__in=list(alerts)).order_by("alert_id", "position")
    times: dict[int, list[datetime]] = defaultdict(list)
    for alert_id, record in findings.values_list("alert_id", "record__time")[:MOST_EVENTS]:
        if at := _time(record):
            times[alert_id].append(at)
    moments = []
    for alert in alerts.values():
        known = sorted({alert.first_at, *times[alert.pk], *([alert.last_at] if alert.count > 1 else [])})
        for at in known[:MOST_EVENTS]:
            text = f"{alert.title} · {alert.entity_value}" if alert.entity_value else alert.title
            word = Level(alert.level).word if alert.level in Level.values else ""
            moments.append(Moment(f"a{alert.pk}-{at.isoformat()}", EntryKind.EVENT, at, text, level=word, alert=alert))
    return moments


def _time(value: Any) -> datetime | None:
    try:
        at = parse_datetime(value) if isinstance(value, str) else None
    except ValueError:
        return None
    if at is None or not 1970 < at.year < 9000:  # no time, or one that no clock of the province can show
        return None
    return at if at.tzinfo else at.replace(tzinfo=timezone.get_default_timezone())


def alerts_of(user: User, incident: Incident) -> QuerySet[Alert]:
    """The alerts of an incident that the person sees, the latest first."""
    return Alert.objects.visible_to(user).filter(incident=incident).select_related("unit").order_by("-last_at", "-pk")


def candidates(alerts: Iterable[Alert], there: Iterable[str] = ()) -> list[tuple[str, str, bool]]:
    """Entities of alerts that could be indicators, kind, value, and whether it means something to others too.

    `there`: digests of those that are indicators already.
    """
    known = set(there)
    seen: dict[tuple[str, str], bool] = {}
    for alert in alerts:
        for entity in alert.entities if isinstance(alert.entities, list) else []:
            if not (isinstance(entity, (list, tuple)) and len(entity) == 2):
                continue
            kind, value = str(entity[0]), str(entity[1])
            try:
                value = observables.normalise(kind, value)
            except ValueError:
                continue
            if observables.digest(kind, value) not in known:
                seen[kind, value] = not observables.is_local(kind, value)
    return sorted(((kind, value, wide) for (kind, value), wide in seen.items()), key=lambda each: (not each[2], each))


def elsewhere(user: User, incident: Incident, indicators: Iterable[Indicator]) -> dict[str, list[Incident]]:
    """Other incidents the person sees with the same indicators, by digest."""
    digests = [each.digest for each in indicators]
    rows = (
        Indicator.objects.visible_to(user)
        .filter(digest__in=digests)
        .exclude(incident=incident)
        .exclude(incident__status=IncidentStatus.MERGED)
        .select_related("incident")
        .order_by("-incident_id")
    )
    others: dict[str, list[Incident]] = defaultdict(list)
    for row in rows[:1000]:
        if len(others[row.digest]) < 5:
            others[row.digest].append(row.incident)
    return dict(others)


def clocks_of(incidents: Iterable[Incident]) -> dict[int, list[Clock]]:
    """The open clocks of incidents one has read already, the earliest first."""
    rows = Clock.objects.filter(incident__in=[each.pk for each in incidents], state="open").order_by("due_at")
    clocks: dict[int, list[Clock]] = defaultdict(list)
    for clock in rows:
        clocks[clock.incident_id].append(clock)
    return clocks
