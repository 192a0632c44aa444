"""What may be chosen when an incident is opened or changed, and what alerts suggest for a new one."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.utils import timezone
from ninja import Query, Router, Schema
from pydantic import Field

from khien.console.accounts.models import User
from khien.console.accounts.roles import roles_with
from khien.console.alerts.models import Alert
from khien.console.api.auth import Key
from khien.console.api.shapes import AnId, Time, UnitRef
from khien.console.incidents import catalogue, selectors
from khien.console.incidents.api.indicators import MOST_ALERTS, FoundOut
from khien.console.incidents.facts import from_alerts

choices = Router(tags=["incidents"])


class NamedOut(Schema):
    """A code with its words."""

    code: str
    vi: str
    en: str


class WorkingClassOut(NamedOut):
    """A class people choose. `rsit`: its RSIT types, the usual one first."""

    rsit: list[str]


class RsitClassOut(NamedOut):
    """A class of RSIT with its types."""

    types: list[NamedOut]


class ClassesOut(Schema):
    """`working`: what `working_class` may be. `rsit`: what `classification` may be, by class."""

    working: list[WorkingClassOut]
    rsit: list[RsitClassOut]


class WorkerOut(Schema):
    """A person who may lead an incident or be in its team."""

    id: int
    name: str
    unit: UnitRef


class SuggestedOut(Schema):
    """What alerts tell of an incident to be opened, in the fields it is opened with.

    `offered`: entities that could be its indicators. `taken`: incidents that have some of these alerts already.
    """

    title: str = ""
    level: int
    tlp: str
    working_class: str = "other"
    classification: str = ""
    detected_at: Time
    unit: int | None
    units: list[int] = Field(default_factory=list)
    systems: list[int] = Field(default_factory=list)
    leader: int | None
    offered: list[FoundOut]
    taken: list[int]


class AlertsQuery(Schema):
    """Ids of alerts."""

    alerts: list[AnId] = Field(min_length=1, max_length=MOST_ALERTS)


@choices.get("/classes", response=ClassesOut, auth=Key("incidents:read"), summary="Classes of incidents")
def incident_classes(request: HttpRequest) -> dict[str, Any]:
    """The catalogues in force."""
    return {"working": catalogue.working_classes(), "rsit": catalogue.rsit().classes}


@choices.get("/people", response=list[WorkerOut], auth=Key("incidents:write"), summary="Who may lead or help")
def incident_people(request: HttpRequest) -> list[Any]:
    """People whom the key's owner sees and whose role may open incidents."""
    able = User.objects.visible_to(request.user).filter(is_active=True, role__in=roles_with("incidents.view"))
    return list(able.select_related("unit").order_by("name", "pk"))


@choices.get(
    "/suggested", response=SuggestedOut, auth=Key("incidents:write"), summary="What alerts suggest for a new incident"
)
def suggested_incident(request: HttpRequest, named: Query[AlertsQuery]) -> dict[str, Any]:
    """Nothing is opened. Alerts that are not seen are passed over."""
    user = request.user
    alerts = list(Alert.objects.visible_to(user).filter(pk__in=set(named.alerts)).select_related("unit", "system"))
    return {
        **from_alerts(user, alerts, timezone.now()),
        "offered": [{"kind": kind, "value": value, "wide": wide} for kind, value, wide in selectors.candidates(alerts)],
        "taken": list(selectors.visible_numbers(user, [alert.incident_id for alert in alerts])),
    }
