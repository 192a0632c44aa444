"""Information systems in the API."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from ninja import Router, Schema

from khien.console.api.auth import Key
from khien.console.api.paging import PageParameters, page_of
from khien.console.api.shapes import Page, Time, UnitRef, seen
from khien.console.systems.models import InformationSystem

systems = Router(tags=["systems"])


class SystemOut(Schema):
    """An information system. `level`: security level, 1 to 5. `hostnames`, `address_ranges`: one a line."""

    id: int
    code: str
    name: str
    unit: UnitRef
    level: int
    hostnames: str
    address_ranges: str
    is_active: bool
    updated_at: Time
    version: int


@systems.get("", response=Page[SystemOut], auth=Key("systems:read"), summary="List systems")
def list_systems(request: HttpRequest, page: PageParameters) -> dict[str, Any]:
    """Systems that the key's owner sees."""
    return page_of(InformationSystem.objects.visible_to(request.user).select_related("unit"), page)


@systems.get("/{int:pk}", response=SystemOut, auth=Key("systems:read"), summary="One system")
def one_system(request: HttpRequest, pk: int) -> InformationSystem:
    """404 for one that is not seen."""
    return seen(InformationSystem.objects.visible_to(request.user).select_related("unit"), pk)
