"""Incidents in the API."""

from __future__ import annotations

from typing import Any, Literal

from django.http import HttpRequest
from ninja import Query, Router, Schema, Status
from pydantic import Field

from khien.console.accounts.models import User
from khien.console.alerts.models import Alert
from khien.console.api.auth import Key
from khien.console.api.paging import PageParameters, page_of
from khien.console.api.shapes import (
    AnId,
    Id,
    Moment,
    Page,
    PersonRef,
    Reasoned,
    SystemRef,
    Time,
    UnitRef,
    Versioned,
    seen,
)
from khien.console.audit.services import record_view
from khien.console.incidents import clocks, indicators, merging, services, timeline
from khien.console.incidents.models import Incident, IncidentEntry
from khien.console.incidents.selectors import found as incidents_found
from khien.console.incidents.selectors import visible_numbers
from khien.console.systems.models import InformationSystem
from khien.console.units.models import Unit

incidents = Router(tags=["incidents"])
_TLP = Literal["CLEAR", "GREEN", "AMBER", "AMBER+STRICT", "RED"]
_IDS = Field(default_factory=list, max_length=500)


class IncidentOut(Schema):
    """An incident. `level`: 0 informational to 4 critical. `next_due_at`: the earliest open legal deadline."""

    id: int
    number: str
    title: str
    level: int
    working_class: str
    classification: str
    status: str
    tlp: str
    unit: UnitRef
    leader: PersonRef | None
    urgent: bool
    serious: bool
    personal_data: bool
    detected_at: Time
    next_due_at: Time | None
    created_at: Time
    updated_at: Time
    closed_at: Time | None
    version: int


class ClockOut(Schema):
    """A legal duty to report. `state`: open, sent, waived or withdrawn."""

    id: int
    code: str
    ruleset: str
    label_vi: str
    label_en: str
    basis: str
    starts_at: Time
    due_at: Time
    state: str
    sent_at: Time | None
    document_number: str
    recipient: str
    version: int


class IndicatorOut(Schema):
    """An indicator, in its normal form."""

    id: int
    kind: str
    value: str
    tlp: str
    note: str
    version: int


class EntryOut(Schema):
    """An entry of the timeline."""

    id: int
    kind: str
    at: Time
    by: PersonRef | None
    text: str = Field(alias="shown")
    version: int


class IncidentWhole(IncidentOut):
    """An incident with what belongs to it, as far as the key's owner sees it."""

    description: str
    cause: str
    effect: str
    lessons: str
    personal_data_at: Time | None
    units: list[UnitRef]
    systems: list[SystemRef]
    team: list[PersonRef]
    clocks: list[ClockOut]
    indicators: list[IndicatorOut]
    alerts: list[int]
    merged_into: int | None = Field(None, alias="merged_into_id")


class IncidentIn(Schema):
    """An incident to open; `alerts` become its alerts."""

    title: str = Field(min_length=1, max_length=300)
    description: str = Field("", max_length=50_000)
    level: int = Field(ge=0, le=4)
    unit: int = Id
    working_class: str = Field("", max_length=40)
    classification: str = Field("", max_length=60)
    tlp: _TLP = "AMBER"
    detected_at: Moment | None = None
    urgent: bool = False
    serious: bool = False
    personal_data: bool = False
    personal_data_at: Moment | None = None
    leader: int | None = Field(None, ge=1, lt=2**63)
    units: list[AnId] = _IDS
    systems: list[AnId] = _IDS
    team: list[AnId] = _IDS
    alerts: list[AnId] = _IDS


class IncidentChange(Versioned):
    """What is left out, or null, stays as it is; a null `personal_data_at` takes that time away."""

    version: int = Field(ge=0, lt=2**31)
    title: str | None = Field(None, min_length=1, max_length=300)
    description: str | None = Field(None, max_length=50_000)
    level: int | None = Field(None, ge=0, le=4)
    working_class: str | None = Field(None, max_length=40)
    classification: str | None = Field(None, max_length=60)
    tlp: _TLP | None = None
    urgent: bool | None = None
    serious: bool | None = None
    personal_data: bool | None = None
    detected_at: Moment | None = None
    personal_data_at: Moment | None = None


class IncidentQuery(Schema):
    """`state`: a state, `working` (open, contained or resolved) or `all`."""

    state: str = Field("all", max_length=20)
    overdue: bool = False
    mine: bool = False
    text: str = Field("", max_length=200)


