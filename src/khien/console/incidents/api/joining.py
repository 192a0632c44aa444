"""Merging, splitting and relating incidents."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from ninja import Router, Schema, Status
from pydantic import Field

from khien.console.api.auth import Key
from khien.console.api.shapes import AnId, Id
from khien.console.incidents import merging
from khien.console.incidents.api.showing import IncidentWhole, Version, whole

joining = Router(tags=["incidents"])
_IDS = Field(default_factory=list, max_length=500)


class MergeIn(Schema):
    """Into which incident."""

    version: int = Version
    into: int = Id


class SplitIn(Schema):
    """What goes into an incident of its own: ids of alerts, entries and indicators, at least one."""

    version: int = Version
    title: str = Field(min_length=1, max_length=300)
    alerts: list[AnId] = _IDS
    entries: list[AnId] = _IDS
    indicators: list[AnId] = _IDS


@joining.post("/{int:pk}/merge", response=IncidentWhole, auth=Key("incidents:write"), summary="Merge into another")
def merge_incident(request: HttpRequest, pk: int, body: MergeIn) -> dict[str, Any]:
    """The answer is the incident it was merged into."""
    target = merging.merge(request.user, pk, body.version, body.into)
    return whole(request.user, target.pk)


@joining.post("/{int:pk}/split", response={201: IncidentWhole}, auth=Key("incidents:write"), summary="Split one off")
def split_incident(request: HttpRequest, pk: int, body: SplitIn) -> Status:
    """The answer is the new incident."""
    new = merging.split(request.user, pk, **body.dict())
    return Status(201, whole(request.user, new.pk))


@joining.put(
    "/{int:pk}/related/{int:other}", response=IncidentWhole, auth=Key("incidents:write"), summary="Relate to another"
)
def relate_incidents(request: HttpRequest, pk: int, other: int) -> dict[str, Any]:
    """Both ways. `other`: the id of an incident that is seen."""
    merging.relate(request.user, pk, other)
    return whole(request.user, pk)


@joining.delete(
    "/{int:pk}/related/{int:other}",
    response=IncidentWhole,
    auth=Key("incidents:write"),
    summary="Take a relation away",
)
def unrelate_incidents(request: HttpRequest, pk: int, other: int) -> dict[str, Any]:
    """Both ways."""
    merging.relate(request.user, pk, other, related=False)
    return whole(request.user, pk)
