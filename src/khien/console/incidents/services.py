"""Opening incidents, changing what is known of them, and taking them through their states."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop, override

from khien.console.accounts.access import demand
from khien.console.accounts.models import User
from khien.console.alerts.models import Alert, Level
from khien.console.audit.services import hold_trail, record
from khien.console.concurrency import locked
from khien.console.incidents import clocks, people
from khien.console.incidents.facts import (
    LINKED,
    LISTS,
    PLAIN,
    complete,
    demand_seen,
    demand_workers,
    named,
    set_list,
    snapshot,
)
from khien.console.incidents.indicators import add_values
from khien.console.incidents.models import WORKING, EntryKind, Incident, IncidentStatus
from khien.console.incidents.numbering import next_number
from khien.console.incidents.timeline import add_entry, unmerged, working
from khien.console.systems.models import InformationSystem
from khien.console.units.models import Unit

__all__ = ["add_entry", "change_incident", "close_incident", "open_incident", "reopen_incident", "set_status"]
OPENED = gettext_noop("Incident opened")
DETECTED = gettext_noop("Incident detected")
STATE = gettext_noop("State: %(before_word)s → %(after_word)s")
REOPENED = gettext_noop("Reopened. Reason: %(reason)s")
CLOSED = gettext_noop("Closed")
SHARED = gettext_noop("TLP: %(before)s → %(after)s")
LEVELLED = gettext_noop("Severity: %(before_word)s → %(after_word)s")
LED = gettext_noop("Leader: %(name)s")


def open_incident(
    by: User,
    *,
    title: str,
    level: int,
    unit: Unit,
    classification: str = "",
    detected_at: datetime | None = None,
    description: str = "",
    tlp: str = "AMBER",
    units: Iterable[Unit] = (),
    systems: Iterable[InformationSystem] = (),
    alerts: Iterable[Alert] = (),
    working_class: str = "",
    leader: User | None = None,
    team: Iterable[User] = (),
    urgent: bool = False,
    serious: bool = False,
    personal_data: bool = False,
    personal_data_at: datetime | None = None,
    indicators: Iterable[tuple[str, str]] = (),
    split_from: Incident | None = None,
    now: datetime | None = None,
) -> Incident:
    """Open an incident of a unit one sees, with its number, clocks and alerts. Raises ValidationError.

    `level`: 0 to 4. `classification`: an RSIT type and `working_class` a working class; each follows from the other
    when only one is given. `indicators`: kind and value.
    """
    demand(by, "incidents.work")
    now = now or timezone.now()
    with transaction.atomic():
        hold_trail()
        incident = Incident(
            number="",
            title=title.strip()[:300],
            description=description.strip(),
            level=level,
            working_class=working_class,
            classification=classification,
            tlp=tlp,
            unit=unit,
            leader=leader,
            urgent=urgent,
            serious=serious,
            personal_data=personal_data,
            personal_data_at=personal_data_at,
            detected_at=detected_at or now,
            created_at=now,
            created_by=by,
            split_from=split_from,
        )
        complete(incident, now)
        demand_seen(by, Unit, [unit], "unit")
        lists = {"units": list(units), "systems": list(systems), "team": list(team)}
        demand_seen(by, Unit, lists["units"], "units")
        demand_seen(by, InformationSystem, lists["systems"], "systems")
        demand_seen(by, User, [*lists["team"], *([leader] if leader else [])], "team")
        demand_workers([*lists["team"], *([leader] if leader else [])])
        incident.number = next_number(now)
        incident.save()
        for name, values in lists.items():
            getattr(incident, name).set(values)
        add_entry(by, incident, EntryKind.STATE, DETECTED, incident.detected_at, {"params": {}})
        add_entry(by, incident, EntryKind.STATE, OPENED, now, {"params": {}})
        clocks.settle(by, incident, now)
        incident.save(update_fields=["next_due_at"])
        record(by, "incident.open", incident, after=snapshot(incident))
        chosen = list(alerts)
        if chosen:
            link_alerts(by, chosen, incident)
        add_values(by, incident, indicators, tlp=incident.tlp)
        _tell_named(by, incident, set())
        if serious or urgent:
            _alarm(by, incident)
    return incident


def change_incident(by: User, pk: int, version: int, *, now: datetime | None = None, **fields: Any) -> Incident:
    """Change what is known of an incident: any of `PLAIN`, `LINKED` and `LISTS`. Raises ValidationError, Changed.

    The TLP is set by those who may lead. Units, systems and people in the lists that the person does not see stay.
    """
    demand(by, "incidents.work")
    now = now or timezone.now()
    if unknown := set(fields) - {*PLAIN, *LINKED, *LISTS}:
        raise TypeError(f"no fields of an incident: {sorted(unknown)}")
    with transaction.atomic():
        incident = working(locked(Incident, pk, version, by=by))
        before, already = snapshot(incident), named(incident)
        for name in (*PLAIN, *LINKED):
            if name in fields:
                setattr(incident, name, fields[name])
        if incident.tlp != before["tlp"]:
            demand(by, "incidents.lead")
        if incident.working_class != before["working_class"] and incident.classification == before["classification"]:
            incident.classification = ""
        complete(incident, now)
        if incident.unit_id != before["unit"]:
            demand_seen(by, Unit, [incident.unit], "unit")
        if incident.leader_id and incident.leader_id != before["leader"]:
            demand_seen(by, User, [incident.leader], "leader")
            demand_workers([incident.leader])
        incident.version += 1
        incident.save()
        for name in LISTS:
            if name in fields:
                set_list(by, incident, name, list(fields[name]))
        if incident.is_sensitive and by.pk not in named(incident) | {incident.created_by_id}:
            incident.team.add(by)
        clocks.settle(by, incident, now)
        incident.save(update_fields=["next_due_at"])
        after = snapshot(incident)
        changed = {name for name in after if after[name] != before[name]}
        _tell_changes(by, incident, before, now)
        record(
            by,
            "incident.change",
            incident,
            before={name: before[name] for name in changed},
            after={name: after[name] for name in changed},
        )
        _tell_named(by, incident, already)
        if {"serious", "urgent"} & changed and (incident.serious or incident.urgent):
            _alarm(by, incident)
    return incident


def set_status(by: User, pk: int, version: int, status: str, *, now: datetime | None = None) -> Incident:
    """Open, contained or resolved. Closing is `close_incident`, opening again `reopen_incident`."""
    demand(by, "incidents.work")
    if status not in WORKING:
        raise ValidationError({"status": _("Choose open, contained or resolved.")})
    with transaction.atomic():
        incident = working(locked(Incident, pk, version, by=by))
        if incident.status != status:
            _move(by, incident, IncidentStatus(status), now or timezone.now(), "incident.set_state")
    return incident


def close_incident(
    by: User,
    pk: int,
    version: int,
    *,
    cause: str,
    effect: str,
    lessons: str,
    clocks_reason: str = "",
    now: datetime | None = None,
) -> Incident:
    """Close an incident with its cause, effect and lessons. Needs `incidents.lead`.

    Legal clocks still open need `clocks_reason`, which is kept with each. Raises ValidationError.
    """
    demand(by, "incidents.lead")
    now = now or timezone.now()
    told = {"cause": cause.strip(), "effect": effect.strip(), "lessons": lessons.strip()}
    missing = {name: _("Closing needs this.") for name, value in told.items() if not value}
    with transaction.atomic():
        incident = working(locked(Incident, pk, version, by=by))
        running = [clock for clock in incident.clocks.select_for_update() if clock.is_open]
        if running and not clocks_reason.strip():
            missing["clocks_reason"] = _("Reports are still to be sent: %(duties)s. Send them, or say why not.") % {
                "duties": ", ".join(clock.label for clock in running)
            }
        if missing:
            raise ValidationError(missing)
        for clock in running:
            clock.incident = incident
            clocks.put_aside(by, clock, clocks_reason, now)
        for name, value in told.items():
            setattr(incident, name, value)
        incident.closed_at, incident.next_due_at = now, None
        _move(by, incident, IncidentStatus.CLOSED, now, "incident.close", **told)
    return incident


def reopen_incident(by: User, pk: int, version: int, *, reason: str, now: datetime | None = None) -> Incident:
    """Open a closed incident again, with the reason. Needs `incidents.lead`."""
    demand(by, "incidents.lead")
    now = now or timezone.now()
    if not reason.strip():
        raise ValidationError({"reason": _("Say why it is opened again.")})
    with transaction.atomic():
        incident = unmerged(locked(Incident, pk, version, by=by))
        if incident.status != IncidentStatus.CLOSED:
            raise ValidationError(_("This incident is not closed."))
        incident.closed_at = None
        add_entry(by, incident, EntryKind.STATE, REOPENED, now, {"params": {"reason": reason.strip()}})
        _move(by, incident, IncidentStatus.OPEN, now, "incident.reopen", reason=reason.strip())
        clocks.settle(by, incident, now)
        incident.save(update_fields=["next_due_at"])
    return incident


def link_alerts(by: User, alerts: list[Alert], incident: Incident) -> None:
    """Make alerts those of an incident, through their own service."""
    from khien.console.alerts.services import link_to_incident

    link_to_incident(by, alerts, incident)


def _move(by: User, incident: Incident, status: IncidentStatus, now: datetime, action: str, **also: str) -> None:
    """Write a change of state, tell of it, and save."""
    before = IncidentStatus(incident.status)
    incident.status = status
    incident.version += 1
    incident.save()
    words = {"before_word": _english(before), "after_word": _english(status)}
    add_entry(by, incident, EntryKind.STATE, STATE, now, {"params": words})
    record(by, action, incident, before={"status": str(before)}, after={"status": str(status), **also})
    people.tell(incident, people.workers(incident), "incident.state", people.STATES[status], besides=by)


def _english(choice: Any) -> str:
    """The message id of a choice's label."""
    with override("en"):
        return str(choice.label)


