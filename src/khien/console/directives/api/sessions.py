"""Sessions: lists, one, planning, changing, holding and concluding."""

from __future__ import annotations

from typing import Any, Literal

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router, Schema, Status
from pydantic import Field

from khien.console.accounts.access import demand
from khien.console.accounts.models import User
from khien.console.api.auth import Key
from khien.console.api.paging import PageParameters, page_of
from khien.console.api.shapes import BINARY, Moment, Page, PersonRef, Versioned, seen
from khien.console.directives import sessions as services
from khien.console.directives.api.showing import SessionOut, SessionWhole, Title, whole_session
from khien.console.directives.documents import session_document as document_of
from khien.console.directives.models import Session
from khien.console.directives.session_filters import SessionFilter
from khien.console.exports.documents import saved

sessions = Router(tags=["sessions"])
_KIND = Literal["regular", "extraordinary", "thematic", "review"]
_EMPTIED = ("ends_at", "chair", "secretary")


class SessionQuery(Schema):
    """`q`: words in title or number."""

    q: str = Field("", max_length=200)
    state: Literal["", "planned", "held", "concluded"] = ""
    kind: Literal["", "regular", "extraordinary", "thematic", "review"] = ""


class SessionIn(Schema):
    """A session to plan. `number`: left out, the next of its year; `chair`, `secretary`: see `/sessions/people`."""

    title: Title
    kind: _KIND = "regular"
    number: str = Field("", max_length=40)
    starts_at: Moment
    ends_at: Moment | None = None
    place: str = Field("", max_length=200)
    chair: int | None = Field(None, ge=1, lt=2**63)
    secretary: int | None = Field(None, ge=1, lt=2**63)


class SessionChange(Schema):
    """What is left out stays as it is; a null `ends_at`, `chair` or `secretary` takes that away."""

    version: int = Field(ge=0, lt=2**31)
    title: Title | None = None
    kind: _KIND | None = None
    starts_at: Moment | None = None
    ends_at: Moment | None = None
    place: str | None = Field(None, max_length=200)
    chair: int | None = Field(None, ge=1, lt=2**63)
    secretary: int | None = Field(None, ge=1, lt=2**63)


def _with_people(user: User, fields: dict[str, Any]) -> dict[str, Any]:
    """Ids of chair and secretary as people. Raises User.DoesNotExist for those who cannot be it."""
    named = {name: fields[name] for name in ("chair", "secretary") if fields.get(name)}
    return {**fields, **{name: seen(services.people(user), pk) for name, pk in named.items()}}


@sessions.get("", response=Page[SessionOut], auth=Key("directives:read"), summary="List sessions")
def list_sessions(request: HttpRequest, page: PageParameters, filters: Query[SessionQuery]) -> dict[str, Any]:
    """Sessions that the key's owner sees."""
    rows = SessionFilter(**filters.dict()).of(Session.objects.visible_to(request.user))
    return page_of(rows.select_related("chair", "secretary"), page)


@sessions.post("", response={201: SessionWhole}, auth=Key("directives:write"), summary="Plan a session")
def plan_session(request: HttpRequest, body: SessionIn) -> Status:
    """For those who prepare sessions."""
    user = request.user
    demand(user, "sessions.prepare")
    made = services.plan(user, **_with_people(user, body.dict()))
    return Status(201, whole_session(user, made.pk))


@sessions.get(
    "/people", response=list[PersonRef], auth=Key("directives:write"), summary="Who can chair a session or record it"
)
def session_people(request: HttpRequest) -> list[User]:
    """People that the key's owner sees, who may open sessions; at most 500."""
    demand(request.user, "sessions.prepare")
    return list(services.people(request.user)[:500])


@sessions.get("/{int:pk}", response=SessionWhole, auth=Key("directives:read"), summary="One session, whole")
def one_session(request: HttpRequest, pk: int) -> dict[str, Any]:
    """404 for one that is not seen."""
    return whole_session(request.user, pk)


@sessions.patch("/{int:pk}", response=SessionWhole, auth=Key("directives:write"), summary="Change what a session is")
def change_session(request: HttpRequest, pk: int, body: SessionChange) -> dict[str, Any]:
    """Only the fields that are sent, until it is concluded."""
    user = request.user
    demand(user, "sessions.prepare")
    sent = body.dict(exclude_unset=True, exclude={"version"})
    fields = {name: value for name, value in sent.items() if value is not None or name in _EMPTIED}
    services.edit(user, pk, body.version, **_with_people(user, fields))
    return whole_session(user, pk)


@sessions.post("/{int:pk}/hold", response=SessionWhole, auth=Key("directives:write"), summary="The session was held")
def hold_session(request: HttpRequest, pk: int, body: Versioned) -> dict[str, Any]:
    """Its minutes are being written."""
    services.hold(request.user, pk, body.version)
    return whole_session(request.user, pk)


@sessions.post("/{int:pk}/conclude", response=SessionWhole, auth=Key("directives:write"), summary="Close the minutes")
def conclude_session(request: HttpRequest, pk: int, body: Versioned) -> dict[str, Any]:
    """Nothing in them is changed any more."""
    services.conclude(request.user, pk, body.version)
    return whole_session(request.user, pk)


@sessions.post("/{int:pk}/reopen", response=SessionWhole, auth=Key("directives:write"), summary="Reopen the minutes")
def reopen_session(request: HttpRequest, pk: int, body: Versioned) -> dict[str, Any]:
    """For a correction, by those who issue directives."""
    services.reopen(request.user, pk, body.version)
    return whole_session(request.user, pk)


@sessions.get(
    "/{int:pk}/documents/{what}/{kind}",
    auth=Key("directives:read"),
    summary="Minutes or notice of conclusions as a file",
    openapi_extra=BINARY,
)
def session_document(
    request: HttpRequest, pk: int, what: Literal["minutes", "notice"], kind: Literal["docx", "pdf"]
) -> HttpResponse:
    """Word or PDF, of a session that was held."""
    return saved(document_of(request.user, pk, what, kind))
