"""The queue, one alert, and alerts written down by hand."""

from __future__ import annotations

from typing import Any, Literal

from django.http import HttpRequest
from ninja import Query, Router, Schema, Status
from pydantic import Field

from khien.console.accounts.models import User
from khien.console.alerts import scanning, services
from khien.console.alerts.api.showing import AlertOut, criteria_of, show_alerts
from khien.console.alerts.listing import listing
from khien.console.alerts.models import Alert
from khien.console.alerts.state import State
from khien.console.api.auth import Key
from khien.console.api.paging import PageParameters, page_of
from khien.console.api.shapes import Id, Moment, Page, PersonRef, Time, seen
from khien.console.systems.models import InformationSystem
from khien.console.units.models import Unit

alerts = Router(tags=["alerts"])


class ActivityOut(Schema):
    """What somebody did to an alert."""

    at: Time
    by: PersonRef | None
    kind: str
    text: str


class FindingOut(Schema):
    """A finding kept of an alert, as `khien hunt --format ndjson` writes it."""

    position: int
    record: dict[str, Any]


class AlertWhole(AlertOut):
    """An alert with its findings and what was done."""

    findings: list[FindingOut]
    activities: list[ActivityOut]


class AlertQuery(Schema):
    """`q`: a filter as in the queue, `level:high,critical status:new unit:so-y-te "powershell"`; `tab`: as there."""

    q: str = Field("", max_length=2_000)
    tab: Literal["all", "mine", "unassigned"] = "all"


class SummaryQuery(AlertQuery):
    """`group`: by what those that match are put together."""

    group: Literal["", "rule", "entity", "unit", "level", "day"] = ""


class GroupOut(Schema):
    """Alerts with something in common. `value`: what to filter by for them; `level`: the highest."""

    label: str
    value: str
    n: int
    level: int
    last_at: Time | None


class BarOut(Schema):
    """Alerts whose last finding lies in a span of time, `severe`: those of high and critical level."""

    start: Time
    end: Time
    n: int
    severe: int


class SummaryOut(Schema):
    """How many match. `count`: null where it is not known, a lower bound unless `is_exact`.

    `upto`: the newest alert there is: with it, `matching` of a bulk action means those counted here. `unassigned`:
    open alerts that nobody has taken on, whatever the filter. `groups_reached`: there are more groups.
    """

    count: int | None
    is_exact: bool
    upto: int
    unassigned: int
    groups: list[GroupOut]
    groups_reached: bool
    bars: list[BarOut]


class AlertIn(Schema):
    """An alert written down by hand."""

    title: str = Field(min_length=1, max_length=300)
    level: int = Field(ge=0, le=4)
    unit: int = Id
    system: int | None = Field(None, ge=1, lt=2**63)
    entity_kind: Literal["", "host", "user", "ip", "domain", "hash", "process"] = ""
    entity_value: str = Field("", max_length=300)
    text: str = Field("", max_length=10_000)
    at: Moment | None = None


def _rows(user: User) -> Any:
    return Alert.objects.visible_to(user).select_related("unit", "owner")


def _whole(user: User, pk: int) -> dict[str, Any]:
    alert = seen(_rows(user), pk)
    return {
        **show_alerts(user, [alert])[0],
        "findings": list(alert.findings.all()),
        "activities": list(alert.activities.select_related("by")[:1000]),
    }


@alerts.get("", response=Page[AlertOut], auth=Key("alerts:read"), summary="List alerts")
def list_alerts(request: HttpRequest, page: PageParameters, filters: Query[AlertQuery]) -> dict[str, Any]:
    """Alerts that the key's owner sees. With a filter at most 10,000 of the latest that match are looked at."""
    rows = _rows(request.user)
    if filters.q.strip() or filters.tab != "all":
        wanted = criteria_of(request.user, filters.q, filters.tab)
        rows = rows.filter(pk__in=scanning.find_all(wanted, 10_000))
    found = page_of(rows, page)
    return {**found, "items": show_alerts(request.user, found["items"])}


@alerts.get("/summary", response=SummaryOut, auth=Key("alerts:read"), summary="How many alerts match, by groups")
def summarize_alerts(request: HttpRequest, filters: Query[SummaryQuery]) -> dict[str, Any]:
    """With how they spread over time."""
    criteria_of(request.user, filters.q, filters.tab)
    found = listing(request.user, State.of(filters.dict()))
    groups = [
        {"label": str(each.label), "value": each.value, "n": each.n, "level": each.level, "last_at": each.last_at}
        for each in found.groups
    ]
    names = ("count", "is_exact", "upto", "unassigned", "groups_reached")
    return {
        **{name: getattr(found, name) for name in names},
        "groups": groups,
        "bars": found.histogram.bars if found.histogram else (),
    }


@alerts.post("", response={201: AlertWhole}, auth=Key("alerts:write"), summary="Write an alert down by hand")
def add_alert(request: HttpRequest, body: AlertIn) -> Status:
    """What somebody saw, a call, a mail."""
    user = request.user
    made = services.create_alert(
        user,
        **body.dict(exclude={"unit", "system"}),
        unit=seen(Unit.objects.visible_to(user), body.unit),
        system=seen(InformationSystem.objects.visible_to(user), body.system) if body.system else None,
    )
    return Status(201, _whole(user, made.pk))


@alerts.get("/{int:pk}", response=AlertWhole, auth=Key("alerts:read"), summary="One alert with its findings")
def one_alert(request: HttpRequest, pk: int) -> dict[str, Any]:
    """404 for one that is not seen."""
    return _whole(request.user, pk)
