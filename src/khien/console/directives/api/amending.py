"""Issuing directives, amending them and ending them."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from ninja import Router
from pydantic import Field

from khien.console.accounts.access import demand
from khien.console.api.auth import Key
from khien.console.api.shapes import Id, Moment, Reasoned, Versioned, seen
from khien.console.directives import issuing
from khien.console.directives.api.showing import DirectiveWhole, whole_directive
from khien.console.units.models import Unit

amending = Router(tags=["directives"])


class IssueIn(Versioned):
    """`number`: left out, the next of its series."""

    number: int | None = Field(None, ge=1, lt=2**31)


class AmendDueIn(Reasoned):
    """Another due time, of one unit, or of all without one of their own."""

    due_at: Moment
    unit: int | None = Field(None, ge=1, lt=2**63)


class AddUnitIn(Reasoned):
    """One more unit; without a time of its own, it has the directive's."""

    unit: int = Id
    due_at: Moment | None = None


class RemoveUnitIn(Reasoned):
    """A unit less."""

    unit: int = Id


@amending.post("/{int:pk}/issue", response=DirectiveWhole, auth=Key("directives:write"), summary="Issue a draft")
def issue_directive(request: HttpRequest, pk: int, body: IssueIn) -> dict[str, Any]:
    """Each unit gets its task."""
    issuing.issue(request.user, pk, body.version, number=body.number)
    return whole_directive(request.user, pk)


@amending.post(
    "/{int:pk}/amend-due", response=DirectiveWhole, auth=Key("directives:write"), summary="Set another due time"
)
def amend_due(request: HttpRequest, pk: int, body: AmendDueIn) -> dict[str, Any]:
    """Of an issued directive; the tasks move along."""
    demand(request.user, "directives.issue")
    unit = seen(Unit.objects.visible_to(request.user), body.unit) if body.unit else None
    issuing.amend_due(request.user, pk, body.version, due_at=body.due_at, reason=body.reason, unit=unit)
    return whole_directive(request.user, pk)


@amending.post("/{int:pk}/add-unit", response=DirectiveWhole, auth=Key("directives:write"), summary="Tell a unit more")
def add_unit(request: HttpRequest, pk: int, body: AddUnitIn) -> dict[str, Any]:
    """It gets its task at once."""
    demand(request.user, "directives.issue")
    unit = seen(Unit.objects.visible_to(request.user), body.unit)
    issuing.add_unit(request.user, pk, body.version, unit=unit, reason=body.reason, due_at=body.due_at)
    return whole_directive(request.user, pk)


@amending.post(
    "/{int:pk}/remove-unit", response=DirectiveWhole, auth=Key("directives:write"), summary="Tell a unit no longer"
)
def remove_unit(request: HttpRequest, pk: int, body: RemoveUnitIn) -> dict[str, Any]:
    """Its task, if not over, is cancelled."""
    demand(request.user, "directives.issue")
    unit = seen(Unit.objects.visible_to(request.user), body.unit)
    issuing.remove_unit(request.user, pk, body.version, unit=unit, reason=body.reason)
    return whole_directive(request.user, pk)


@amending.post("/{int:pk}/close", response=DirectiveWhole, auth=Key("directives:write"), summary="Close a directive")
def close_directive(request: HttpRequest, pk: int, body: Versioned) -> dict[str, Any]:
    """When all its tasks are over."""
    issuing.close(request.user, pk, body.version)
    return whole_directive(request.user, pk)


@amending.post(
    "/{int:pk}/withdraw", response=DirectiveWhole, auth=Key("directives:write"), summary="Withdraw a directive"
)
def withdraw_directive(request: HttpRequest, pk: int, body: Reasoned) -> dict[str, Any]:
    """Its open tasks are cancelled."""
    issuing.withdraw(request.user, pk, body.version, reason=body.reason)
    return whole_directive(request.user, pk)
