"""Alerts in the API."""

from __future__ import annotations

from typing import Any, Literal

from django.http import HttpRequest
from ninja import Query, Router, Schema, Status
from ninja.errors import HttpError
from pydantic import Field

from khien.console.accounts.models import User
from khien.console.alerts import language, scanning, services
from khien.console.alerts.criteria import criteria
from khien.console.alerts.models import Alert
from khien.console.api.auth import Key
from khien.console.api.paging import PageParameters, page_of
from khien.console.api.shapes import Id, Moment, Page, PersonRef, SystemRef, Time, UnitRef, seen
from khien.console.incidents.models import Incident
from khien.console.incidents.selectors import visible_numbers
from khien.console.systems.models import InformationSystem
from khien.console.units.models import Unit

alerts = Router(tags=["alerts"])
_VERDICT = Literal["true_positive", "benign", "false_positive"]


class AlertOut(Schema):
    """An alert. `level`: 0 informational to 4 critical; `status`: 0 new, 1 in progress, 2 closed.

    `incident`: null also where the key's owner does not see it. `entities`: kind and value.
    """

    id: int
    key: str
    rule_id: str
    title: str
    level: int
    status: int
    verdict: str
    classification: str
    reason: str
    unit: UnitRef | None
    system: SystemRef | None
    entity_kind: str
    entity_value: str
    entities: list[Any]
    tags: list[Any]
    sources: list[Any]
    count: int
    first_at: Time
    last_at: Time
    arrived_at: Time
    updated_at: Time
    owner: PersonRef | None
    incident: int | None
    version: int


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
    """`q`: a filter as in the queue, `level:high,critical status:new unit:so-y-te "powershell"`."""

    q: str = Field("", max_length=2_000)


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


class Alerts(Schema):
    """Which alerts, each with the version that was read, or null where that does not matter."""

    alerts: dict[int, int | None] = Field(min_length=1, max_length=10_000)


class AssignIn(Alerts):
    """To whom; null: to nobody."""

    owner: int | None = Field(ge=1, lt=2**63)


class CloseIn(Alerts):
    """What they turned out to be. A false positive needs a reason."""

    verdict: _VERDICT
    classification: str = Field("", max_length=60)
    reason: str = Field("", max_length=500)


class CommentIn(Alerts):
    """What to say."""

    text: str = Field(min_length=1, max_length=10_000)


class ReopenIn(Alerts):
    """Why."""

    reason: str = Field("", max_length=500)


class LinkIn(Alerts):
    """To which incident; null: out of theirs."""

    incident: int | None = Field(ge=1, lt=2**63)


class DoneOut(Schema):
    """What was done: to which; which were left alone because somebody had changed them."""

    ids: list[int]
    skipped: list[int]


def show_alerts(user: User, found: list[Alert]) -> list[dict[str, Any]]:
    """Alerts as the API shows them, naming only incidents that the person sees."""
    linked = {each.incident_id for each in found if each.incident_id}
    known = visible_numbers(user, linked) if linked and user.may("incidents.view") else {}
    names = [name for name in AlertOut.model_fields if name != "incident"]
    return [
        {
            **{name: getattr(each, name) for name in names},
            "incident": each.incident_id if each.incident_id in known else None,
        }
        for each in found
    ]


def _rows(user: User) -> Any:
    return Alert.objects.visible_to(user).select_related("unit", "system", "owner")


@alerts.get("", response=Page[AlertOut], auth=Key("alerts:read"), summary="List alerts")
def list_alerts(request: HttpRequest, page: PageParameters, filters: Query[AlertQuery]) -> dict[str, Any]:
    """Alerts that the key's owner sees. With `q` at most 10,000 of the latest that match are looked at."""
    rows = _rows(request.user)
    if filters.q.strip():
        try:
            wanted = criteria(language.read(filters.q), request.user)
        except language.FilterError as error:
            raise HttpError(422, f"q: {error}") from error
        rows = rows.filter(pk__in=scanning.find_all(wanted, 10_000))
    found = page_of(rows, page)
    return {**found, "items": show_alerts(request.user, found["items"])}


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


def _whole(user: User, pk: int) -> dict[str, Any]:
    alert = seen(_rows(user), pk)
    return {
        **show_alerts(user, [alert])[0],
        "findings": list(alert.findings.all()),
        "activities": list(alert.activities.select_related("by")[:1000]),
    }


@alerts.post("/assign", response=DoneOut, auth=Key("alerts:write"), summary="Give alerts to a person")
def assign_alerts(request: HttpRequest, body: AssignIn) -> Any:
    """One or many."""
    owner = seen(User.objects.visible_to(request.user), body.owner) if body.owner else None
    return services.assign(request.user, body.alerts, owner)


@alerts.post("/close", response=DoneOut, auth=Key("alerts:write"), summary="Close alerts with a verdict")
def close(request: HttpRequest, body: CloseIn) -> Any:
    """One or many."""
    told = body.dict(exclude={"alerts"})
    return services.close(request.user, body.alerts, **told)


@alerts.post("/reopen", response=DoneOut, auth=Key("alerts:write"), summary="Take closed alerts up again")
def reopen(request: HttpRequest, body: ReopenIn) -> Any:
    """Their verdict goes."""
    return services.reopen(request.user, body.alerts, body.reason)


@alerts.post("/comment", response=DoneOut, auth=Key("alerts:write"), summary="Comment on alerts")
def comment(request: HttpRequest, body: CommentIn) -> Any:
    """One or many."""
    return {"ids": services.comment(request.user, body.alerts, body.text), "skipped": []}


@alerts.post("/link", response=DoneOut, auth=Key("alerts:write"), summary="Make alerts those of an incident")
def link(request: HttpRequest, body: LinkIn) -> Any:
    """Or take them out of theirs."""
    if body.incident is None:
        return services.unlink_from_incident(request.user, body.alerts)
    incident = seen(Incident.objects.visible_to(request.user), body.incident)
    return services.link_to_incident(request.user, body.alerts, incident)