def whole(user: User, pk: int) -> dict[str, Any]:
    """An incident with everything the person sees of it. Raises DoesNotExist for one they do not see."""
    rows = Incident.objects.visible_to(user).select_related("unit", "leader")
    incident = seen(rows.prefetch_related("clocks", "indicators"), pk)
    plain = {name: getattr(incident, name) for name in IncidentOut.model_fields}
    seen_ids = visible_numbers(user, [incident.merged_into_id or 0])
    return {
        **plain,
        **{name: getattr(incident, name) for name in ("description", "cause", "effect", "lessons", "personal_data_at")},
        "units": list(incident.units.all()),
        "systems": list(InformationSystem.objects.visible_to(user).filter(incidents=incident)),
        "team": list(incident.team.all()),
        "clocks": list(incident.clocks.all()),
        "indicators": list(incident.indicators.all()),
        "alerts": list(Alert.objects.visible_to(user).filter(incident=incident).values_list("pk", flat=True)[:1000]),
        "merged_into_id": incident.merged_into_id if incident.merged_into_id in seen_ids else None,
    }


def _looked_at(user: User, pk: int) -> Incident:
    """An incident that the person sees; of a sensitive one the look is recorded."""
    incident: Incident = seen(Incident.objects.visible_to(user), pk)
    if incident.is_sensitive:
        record_view(user, incident)
    return incident


def _all(rows: Any, pks: list[int]) -> list[Any]:
    """Some rows a person sees. Raises DoesNotExist when one is missing."""
    found = list(rows.filter(pk__in=set(pks)))
    if len(found) != len(set(pks)):
        raise rows.model.DoesNotExist
    return found


@incidents.get("", response=Page[IncidentOut], auth=Key("incidents:read"), summary="List incidents")
def list_incidents(request: HttpRequest, page: PageParameters, filters: Query[IncidentQuery]) -> dict[str, Any]:
    """Incidents that the key's owner sees."""
    rows = incidents_found(request.user, filters.dict())
    return page_of(rows.select_related("unit", "leader"), page)


@incidents.post("", response={201: IncidentWhole}, auth=Key("incidents:write"), summary="Open an incident")
def open_incident(request: HttpRequest, body: IncidentIn) -> Status:
    """It gets its number and its legal clocks."""
    user = request.user
    fields = body.dict(exclude={"unit", "units", "systems", "team", "alerts", "leader"})
    made = services.open_incident(
        user,
        **fields,
        unit=seen(Unit.objects.visible_to(user), body.unit),
        units=_all(Unit.objects.visible_to(user), body.units),
        systems=_all(InformationSystem.objects.visible_to(user), body.systems),
        team=_all(User.objects.visible_to(user), body.team),
        alerts=_all(Alert.objects.visible_to(user), body.alerts),
        leader=seen(User.objects.visible_to(user), body.leader) if body.leader else None,
    )
    return Status(201, whole(user, made.pk))


@incidents.get("/{int:pk}", response=IncidentWhole, auth=Key("incidents:read"), summary="One incident, whole")
def one_incident(request: HttpRequest, pk: int) -> dict[str, Any]:
    """404 for one that is not seen. A look at a sensitive one is in the audit trail."""
    _looked_at(request.user, pk)
    return whole(request.user, pk)


@incidents.patch("/{int:pk}", response=IncidentWhole, auth=Key("incidents:write"), summary="Change an incident")
def change_incident(request: HttpRequest, pk: int, body: IncidentChange) -> dict[str, Any]:
    """Only the fields that are sent."""
    sent = body.dict(exclude_unset=True, exclude={"version"})
    fields = {name: value for name, value in sent.items() if value is not None or name == "personal_data_at"}
    services.change_incident(request.user, pk, body.version, **fields)
    return whole(request.user, pk)


class StatusIn(Schema):
    """The state it is to have."""

    version: int = Field(ge=0, lt=2**31)
    status: Literal["open", "contained", "resolved"]


class ClosingIn(Schema):
    """What closing needs. `clocks_reason`: why open legal deadlines need no report."""

    version: int = Field(ge=0, lt=2**31)
    cause: str = Field(min_length=1, max_length=20_000)
    effect: str = Field(min_length=1, max_length=20_000)
    lessons: str = Field(min_length=1, max_length=20_000)
    clocks_reason: str = Field("", max_length=500)


class ReopenIn(Reasoned):
    """Why."""

    version: int = Field(ge=0, lt=2**31)