def _tell_changes(by: User, incident: Incident, before: Mapping[str, Any], now: datetime) -> None:
    """Entries for the changes that a reader of the timeline looks for."""
    if incident.tlp != before["tlp"]:
        params = {"before": before["tlp"], "after": incident.tlp}
        add_entry(by, incident, EntryKind.STATE, SHARED, now, {"params": params})
    if incident.level != before["level"]:
        params = {"before_word": _english(Level(before["level"])), "after_word": _english(Level(incident.level))}
        add_entry(by, incident, EntryKind.STATE, LEVELLED, now, {"params": params})
    if incident.leader and incident.leader_id != before["leader"]:
        add_entry(by, incident, EntryKind.STATE, LED, now, {"params": {"name": incident.leader.name}})


def _alarm(by: User, incident: Incident) -> None:
    superiors = people.superiors(incident)
    people.tell(incident, superiors, "incident.serious", people.SERIOUS, besides=by, urgent=True)


def _tell_named(by: User, incident: Incident, before: set[int]) -> None:
    """Tell those newly named."""
    if incident.leader and incident.leader_id not in before:
        people.tell(incident, [incident.leader], "incident.named", people.LEADS, besides=by)
    newly = [person for person in incident.team.all() if person.pk not in before and person.pk != incident.leader_id]
    people.tell(incident, newly, "incident.named", people.HELPS, besides=by)
