"""Indicators of an incident."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from ninja import Query, Router, Schema, Status
from pydantic import Field

from khien.console.api.auth import Key
from khien.console.incidents import indicators as services
from khien.console.incidents import observables, selectors
from khien.console.incidents.api.showing import IncidentRef, IndicatorOut, TlpName, Version, looked_at

indicators = Router(tags=["incidents"])
MOST_ALERTS = 500


class IndicatorElsewhere(IndicatorOut):
    """An indicator, and up to five other incidents that have the same."""

    defanged: str
    elsewhere: list[IncidentRef]


class FoundOut(Schema):
    """What could be added. `wide`: whether it means something to others too, as no inner address does."""

    kind: str
    value: str
    wide: bool


class TextIn(Schema):
    """Running text, a mail or a report; `hxxp` and `[.]` are understood."""

    text: str = Field(min_length=1, max_length=200_000)


class IndicatorsIn(Schema):
    """Values to add; what each is, is found out unless `kind` says so."""

    values: list[str] = Field(min_length=1, max_length=500)
    kind: str = Field("", max_length=12)
    tlp: TlpName = "AMBER"
    note: str = Field("", max_length=300)


class SharingIn(Schema):
    """With whom it may be shared."""

    version: int = Version
    tlp: TlpName
    note: str = Field("", max_length=300)


class VersionQuery(Schema):
    """`version`: of the thing as it was read; with another one the answer is 409."""

    version: int = Version


@indicators.get(
    "/{int:pk}/indicators", response=list[IndicatorElsewhere], auth=Key("incidents:read"), summary="The indicators"
)
def list_indicators(request: HttpRequest, pk: int) -> list[dict[str, Any]]:
    """All of them, each with other incidents one sees that have the same."""
    incident = looked_at(request.user, pk)
    rows = list(incident.indicators.all())
    others = selectors.elsewhere(request.user, incident, rows)
    names = IndicatorElsewhere.model_fields.keys() - {"elsewhere"}
    return [
        {**{name: getattr(each, name) for name in names}, "elsewhere": others.get(each.digest, [])} for each in rows
    ]


@indicators.post(
    "/{int:pk}/indicators", response={201: list[IndicatorOut]}, auth=Key("incidents:write"), summary="Add indicators"
)
def add_indicators(request: HttpRequest, pk: int, body: IndicatorsIn) -> Status:
    """The answer holds the new ones; those already there are passed over."""
    values = [(body.kind, value) for value in body.values]
    return Status(201, services.add_indicators(request.user, pk, values, tlp=body.tlp, note=body.note))


@indicators.get(
    "/{int:pk}/indicators/offered",
    response=list[FoundOut],
    auth=Key("incidents:read"),
    summary="What its alerts offer as indicators",
)
def offered_indicators(request: HttpRequest, pk: int) -> list[dict[str, Any]]:
    """Entities of the incident's alerts that are no indicators yet, those that mean something to others first."""
    incident = looked_at(request.user, pk)
    there = incident.indicators.values_list("digest", flat=True)
    alerts = selectors.alerts_of(request.user, incident)[:MOST_ALERTS]
    return [{"kind": kind, "value": value, "wide": wide} for kind, value, wide in selectors.candidates(alerts, there)]


@indicators.post(
    "/{int:pk}/indicators/find",
    response=list[FoundOut],
    auth=Key("incidents:write"),
    summary="Find indicators in a text",
)
def find_indicators(request: HttpRequest, pk: int, body: TextIn) -> list[dict[str, Any]]:
    """Those that are not there yet; nothing is added."""
    incident = looked_at(request.user, pk)
    there = set(incident.indicators.values_list("digest", flat=True))
    return [
        {"kind": kind, "value": value, "wide": not observables.is_local(kind, value)}
        for kind, value in observables.extract(body.text)
        if observables.digest(kind, value) not in there
    ]


@indicators.patch(
    "/indicators/{int:pk}", response=IndicatorOut, auth=Key("incidents:write"), summary="Change an indicator"
)
def change_indicator(request: HttpRequest, pk: int, body: SharingIn) -> Any:
    """With whom it may be shared, and the note on it. `pk`: of the indicator."""
    return services.change_indicator(request.user, pk, **body.dict())


@indicators.delete(
    "/indicators/{int:pk}", response={204: None}, auth=Key("incidents:write"), summary="Take an indicator away"
)
def remove_indicator(request: HttpRequest, pk: int, read: Query[VersionQuery]) -> Status:
    """What turned out to be none; timeline and audit trail keep it. `pk`: of the indicator."""
    services.remove_indicator(request.user, pk, read.version)
    return Status(204, None)
