"""The agenda of a session, and what was said to each point."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from ninja import Query, Router
from pydantic import Field

from khien.console.api.auth import Key
from khien.console.api.shapes import Versioned
from khien.console.directives import sessions as services
from khien.console.directives.api.showing import SessionWhole, Title, whole_session

agenda = Router(tags=["sessions"])
_WRITE = Key("directives:write")


class AgendaItemIn(Versioned):
    """A point of the agenda; `version`: of the session."""

    title: Title
    presenter: str = Field("", max_length=200)
    notes: str = Field("", max_length=50_000)

    @property
    def told(self) -> dict[str, str]:
        """What the service takes."""
        return {"title": self.title, "presenter": self.presenter, "notes": self.notes}


class MoveIn(Versioned):
    """One place up, or down."""

    up: bool


@agenda.post("/{int:pk}/agenda", response=SessionWhole, auth=_WRITE, summary="Add a point to the agenda")
def add_agenda_item(request: HttpRequest, pk: int, body: AgendaItemIn) -> dict[str, Any]:
    """At its end."""
    services.set_agenda_item(request.user, pk, body.version, **body.told)
    return whole_session(request.user, pk)


@agenda.put("/{int:pk}/agenda/{int:item}", response=SessionWhole, auth=_WRITE, summary="Change a point of the agenda")
def set_agenda_item(request: HttpRequest, pk: int, item: int, body: AgendaItemIn) -> dict[str, Any]:
    """And write down what was said to it."""
    services.set_agenda_item(request.user, pk, body.version, item=item, **body.told)
    return whole_session(request.user, pk)


@agenda.post("/{int:pk}/agenda/{int:item}/move", response=SessionWhole, auth=_WRITE, summary="Move a point")
def move_agenda_item(request: HttpRequest, pk: int, item: int, body: MoveIn) -> dict[str, Any]:
    """One place up or down the agenda."""
    services.move_agenda_item(request.user, pk, body.version, item, up=body.up)
    return whole_session(request.user, pk)


@agenda.delete("/{int:pk}/agenda/{int:item}", response=SessionWhole, auth=_WRITE, summary="Take a point off")
def remove_agenda_item(request: HttpRequest, pk: int, item: int, asked: Query[Versioned]) -> dict[str, Any]:
    """Those below move up."""
    services.remove_agenda_item(request.user, pk, asked.version, item)
    return whole_session(request.user, pk)
