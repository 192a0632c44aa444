"""The minutes of a session, and its conclusions."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from ninja import Query, Router
from pydantic import Field

from khien.console.api.auth import Key
from khien.console.api.shapes import Versioned
from khien.console.directives import sessions as services
from khien.console.directives.api.showing import SessionWhole, whole_session

minutes = Router(tags=["sessions"])
_WRITE = Key("directives:write")


class MinutesIn(Versioned):
    """The minutes in full; `version`: of the session."""

    minutes: str = Field(max_length=200_000)


class ConclusionIn(Versioned):
    """A conclusion; `version`: of the session."""

    text: str = Field(min_length=1, max_length=20_000)


@minutes.put("/{int:pk}/minutes", response=SessionWhole, auth=_WRITE, summary="Write the minutes")
def write_minutes(request: HttpRequest, pk: int, body: MinutesIn) -> dict[str, Any]:
    """In place of those there are."""
    services.write_minutes(request.user, pk, body.version, body.minutes)
    return whole_session(request.user, pk)


@minutes.post("/{int:pk}/conclusions", response=SessionWhole, auth=_WRITE, summary="Add a conclusion")
def add_conclusion(request: HttpRequest, pk: int, body: ConclusionIn) -> dict[str, Any]:
    """Under the next number. `POST /directives` drafts a directive from it."""
    services.set_conclusion(request.user, pk, body.version, text=body.text)
    return whole_session(request.user, pk)


@minutes.put("/{int:pk}/conclusions/{int:conclusion}", response=SessionWhole, auth=_WRITE, summary="Change one")
def set_conclusion(request: HttpRequest, pk: int, conclusion: int, body: ConclusionIn) -> dict[str, Any]:
    """Its number stays."""
    services.set_conclusion(request.user, pk, body.version, conclusion=conclusion, text=body.text)
    return whole_session(request.user, pk)


@minutes.delete(
    "/{int:pk}/conclusions/{int:conclusion}", response=SessionWhole, auth=_WRITE, summary="Take a conclusion out"
)
def remove_conclusion(request: HttpRequest, pk: int, conclusion: int, asked: Query[Versioned]) -> dict[str, Any]:
    """One that no directive comes from; those below move up."""
    services.remove_conclusion(request.user, pk, asked.version, conclusion)
    return whole_session(request.user, pk)
