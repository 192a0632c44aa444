"""Taking an incident through its states."""

from __future__ import annotations

from typing import Any, Literal

from django.http import HttpRequest
from ninja import Router, Schema
from pydantic import Field

from khien.console.api.auth import Key
from khien.console.api.shapes import Reasoned
from khien.console.incidents import services
from khien.console.incidents.api.showing import IncidentWhole, Version, whole

state = Router(tags=["incidents"])


class StatusIn(Schema):
    """The state it is to have."""

    version: int = Version
    status: Literal["open", "contained", "resolved"]


class ClosingIn(Schema):
    """What closing needs. `clocks_reason`: why open legal deadlines need no report."""

    version: int = Version
    cause: str = Field(min_length=1, max_length=20_000)
    effect: str = Field(min_length=1, max_length=20_000)
    lessons: str = Field(min_length=1, max_length=20_000)
    clocks_reason: str = Field("", max_length=500)


class WithReason(Reasoned):
    """Why."""

    version: int = Version


@state.post("/{int:pk}/status", response=IncidentWhole, auth=Key("incidents:write"), summary="Set the state")
def set_status(request: HttpRequest, pk: int, body: StatusIn) -> dict[str, Any]:
    """Open, contained or resolved."""
    services.set_status(request.user, pk, body.version, body.status)
    return whole(request.user, pk)


@state.post("/{int:pk}/close", response=IncidentWhole, auth=Key("incidents:write"), summary="Close an incident")
def close_incident(request: HttpRequest, pk: int, body: ClosingIn) -> dict[str, Any]:
    """Needs cause, effect and lessons."""
    services.close_incident(request.user, pk, **body.dict())
    return whole(request.user, pk)


@state.post("/{int:pk}/reopen", response=IncidentWhole, auth=Key("incidents:write"), summary="Open it again")
def reopen_incident(request: HttpRequest, pk: int, body: WithReason) -> dict[str, Any]:
    """With the reason."""
    services.reopen_incident(request.user, pk, body.version, reason=body.reason)
    return whole(request.user, pk)
