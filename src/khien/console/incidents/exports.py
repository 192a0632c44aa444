"""An incident as one file, whole: JSON for programs, Word and PDF for people. Who takes it away is audited.

The JSON is `khien-incident/1`, as `docs/documents.md` lists it: fields are added, never renamed or taken away. All
three hold what the person sees, no more.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from django.urls import reverse
from django.utils import timezone

from khien.console.accounts.access import demand
from khien.console.accounts.models import User
from khien.console.alerts.models import Alert, Level, Status
from khien.console.audit.services import record
from khien.console.directives.selectors import tasks_of_incident
from khien.console.exports.documents import TYPES, Exported, rendered
from khien.console.exports.progress import permitted, weigh
from khien.console.incidents import selectors
from khien.console.incidents.evidence_package import custody_line, evidence_line
from khien.console.incidents.exports_document import incident_document
from khien.console.incidents.models import Clock, ClockState, Incident, Indicator
from khien.console.systems.models import InformationSystem
from khien.console.units.models import Unit
from khien.console.units.scoping import sees_unit

FORMAT = "khien-incident/1"
MOST_ALERTS = 5000
MOST_AT_ONCE = 5_000
"""Entries and alerts that are read in about 2 s."""


def export_incident(by: User, pk: int, kind: str, now: datetime | None = None) -> Exported:
    """The incident as `docx`, `pdf` or `json`. Needs `incidents.view`.

    Raises Incident.DoesNotExist, KeyError, PdfError, and TakesLong where the worker has to make it: a page answers with
    `exports.services.later`; the API answers by itself.
    """
    demand(by, "incidents.view")
    if kind not in TYPES:
        raise KeyError(kind)
    incident = Incident.objects.visible_to(by).select_related("unit", "leader", "created_by").get(pk=pk)
    permitted()
    name, page = f"{incident.number}.{kind}", reverse("incidents:export", args=[pk, kind])
    weigh(name, page, long=incident.entries.count() + selectors.alerts_of(by, incident).count() > MOST_AT_ONCE)
    content = incident_content(by, incident, now)
    if kind == "json":
        body = json.dumps(content, ensure_ascii=False, indent=1).encode()
    else:
        body = rendered(incident_document(content), kind, name, page)
    record(by, "incident.export", incident, after={"format": kind, "bytes": len(body), "tlp": incident.tlp})
    return Exported(name, kind, body)


def incident_content(by: User, incident: Incident, now: datetime | None = None) -> dict[str, Any]:
    """All of an incident that a person sees, as plain values."""
    systems = InformationSystem.objects.visible_to(by).filter(incidents=incident).select_related("unit")
    clocks = incident.clocks.exclude(state=ClockState.WITHDRAWN)
    alerts = selectors.alerts_of(by, incident).select_related("unit", "system")
    return {
        "format": FORMAT,
        "exported_at": (now or timezone.now()).isoformat(),
        "exported_by": by.name,
        "number": incident.number,
        "title": incident.title,
        "description": incident.description,
        "level": _level(incident.level),
        "class": incident.working_class,
        "rsit": incident.classification,
        "state": incident.status,
        "tlp": incident.get_tlp_display(),
        "urgent": incident.urgent,
        "serious": incident.serious,
        "personal_data": incident.personal_data,
        "personal_data_at": _at(incident.personal_data_at),
        "detected_at": _at(incident.detected_at),
        "opened_at": _at(incident.created_at),
        "opened_by": _name(incident.created_by),
        "closed_at": _at(incident.closed_at),
        "cause": incident.cause,
        "effect": incident.effect,
        "lessons": incident.lessons,
        "unit": _unit(incident.unit),
        "units": [_unit(unit) for unit in incident.units.order_by("name")],
        "systems": [
            {"code": each.code, "name": each.name, "level": each.level, "unit": _unit(each.unit)} for each in systems
        ],
        "leader": _name(incident.leader),
        "team": [person.name for person in incident.team.order_by("name")],
        "clocks": [_clock(clock) for clock in clocks],
        "timeline": [_moment(moment) for moment in selectors.timeline(by, incident)],
        "alerts": [_alert(by, alert) for alert in alerts[:MOST_ALERTS]],
        "alert_count": alerts.count(),
        "indicators": [_indicator(each) for each in incident.indicators.all()],
        "tasks": [_task(task) for task in tasks_of_incident(by, incident)],
        "evidence": _evidence(incident),
        "related": [
            {"number": each.number, "title": each.title}
            for each in Incident.objects.visible_to(by).filter(related=incident).order_by("pk")
        ],
    }


def _at(value: datetime | None) -> str | None:
    return value.isoformat() if value else None


def _name(user: User | None) -> str:
    return user.name if user else ""


def _level(level: int) -> str:
    return Level(level).word if level in Level.values else ""


def _unit(unit: Unit | None) -> dict[str, str] | None:
    return {"code": unit.code, "name": unit.name} if unit else None


def _clock(clock: Clock) -> dict[str, Any]:
    return {
        "code": clock.code,
        "ruleset": clock.ruleset,
        "label": {"vi": clock.label_vi, "en": clock.label_en},
        "basis": clock.basis,
        "starts_at": _at(clock.starts_at),
        "due_at": _at(clock.due_at),
        "state": clock.state,
        "sent_at": _at(clock.sent_at),
        "document_number": clock.document_number,
        "recipient": clock.recipient,
        "confirmation": clock.confirmation,
        "reason": clock.reason,
    }


def _moment(moment: selectors.Moment) -> dict[str, Any]:
    return {
        "at": _at(moment.at),
        "recorded_at": _at(moment.recorded_at),
        "kind": moment.kind,
        "text": moment.text,
        "by": _name(moment.by),
        "level": moment.level,
        "alert": moment.alert.key if moment.alert else "",
        "mail": moment.mail,
    }


def _alert(by: User, alert: Alert) -> dict[str, Any]:
    system = alert.system if alert.system and sees_unit(by, alert.system.unit_id) else None
    return {
        "key": alert.key,
        "title": alert.title,
        "rule": alert.rule_id,
        "level": _level(alert.level),
        "state": Status(alert.status).name.lower(),
        "verdict": alert.verdict,
        "reason": alert.reason,
        "unit": _unit(alert.unit),
        "system": system.code if system else "",
        "entity_kind": alert.entity_kind,
        "entity": alert.entity_value,
        "count": alert.count,
        "first_at": _at(alert.first_at),
        "last_at": _at(alert.last_at),
        "tags": alert.tags,
    }


def _indicator(indicator: Indicator) -> dict[str, Any]:
    return {
        "kind": indicator.kind,
        "value": indicator.value,
        "defanged": indicator.defanged,
        "tlp": indicator.get_tlp_display(),
        "note": indicator.note,
        "added_at": _at(indicator.added_at),
    }


def _task(task: Any) -> dict[str, Any]:
    return {
        "title": task.title,
        "unit": _unit(task.unit),
        "assignee": _name(task.assignee),
        "state": task.state,
        "progress": task.progress,
        "due_at": _at(task.due_at),
        "closed_at": _at(task.closed_at),
    }


def _evidence(incident: Incident) -> list[dict[str, Any]]:
    rows = incident.evidence.listed().prefetch_related("custody__by")
    return [{**evidence_line(each), "custody": [custody_line(entry) for entry in each.custody.all()]} for each in rows]
