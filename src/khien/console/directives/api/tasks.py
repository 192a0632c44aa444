"""Tasks: lists, one, giving one, its files, and whom it can be handed to."""

from __future__ import annotations

from typing import Any

from django.db.models import Q
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from ninja import Query, Router, Schema, Status
from pydantic import Field

from khien.console.accounts.models import User
from khien.console.api.auth import Key
from khien.console.api.paging import PageParameters, page_of
from khien.console.api.shapes import BINARY, Id, Moment, Page, PersonRef, seen
from khien.console.directives.api.showing import TaskOut, TaskWhole, show_tasks, whole_task
from khien.console.directives.filters import TaskFilter
from khien.console.directives.models import Task
from khien.console.directives.rights import demand_handles
from khien.console.directives.selectors import assignable
from khien.console.directives.step_files import step_file
from khien.console.directives.tasks import create_task
from khien.console.files.services import download
from khien.console.incidents.models import Incident
from khien.console.incidents.playbook_tasks import add_task as add_incident_task
from khien.console.units.models import Unit

tasks = Router(tags=["tasks"])


class TaskIn(Schema):
    """A task to give to a unit."""

    title: str = Field(min_length=1, max_length=300)
    text: str = Field("", max_length=20_000)
    unit: int = Id
    due_at: Moment
    incident: int | None = Field(None, ge=1, lt=2**63)
    assignee: int | None = Field(None, ge=1, lt=2**63)


class TaskQuery(Schema):
    """What is asked for: states and origins as on the pages. `person`: an id, `me` or `none`.

    `due_from`, `due_to`: days, 2026-12-31. `waiting`: 1 for those that wait for one's check or decision.
    """

    state: str = Field("", max_length=20)
    unit: str = Field("", max_length=20)
    person: str = Field("", max_length=20)
    origin: str = Field("", max_length=20)
    incident: str = Field("", max_length=20)
    directive: str = Field("", max_length=20)
    session: str = Field("", max_length=20)
    due_from: str = Field("", max_length=20)
    due_to: str = Field("", max_length=20)
    waiting: str = Field("", max_length=1)
    q: str = Field("", max_length=200)


@tasks.get("", response=Page[TaskOut], auth=Key("tasks:read"), summary="List tasks")
def list_tasks(request: HttpRequest, page: PageParameters, filters: Query[TaskQuery]) -> dict[str, Any]:
    """Tasks that the key's owner sees."""
    rows = TaskFilter.read(filters.dict()).of(Task.objects.visible_to(request.user), request.user)
    found = page_of(rows.select_related("unit", "assignee"), page)
    return {**found, "items": show_tasks(request.user, found["items"])}


@tasks.post("", response={201: TaskWhole}, auth=Key("tasks:write"), summary="Give a task to a unit")
def add_task(request: HttpRequest, body: TaskIn) -> Status:
    """Needs a role that may give tasks."""
    user = request.user
    incident = seen(Incident.objects.visible_to(user), body.incident) if body.incident else None
    units = Unit.objects.filter(pk__in=Unit.objects.visible_to(user).order_by().values("pk"))
    if incident:
        units |= Unit.objects.filter(Q(pk=incident.unit_id) | Q(pk__in=incident.units.order_by().values("pk")))
    unit = seen(units, body.unit)
    assignee = User.objects.visible_to(user).get(pk=body.assignee) if body.assignee else None
    told = {"unit": unit, "title": body.title, "text": body.text, "due_at": body.due_at, "assignee": assignee}
    task = add_incident_task(user, incident.pk, **told) if incident else create_task(user, **told)
    return Status(201, whole_task(user, task))


@tasks.get("/{int:pk}", response=TaskWhole, auth=Key("tasks:read"), summary="One task with its history")
def one_task(request: HttpRequest, pk: int) -> dict[str, Any]:
    """404 for one that is not seen."""
    rows = Task.objects.visible_to(request.user).select_related("unit", "assignee")
    return whole_task(request.user, seen(rows, pk))


@tasks.get(
    "/{int:pk}/files/{int:file}",
    auth=Key("tasks:read"),
    summary="A file handed in with a task",
    openapi_extra=BINARY,
)
def task_file(request: HttpRequest, pk: int, file: int) -> HttpResponseBase:
    """As it was uploaded; what it holds may be hostile."""
    return download(step_file(request.user, pk, file))


@tasks.get("/{int:pk}/people", response=list[PersonRef], auth=Key("tasks:read"), summary="Whom a task can be handed to")
def task_people(request: HttpRequest, pk: int) -> list[User]:
    """For who works on it: active people of its unit and those below, who work on tasks; at most 500."""
    task = seen(Task.objects.visible_to(request.user).select_related("unit"), pk)
    demand_handles(request.user, task)
    return list(assignable(task)[:500])
