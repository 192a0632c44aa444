"""Merging incidents into one, splitting one off another, and relating them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from khien.console.accounts.access import demand
from khien.console.accounts.models import User
from khien.console.alerts.models import Alert
from khien.console.audit.services import record
from khien.console.concurrency import locked
from khien.console.directives.tasks import move_tasks
from khien.console.incidents import clocks, people
from khien.console.incidents.facts import strictest
from khien.console.incidents.models import (
    ClockState,
    EntryKind,
    Incident,
    IncidentEntry,
    IncidentStatus,
    Indicator,
)
from khien.console.incidents.services import link_alerts, open_incident
from khien.console.incidents.timeline import add_entry, unmerged, working
from khien.console.systems.models import InformationSystem
from khien.console.units.models import Unit

MERGED_HERE = gettext_noop("%(number)s was merged into this incident")
MERGED_AWAY = gettext_noop("Merged into %(number)s")
SPLIT_OFF = gettext_noop("Split off as %(number)s")
SPLIT_FROM = gettext_noop("Split off from %(number)s")
RELATED = gettext_noop("Related to %(number)s")
UNRELATED = gettext_noop("No longer related to %(number)s")


def merge(by: User, pk: int, version: int, target_pk: int, *, now: datetime | None = None) -> Incident:
    """Merge an incident into another one, which gets all that belongs to it. Needs `incidents.lead`.

    The merged one keeps its number and points to the target. The target is as severe, as serious and as confidential
    as the stricter of the two, and was detected when the first was. Raises ValidationError.
    """
    demand(by, "incidents.lead")
    now = now or timezone.now()
    if pk == target_pk:
        raise ValidationError({"target": _("An incident cannot be merged into itself.")})
    with transaction.atomic():
        held = {
            each: locked(Incident, each, version if each == pk else None, by=by) for each in sorted((pk, target_pk))
        }
        source, target = unmerged(held[pk]), working(held[target_pk])
        record(by, "incident.merge", source, before={"status": source.status}, after=_belongings(source, target))
        _move_alerts(by, source, target)
        _move_entries(source, target, list(source.entries.all()))
        move_tasks(by, source, target)
        _move_evidence(by, source, target)
        there = set(target.indicators.values_list("digest", flat=True))
        source.indicators.exclude(digest__in=there).update(incident=target)
        _unite(by, source, target)
        for clock in source.clocks.select_for_update().filter(state=ClockState.OPEN):
            clock.state = ClockState.WITHDRAWN
            clock.version += 1
            clock.save()
        clocks.settle(by, target, now)
        target.save()
        source.status, source.merged_into = IncidentStatus.MERGED, target
        source.closed_at, source.next_due_at = now, None
        source.version += 1
        source.save()
        _name(by, target, MERGED_HERE, source, now)
        _name(by, source, MERGED_AWAY, target, now)
        people.tell(source, people.workers(source), "incident.state", people.STATES[source.status], besides=by)
    return target


def split(
    by: User,
    pk: int,
    version: int,
    *,
    title: str,
    alerts: Iterable[int] = (),
    entries: Iterable[int] = (),
    indicators: Iterable[int] = (),
    now: datetime | None = None,
) -> Incident:
    """Take alerts, entries and indicators of an incident out into a new one. Needs `incidents.lead`."""
    demand(by, "incidents.lead")
    now = now or timezone.now()
    with transaction.atomic():
        source = working(locked(Incident, pk, version, by=by))
        moved = list(Alert.objects.visible_to(by).filter(incident=source, pk__in=list(alerts)))
        told = list(source.entries.filter(pk__in=list(entries)).exclude(kind__in=[EntryKind.STATE, EntryKind.CLOCK]))
        signs = list(source.indicators.filter(pk__in=list(indicators)))
        if not moved and not told and not signs:
            raise ValidationError(_("Choose alerts, entries or indicators for the new incident."))
        times = [alert.first_at for alert in moved] + [entry.at for entry in told if entry.kind == EntryKind.EVENT]
        unit = source.unit if Unit.objects.visible_to(by).filter(pk=source.unit_id).exists() else by.unit
        seen = {alert.unit_id for alert in moved} | set(source.units.values_list("pk", flat=True))
        new = open_incident(
            by,
            title=title,
            level=max((alert.level for alert in moved), default=source.level),
            unit=unit,
            working_class=source.working_class,
            classification=source.classification,
            detected_at=min(times, default=source.detected_at),
            tlp=source.tlp,
            units=Unit.objects.visible_to(by).filter(pk__in=seen - {None}),
            systems=InformationSystem.objects.visible_to(by).filter(incidents=source),
            leader=source.leader if source.leader and _sees(by, source.leader) else None,
            team=User.objects.visible_to(by).filter(incident_teams=source),
            split_from=source,
            now=now,
        )
        if moved:
            link_alerts(by, moved, new)
        _move_entries(source, new, told)
        Indicator.objects.filter(pk__in=[each.pk for each in signs]).update(incident=new)
        source.related.add(new)
        _name(by, source, SPLIT_OFF, new, now)
        _name(by, new, SPLIT_FROM, source, now)
        source.version += 1
        source.save()
        after = {
            "new": new.number,
            "alerts": [each.pk for each in moved],
            "entries": [each.pk for each in told],
            "indicators": [each.pk for each in signs],
        }
        record(by, "incident.split", source, after=after)
    return new


def relate(by: User, pk: int, other_pk: int, *, related: bool = True) -> Incident:
    """Say that two incidents have to do with each other, or (`related=False`) that they do not."""
    demand(by, "incidents.work")
    if pk == other_pk:
        raise ValidationError({"other": _("Choose another incident.")})
    with transaction.atomic():
        held = {each: locked(Incident, each, None, by=by) for each in sorted((pk, other_pk))}
        incident, other = held[pk], held[other_pk]
        if incident.related.filter(pk=other_pk).exists() == related:
            return incident
        (incident.related.add if related else incident.related.remove)(other)
        for one, two in ((incident, other), (other, incident)):
            _name(by, one, RELATED if related else UNRELATED, two, timezone.now())
        record(by, "incident.relate" if related else "incident.unrelate", incident, after={"other": other.number})
    return incident


def _name(by: User, incident: Incident, text: str, other: Incident, at: datetime) -> None:
    """An entry that names another incident."""
    add_entry(by, incident, EntryKind.STATE, text, at, {"params": {"number": other.number}}, about=other)


def _sees(by: User, person: User) -> bool:
    return User.objects.visible_to(by).filter(pk=person.pk).exists()


def _belongings(source: Incident, target: Incident) -> dict[str, object]:
    """What a merge moves, for the audit trail."""
    return {
        "status": str(IncidentStatus.MERGED),
        "into": target.number,
        "alerts": list(source.alerts.values_list("pk", flat=True)),
        "entries": list(source.entries.values_list("pk", flat=True)),
        "tasks": list(source.tasks.values_list("pk", flat=True)),
        "evidence": list(source.evidence.values_list("pk", flat=True)),
        "indicators": list(source.indicators.values_list("pk", flat=True)),
    }


def _move_alerts(by: User, source: Incident, target: Incident) -> None:
    everything = source.alerts.count()
    alerts = list(Alert.objects.visible_to(by).filter(incident=source))
    if len(alerts) != everything:
        raise ValidationError(
            _("Some alerts of this incident are of units you do not see; somebody who sees all can merge it.")
        )
    if alerts:
        link_alerts(by, alerts, target)


def _move_entries(source: Incident, target: Incident, entries: list[IncidentEntry]) -> None:
    for entry in entries:
        entry.incident = target
        entry.data = {**entry.data, "moved_from": source.number}
        entry.version += 1
    IncidentEntry.objects.bulk_update(entries, ["incident", "data", "version"], batch_size=200)


def _move_evidence(by: User, source: Incident, target: Incident) -> None:
    from khien.console.incidents.evidence import move_evidence

    if source.evidence.exists():
        move_evidence(by, source, target)


def _unite(by: User, source: Incident, target: Incident) -> None:
    """What of the target follows from the one merged into it."""
    target.units.add(source.unit, *source.units.all())
    target.systems.add(*source.systems.all())
    if source.is_sensitive or not target.is_sensitive:
        # Nobody comes to see what is sensitive by a merge; the merged one's own people go on seeing theirs.
        target.team.add(*source.team.all(), *(each for each in (source.leader, source.created_by) if each))
    target.tlp = strictest(source.tlp, target.tlp)
    if target.is_sensitive and by.pk not in {target.leader_id, target.created_by_id}:
        target.team.add(by)
    target.related.add(*source.related.exclude(pk=target.pk))
    target.level = max(source.level, target.level)
    target.detected_at = min(source.detected_at, target.detected_at)
    for flag in ("urgent", "serious", "personal_data"):
        setattr(target, flag, getattr(source, flag) or getattr(target, flag))
    target.personal_data_at = min((at for at in (source.personal_data_at, target.personal_data_at) if at), default=None)
    target.version += 1
