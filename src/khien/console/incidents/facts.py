"""What is known of an incident: what follows from what, who may choose what, and what the audit trail keeps."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from khien.console.accounts.models import User
from khien.console.alerts.models import Alert, Level
from khien.console.incidents import catalogue
from khien.console.incidents.models import Incident, Tlp
from khien.console.incidents.timeline import demand_past
from khien.console.units.scoping import sees_unit

PLAIN = (
    "title",
    "description",
    "level",
    "working_class",
    "classification",
    "tlp",
    "urgent",
    "serious",
    "personal_data",
    "personal_data_at",
    "detected_at",
)
LINKED = ("unit", "leader")
LISTS = ("units", "systems", "team")


def from_alerts(user: User, alerts: list[Alert], now: datetime) -> dict[str, Any]:
    """What alerts tell of an incident that is to be opened; of none, what is usual. Units, systems and people by id."""
    if not alerts:
        return {
            "level": Level.MEDIUM,
            "tlp": "AMBER",
            "detected_at": now,
            "unit": user.unit_id,
            "leader": user.pk,
        }
    worst = max(alerts, key=lambda alert: (alert.level, alert.count))
    units = {alert.unit_id for alert in alerts if alert.unit_id}
    classes = [alert.classification for alert in alerts if alert.classification]
    known = dict(catalogue.classes())
    rsit = max(classes, key=classes.count) if classes else ""
    return {
        "title": f"{worst.title} · {worst.entity_value}" if worst.entity_value else worst.title,
        "level": worst.level,
        "tlp": "AMBER",
        "detected_at": min(alert.arrived_at for alert in alerts),
        "unit": worst.unit_id or user.unit_id,
        "units": sorted(units),
        "systems": sorted(
            {alert.system_id for alert in alerts if alert.system and sees_unit(user, alert.system.unit_id)}
        ),
        "leader": user.pk,
        "classification": rsit if rsit in known else "",
        "working_class": catalogue.working_class_of(rsit) if rsit in known else "other",
    }


def complete(incident: Incident, now: datetime) -> None:
    """Fill what follows from the rest; raises ValidationError for what cannot be."""
    if not incident.title.strip():
        raise ValidationError({"title": _("An incident needs a title.")})
    if incident.level not in Level.values:
        raise ValidationError({"level": _("Choose a severity.")})
    if incident.tlp not in Tlp.values:
        raise ValidationError({"tlp": _("Choose a TLP.")})
    if not incident.working_class:
        known = bool(incident.classification)
        incident.working_class = catalogue.working_class_of(incident.classification) if known else "other"
    if not incident.classification:
        incident.classification = catalogue.usual_rsit(incident.working_class)
    if incident.working_class not in {each.code for each in catalogue.working_classes()}:
        raise ValidationError({"working_class": _("Choose a class.")})
    if incident.classification not in dict(catalogue.classes()):
        raise ValidationError({"classification": _("Choose an RSIT class.")})
    incident.detected_at = incident.detected_at.replace(second=0, microsecond=0)
    demand_past(incident.detected_at, "detected_at", now)
    if not incident.personal_data:
        incident.personal_data_at = None
    else:
        at = incident.personal_data_at or incident.detected_at
        incident.personal_data_at = at.replace(second=0, microsecond=0)
        demand_past(incident.personal_data_at, "personal_data_at", now)


def demand_seen(by: User, model: Any, rows: Iterable[Any], field: str) -> None:
    """Raises ValidationError when one of the rows is not seen by the person."""
    wanted = {row.pk for row in rows}
    if wanted and model.objects.visible_to(by).filter(pk__in=wanted).count() != len(wanted):
        raise ValidationError({field: _("Choose from what you see.")})


def demand_workers(chosen: Iterable[User]) -> None:
    """Raises ValidationError when one of them may not open incidents."""
    for person in chosen:
        if not person.may("incidents.view"):
            raise ValidationError({"team": _("%(name)s may not open incidents.") % {"name": person.name}})


def set_list(by: User, incident: Incident, name: str, chosen: list[Any]) -> None:
    """Set a list; what the person does not see of it stays, and nothing unseen comes in."""
    relation = getattr(incident, name)
    current = {row.pk: row for row in relation.all()}
    new = [row for row in chosen if row.pk not in current]
    demand_seen(by, relation.model, new, name)
    if name == "team":
        demand_workers(new)
    seen = set(relation.model.objects.visible_to(by).filter(pk__in=current).values_list("pk", flat=True))
    relation.set([*chosen, *(row for pk, row in current.items() if pk not in seen)])


def named(incident: Incident) -> set[int]:
    """Leader and team."""
    return {pk for pk in [incident.leader_id, *incident.team.values_list("pk", flat=True)] if pk}


def snapshot(incident: Incident) -> dict[str, Any]:
    """What the audit trail keeps."""
    plain = {name: getattr(incident, name) for name in PLAIN}
    plain |= {"unit": incident.unit_id, "leader": incident.leader_id}
    return plain | {name: sorted(getattr(incident, name).values_list("pk", flat=True)) for name in LISTS}


def strictest(*values: str) -> str:
    """The TLP that shares least."""
    order = list(Tlp.values)
    return max(values, key=order.index)