class MergeIn(Schema):
    """Into which incident."""

    version: int = Field(ge=0, lt=2**31)
    into: int = Id


@incidents.post("/{int:pk}/status", response=IncidentWhole, auth=Key("incidents:write"), summary="Set the state")
def set_status(request: HttpRequest, pk: int, body: StatusIn) -> dict[str, Any]:
    """Open, contained or resolved."""
    services.set_status(request.user, pk, body.version, body.status)
    return whole(request.user, pk)


@incidents.post("/{int:pk}/close", response=IncidentWhole, auth=Key("incidents:write"), summary="Close an incident")
def close_incident(request: HttpRequest, pk: int, body: ClosingIn) -> dict[str, Any]:
    """Needs cause, effect and lessons."""
    services.close_incident(request.user, pk, **body.dict())
    return whole(request.user, pk)


@incidents.post("/{int:pk}/reopen", response=IncidentWhole, auth=Key("incidents:write"), summary="Open it again")
def reopen_incident(request: HttpRequest, pk: int, body: ReopenIn) -> dict[str, Any]:
    """With the reason."""
    services.reopen_incident(request.user, pk, body.version, reason=body.reason)
    return whole(request.user, pk)


@incidents.post("/{int:pk}/merge", response=IncidentWhole, auth=Key("incidents:write"), summary="Merge into another")
def merge_incident(request: HttpRequest, pk: int, body: MergeIn) -> dict[str, Any]:
    """The answer is the incident it was merged into."""
    target = merging.merge(request.user, pk, body.version, body.into)
    return whole(request.user, target.pk)


class EntryIn(Schema):
    """An entry to write; `at` may lie in the past."""

    kind: Literal["note", "action", "event"] = "note"
    text: str = Field(min_length=1, max_length=20_000)
    at: Moment | None = None


class IndicatorsIn(Schema):
    """Values to add; what each is, is found out unless `kind` says so."""

    values: list[str] = Field(min_length=1, max_length=500)
    kind: str = Field("", max_length=12)
    tlp: _TLP = "AMBER"
    note: str = Field("", max_length=300)


class SentIn(Schema):
    """A report that was sent."""

    version: int = Field(ge=0, lt=2**31)
    sent_at: Moment
    document_number: str = Field("", max_length=80)
    recipient: str = Field(min_length=1, max_length=300)
    confirmation: str = Field("", max_length=5_000)


@incidents.get("/{int:pk}/entries", response=list[EntryOut], auth=Key("incidents:read"), summary="The timeline")
def list_entries(request: HttpRequest, pk: int) -> list[Any]:
    """What people and the system wrote, oldest first. A look at a sensitive one is in the audit trail."""
    incident = _looked_at(request.user, pk)
    entries = IncidentEntry.objects.visible_to(request.user).filter(incident=incident)
    return list(entries.select_related("by").order_by("at", "pk")[:5000])


@incidents.post("/{int:pk}/entries", response={201: EntryOut}, auth=Key("incidents:write"), summary="Write an entry")
def add_entry(request: HttpRequest, pk: int, body: EntryIn) -> Status:
    """A note, an action of ours, or an event of the attack."""
    return Status(201, timeline.write_entry(request.user, pk, kind=body.kind, text=body.text, at=body.at))


@incidents.post(
    "/{int:pk}/indicators", response={201: list[IndicatorOut]}, auth=Key("incidents:write"), summary="Add indicators"
)
def add_indicators(request: HttpRequest, pk: int, body: IndicatorsIn) -> Status:
    """The answer holds the new ones; those already there are passed over."""
    values = [(body.kind, value) for value in body.values]
    return Status(201, indicators.add_indicators(request.user, pk, values, tlp=body.tlp, note=body.note))


@incidents.post(
    "/clocks/{int:pk}/sent", response=ClockOut, auth=Key("incidents:write"), summary="A legal report was sent"
)
def clock_sent(request: HttpRequest, pk: int, body: SentIn) -> Any:
    """When, under which number, to whom. `pk`: of the clock."""
    return clocks.mark_sent(request.user, pk, **body.dict())


@incidents.post(
    "/clocks/{int:pk}/waive", response=ClockOut, auth=Key("incidents:write"), summary="No report, with reason"
)
def clock_waived(request: HttpRequest, pk: int, body: ReopenIn) -> Any:
    """Why a legal report is not sent. `pk`: of the clock."""
    return clocks.waive(request.user, pk, body.version, reason=body.reason)
