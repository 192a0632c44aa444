"""Incidents: found, opened, read, changed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db.models import Q
from django.http import HttpRequest
from ninja import Query, Router, Schema, Status
from pydantic import Field

from khien.console.accounts.models import User
from khien.console.alerts.models import Alert
from khien.console.api.auth import Key
from khien.console.api.paging import PageParameters, page_of
from khien.console.api.shapes import AnId, Id, Moment, Page, Versioned, seen
from khien.console.incidents import selectors, services
from khien.console.incidents.api.showing import IncidentOut, IncidentWhole, TlpName, Version, looked_at, whole
from khien.console.incidents.facts import LISTS
from khien.console.incidents.models import Incident
from khien.console.systems.models import InformationSystem
from khien.console.units.models import Unit

incidents = Router(tags=["incidents"])
_IDS = Field(default_factory=list, max_length=500)
_CHOSEN = {"unit": Unit, "leader": User, "units": Unit, "systems": InformationSystem, "team": User}
_EMPTIED = ("personal_data_at", "leader")
"""What a null takes away."""


class IndicatorIn(Schema):
    """An indicator; a `kind` of "" is found out."""

    kind: str = Field("", max_length=12)
    value: str = Field(min_length=1, max_length=1000)


class IncidentIn(Schema):
    """An incident to open; `alerts` become its alerts. What may be chosen: `classes` and `people` tell."""

    title: str = Field(min_length=1, max_length=300)
    description: str = Field("", max_length=50_000)
    level: int = Field(ge=0, le=4)
    unit: int = Id
    working_class: str = Field("", max_length=40)
    classification: str = Field("", max_length=60)
    tlp: TlpName = "AMBER"
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
    indicators: list[IndicatorIn] = _IDS


class IncidentChange(Versioned):
    """What is left out, or null, stays as it is; a null `personal_data_at` or `leader` takes that away.

    `units`, `systems` and `team` are the whole lists; what the key's owner does not see of them stays.
    """

    version: int = Version
    title: str | None = Field(None, min_length=1, max_length=300)
    description: str | None = Field(None, max_length=50_000)
    level: int | None = Field(None, ge=0, le=4)
    working_class: str | None = Field(None, max_length=40)
    classification: str | None = Field(None, max_length=60)
    tlp: TlpName | None = None
    urgent: bool | None = None
    serious: bool | None = None
    personal_data: bool | None = None
    detected_at: Moment | None = None
    personal_data_at: Moment | None = None
    unit: int | None = Field(None, ge=1, lt=2**63)
    leader: int | None = Field(None, ge=1, lt=2**63)
    units: list[AnId] | None = Field(None, max_length=500)
    systems: list[AnId] | None = Field(None, max_length=500)
    team: list[AnId] | None = Field(None, max_length=500)


class IncidentQuery(Schema):
    """`state`: a state, `working` (open, contained or resolved) or `all`. `unit`: which leads or is affected."""

    state: str = Field("all", max_length=20)
    overdue: bool = False
    mine: bool = False
    text: str = Field("", max_length=200)
    working_class: str = Field("", max_length=40)
    level: int | None = Field(None, ge=0, le=4)
    unit: int | None = Field(None, ge=1, lt=2**63)
    leader: int | None = Field(None, ge=1, lt=2**63)
    detected_from: Moment | None = None
    detected_until: Moment | None = None


def _choose(user: User, name: str, pks: Iterable[int], already: Iterable[int] = ()) -> list[Any]:
    """Rows in use that a person sees, or that are chosen already. Raises DoesNotExist when one is missing."""
    model, wanted = _CHOSEN[name], set(pks)
    visible = model.objects.visible_to(user).filter(is_active=True).order_by().values("pk")
    found = list(model.objects.filter(Q(pk__in=visible) | Q(pk__in=list(already)), pk__in=wanted))
    if len(found) != len(wanted):
        raise model.DoesNotExist
    return found


@incidents.get("", response=Page[IncidentOut], auth=Key("incidents:read"), summary="List incidents")
def list_incidents(request: HttpRequest, page: PageParameters, filters: Query[IncidentQuery]) -> dict[str, Any]:
    """Incidents that the key's owner sees."""
    user, wanted = request.user, filters.dict()
    wanted |= {"from": wanted.pop("detected_from"), "until": wanted.pop("detected_until")}
    if filters.unit:
        wanted["unit"] = seen(Unit.objects.visible_to(user), filters.unit)
    if filters.leader:
        wanted["leader"] = seen(User.objects.visible_to(user), filters.leader)
    return page_of(selectors.listed(selectors.found(user, wanted)), page)


@incidents.post("", response={201: IncidentWhole}, auth=Key("incidents:write"), summary="Open an incident")
def open_incident(request: HttpRequest, body: IncidentIn) -> Status:
    """It gets its number and its legal clocks."""
    user = request.user
    alerts = list(Alert.objects.visible_to(user).filter(pk__in=set(body.alerts)))
    if len(alerts) != len(set(body.alerts)):
        raise Alert.DoesNotExist
    made = services.open_incident(
        user,
        **body.dict(exclude={*_CHOSEN, "alerts", "indicators"}),
        **{name: _choose(user, name, getattr(body, name)) for name in LISTS},
        unit=_choose(user, "unit", [body.unit])[0],
        leader=_choose(user, "leader", [body.leader])[0] if body.leader else None,
        alerts=alerts,
        indicators=[(each.kind, each.value) for each in body.indicators],
    )
    return Status(201, whole(user, made.pk))


@incidents.get("/{int:pk}", response=IncidentWhole, auth=Key("incidents:read"), summary="One incident, whole")
def one_incident(request: HttpRequest, pk: int) -> dict[str, Any]:
    """404 for one that is not seen. A look at a sensitive one is in the audit trail."""
    return whole(request.user, pk)


@incidents.patch("/{int:pk}", response=IncidentWhole, auth=Key("incidents:write"), summary="Change an incident")
def change_incident(request: HttpRequest, pk: int, body: IncidentChange) -> dict[str, Any]:
    """Only the fields that are sent: what is known, who leads and helps, what is affected, who may see it (`tlp`)."""
    user = request.user
    sent = body.dict(exclude_unset=True, exclude={"version"})
    fields = {name: value for name, value in sent.items() if value is not None or name in _EMPTIED}
    fields |= _chosen(user, looked_at(user, pk), fields)
    services.change_incident(user, pk, body.version, **fields)
    return whole(user, pk)


def _chosen(user: User, incident: Incident, fields: dict[str, Any]) -> dict[str, Any]:
    """Rows for the ids that were sent."""
    found: dict[str, Any] = {}
    for name in {*_CHOSEN} & {*fields}:
        if name in LISTS:
            already = getattr(incident, name).values_list("pk", flat=True)
            found[name] = _choose(user, name, fields[name], already)
        elif fields[name] is not None:
            found[name] = _choose(user, name, [fields[name]], [getattr(incident, f"{name}_id") or 0])[0]
    return found
