"""Who is called to a session, and who came."""

from __future__ import annotations

from typing import Any, Literal

from django.http import HttpRequest
from ninja import Query, Router, Schema
from pydantic import Field

from khien.console.accounts.access import demand
from khien.console.api.auth import Key
from khien.console.api.shapes import AnId, Id, Versioned, seen
from khien.console.directives import sessions as services
from khien.console.directives.api.showing import SessionWhole, whole_session
from khien.console.directives.models import Attendance, Session
from khien.console.units.models import Unit

attendance = Router(tags=["sessions"])
_WRITE = Key("directives:write")


class CallIn(Versioned):
    """Whom to call. `seats`: all seats of the subcommittee held today."""

    seats: bool = False
    units: list[AnId] = Field(default_factory=list, max_length=1_000)


class CameIn(Schema):
    """Who came of one that was called. `person`, `note`: null, as they are. A substitute is named."""

    id: int = Id
    presence: Literal["invited", "present", "absent", "substitute"]
    person: str | None = Field(None, max_length=160)
    note: str | None = Field(None, max_length=200)


class AttendanceIn(Versioned):
    """Who came, of those called; those left out stay as they are."""

    rows: list[CameIn] = Field(min_length=1, max_length=2_000)


@attendance.post("/{int:pk}/call", response=SessionWhole, auth=_WRITE, summary="Call seats and units to a session")
def call_to_session(request: HttpRequest, pk: int, body: CallIn) -> dict[str, Any]:
    """They are told. Those called already stay as they are."""
    user = request.user
    demand(user, "sessions.prepare")
    units = Unit.objects.visible_to(user).filter(is_active=True).in_bulk(body.units)
    if len(units) != len(set(body.units)):
        raise Unit.DoesNotExist
    seats = services.current_seats() if body.seats else []
    services.call(user, pk, body.version, appointments=seats, units=units.values())
    return whole_session(user, pk)


@attendance.post("/{int:pk}/attendance", response=SessionWhole, auth=_WRITE, summary="Write down who came")
def record_attendance(request: HttpRequest, pk: int, body: AttendanceIn) -> dict[str, Any]:
    """By the ids of those called."""
    user = request.user
    demand(user, "sessions.prepare")
    called = {row.pk: row for row in seen(Session.objects.visible_to(user), pk).attendance.all()}
    told = {}
    for each in body.rows:
        if (row := called.get(each.id)) is None:
            raise Attendance.DoesNotExist
        person = row.person if each.person is None else each.person
        told[row.pk] = (each.presence, person, row.note if each.note is None else each.note)
    services.record_attendance(user, pk, body.version, told)
    return whole_session(user, pk)


@attendance.delete("/{int:pk}/attendance/{int:row}", response=SessionWhole, auth=_WRITE, summary="Call one no longer")
def uncall_from_session(request: HttpRequest, pk: int, row: int, asked: Query[Versioned]) -> dict[str, Any]:
    """Off the list of those called."""
    services.uncall(request.user, pk, asked.version, row)
    return whole_session(request.user, pk)
