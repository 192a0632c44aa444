"""Units and systems in the API: what other parts refer to by id."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from ninja import Router, Schema

from khien.console.api.auth import Key
from khien.console.api.paging import PageParameters, page_of
from khien.console.api.shapes import Page, Time, seen
from khien.console.units.models import Unit

units = Router(tags=["units"])


class UnitOut(Schema):
    """A unit. `kind`: its code; `parent`: the unit it is part of."""

    id: int
    code: str
    name: str
    short_name: str
    kind: str
    parent: int | None
    is_active: bool
    updated_at: Time
    version: int

    @staticmethod
    def resolve_kind(unit: Unit) -> str:
        """The kind's code."""
        return unit.kind.code

    @staticmethod
    def resolve_parent(unit: Unit) -> int | None:
        """The id alone."""
        return unit.parent_id


@units.get("", response=Page[UnitOut], auth=Key("units:read"), summary="List units")
def list_units(request: HttpRequest, page: PageParameters) -> dict[str, Any]:
    """Units that the key's owner sees."""
    return page_of(Unit.objects.visible_to(request.user).select_related("kind"), page)


@units.get("/{int:pk}", response=UnitOut, auth=Key("units:read"), summary="One unit")
def one_unit(request: HttpRequest, pk: int) -> Unit:
    """404 for one that is not seen."""
    return seen(Unit.objects.visible_to(request.user).select_related("kind"), pk)
