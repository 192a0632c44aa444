"""What may be chosen when an incident is opened or changed."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from ninja import Router, Schema

from khien.console.accounts.models import User
from khien.console.accounts.roles import roles_with
from khien.console.api.auth import Key
from khien.console.api.shapes import UnitRef
from khien.console.incidents import catalogue

choices = Router(tags=["incidents"])


class NamedOut(Schema):
    """A code with its words."""

    code: str
    vi: str
    en: str


class WorkingClassOut(NamedOut):
    """A class people choose. `rsit`: its RSIT types, the usual one first."""

    rsit: list[str]


class RsitClassOut(NamedOut):
    """A class of RSIT with its types."""

    types: list[NamedOut]


class ClassesOut(Schema):
    """`working`: what `working_class` may be. `rsit`: what `classification` may be, by class."""

    working: list[WorkingClassOut]
    rsit: list[RsitClassOut]


class WorkerOut(Schema):
    """A person who may lead an incident or be in its team."""

    id: int
    name: str
    unit: UnitRef


@choices.get("/classes", response=ClassesOut, auth=Key("incidents:read"), summary="Classes of incidents")
def incident_classes(request: HttpRequest) -> dict[str, Any]:
    """The catalogues in force."""
    return {"working": catalogue.working_classes(), "rsit": catalogue.rsit().classes}


@choices.get("/people", response=list[WorkerOut], auth=Key("incidents:write"), summary="Who may lead or help")
def incident_people(request: HttpRequest) -> list[Any]:
    """People whom the key's owner sees and whose role may open incidents."""
    able = User.objects.visible_to(request.user).filter(is_active=True, role__in=roles_with("incidents.view"))
    return list(able.select_related("unit").order_by("name", "pk"))
