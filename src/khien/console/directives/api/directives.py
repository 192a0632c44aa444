"""Directives: lists, one, drafts, and each as a document."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router, Schema, Status
from pydantic import Field

from khien.console.accounts.models import User
from khien.console.api.auth import Key
from khien.console.api.paging import PageParameters, page_of
from khien.console.api.shapes import BINARY, Id, Moment, Page, Versioned, seen
from khien.console.directives import issuing
from khien.console.directives.api.showing import (
    DirectiveOut,
    DirectiveWhole,
    Title,
    show_directives,
    whole_directive,
)
from khien.console.directives.documents import directive_file
from khien.console.directives.models import Conclusion, Directive, Session
from khien.console.directives.session_filters import DirectiveFilter
from khien.console.exports.documents import saved
from khien.console.units.models import Unit

directives = Router(tags=["directives"])


class DirectiveQuery(Schema):
    """`q`: words in title, text or basis, or a number; `session`: only from it; `overdue`: that a unit is late with."""

    q: str = Field("", max_length=200)
    state: Literal["", "draft", "issued", "closed", "withdrawn"] = ""
    session: int | None = Field(None, ge=1, lt=2**63)
    overdue: bool = False


class ToldIn(Schema):
    """A unit to tell."""

    unit: int = Id
    due_at: Moment | None = None


class DirectiveIn(Schema):
    """A directive to draft."""

    title: Title
    text: str = Field(min_length=1, max_length=50_000)
    basis: str = Field("", max_length=20_000)
    sign: str = Field("", max_length=40)
    due_at: Moment
    conclusion: int | None = Field(None, ge=1, lt=2**63)
    units: list[ToldIn] = Field(min_length=1, max_length=1_000)


class DraftChange(Schema):
    """What is left out, or null, stays as it is; `units` are all that the draft tells from now on."""

    version: int = Field(ge=0, lt=2**31)
    title: Title | None = None
    text: str | None = Field(None, min_length=1, max_length=50_000)
    basis: str | None = Field(None, max_length=20_000)
    sign: str | None = Field(None, min_length=1, max_length=40)
    due_at: Moment | None = None
    units: list[ToldIn] | None = Field(None, min_length=1, max_length=1_000)


def _units(user: User, told: list[ToldIn]) -> dict[Unit, datetime | None]:
    units = Unit.objects.visible_to(user).in_bulk([each.unit for each in told])
    if len(units) != len({each.unit for each in told}):
        raise Unit.DoesNotExist
    return {units[each.unit]: each.due_at for each in told}


@directives.get("", response=Page[DirectiveOut], auth=Key("directives:read"), summary="List directives")
def list_directives(request: HttpRequest, page: PageParameters, filters: Query[DirectiveQuery]) -> dict[str, Any]:
    """Directives that the key's owner sees."""
    rows = DirectiveFilter(**filters.dict()).of(Directive.objects.visible_to(request.user), request.user)
    found = page_of(rows.select_related("signer"), page)
    return {**found, "items": show_directives(request.user, found["items"])}


@directives.post("", response={201: DirectiveWhole}, auth=Key("directives:write"), summary="Draft a directive")
def draft_directive(request: HttpRequest, body: DirectiveIn) -> Status:
    """From a conclusion of a session, or from none. It is issued by a second call."""
    user = request.user
    conclusion = None
    if body.conclusion:
        conclusion = Conclusion.objects.get(pk=body.conclusion, session__in=Session.objects.visible_to(user))
    told = body.dict(exclude={"conclusion", "units"})
    made = issuing.draft(user, **told, units=_units(user, body.units), conclusion=conclusion)
    return Status(201, whole_directive(user, made.pk))


@directives.get(
    "/{int:pk}", response=DirectiveWhole, auth=Key("directives:read"), summary="One directive with its units"
)
def one_directive(request: HttpRequest, pk: int) -> dict[str, Any]:
    """404 for one that is not seen."""
    return whole_directive(request.user, pk)


@directives.patch("/{int:pk}", response=DirectiveWhole, auth=Key("directives:write"), summary="Change a draft")
def change_draft(request: HttpRequest, pk: int, body: DraftChange) -> dict[str, Any]:
    """Only the fields that are sent."""
    user = request.user
    directive: Directive = seen(Directive.objects.visible_to(user), pk)
    kept = {row.unit: row.due_at for row in directive.units.select_related("unit")}
    units = _units(user, body.units) if body.units is not None else kept
    sent = body.dict(exclude={"version", "units"})
    fields = {name: value for name, value in sent.items() if value is not None}
    issuing.edit_draft(user, pk, body.version, units=units, **fields)
    return whole_directive(user, pk)


@directives.post("/{int:pk}/discard", response={204: None}, auth=Key("directives:write"), summary="Throw a draft away")
def discard_draft(request: HttpRequest, pk: int, body: Versioned) -> Status:
    """The audit trail keeps its text."""
    issuing.discard(request.user, pk, body.version)
    return Status(204, None)


@directives.get(
    "/{int:pk}/document/{kind}", auth=Key("directives:read"), summary="A directive as a file", openapi_extra=BINARY
)
def directive_document(request: HttpRequest, pk: int, kind: Literal["docx", "pdf"]) -> HttpResponse:
    """Word or PDF. Of a draft for those who prepare it."""
    return saved(directive_file(request.user, pk, kind))
