"""Tasks of an incident, by playbook. A single task that stands in no playbook is given through /tasks."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.utils import timezone
from ninja import Router, Schema, Status
from pydantic import Field

from khien.console.api.auth import Key
from khien.console.api.paging import PageParameters, page_of
from khien.console.api.shapes import Page
from khien.console.directives.api.showing import TaskOut, show_tasks
from khien.console.directives.selectors import tasks_of_incident
from khien.console.incidents import playbook_tasks
from khien.console.incidents.api.showing import looked_at

tasks = Router(tags=["incidents"])


class TemplateOut(Schema):
    """A task of a playbook. `to`: leading, affected (each affected unit) or `kind:` and a kind of units.

    `due_hours`: from when it is given. `given`: whether a task of this title is there.
    """

    code: str
    vi: str
    en: str
    text_vi: str
    text_en: str
    due_hours: float
    to: str
    given: bool


class PlaybookOut(Schema):
    """What to do about incidents of some classes; of all, when it names none. `own`: it fits this incident."""

    code: str
    ruleset: str
    source: str
    vi: str
    en: str
    classes: list[str]
    own: bool
    tasks: list[TemplateOut]


class PlaybookIn(Schema):
    """Which playbook; `tasks`: codes of its tasks, null for all. It may be given again."""

    playbook: str = Field(min_length=1, max_length=100)
    tasks: list[str] | None = Field(None, min_length=1, max_length=500)


@tasks.get("/{int:pk}/tasks", response=Page[TaskOut], auth=Key("incidents:read"), summary="The tasks of an incident")
def incident_tasks(request: HttpRequest, pk: int, page: PageParameters) -> dict[str, Any]:
    """Those that the key's owner sees."""
    found = page_of(tasks_of_incident(request.user, looked_at(request.user, pk)), page)
    return {**found, "items": show_tasks(request.user, found["items"])}


@tasks.get("/{int:pk}/playbooks", response=list[PlaybookOut], auth=Key("incidents:read"), summary="The playbooks")
def list_playbooks(request: HttpRequest, pk: int) -> list[dict[str, Any]]:
    """Those in force: of the incident's class, then for all classes, then the others."""
    incident = looked_at(request.user, pk)
    given = set(tasks_of_incident(request.user, incident).values_list("title", flat=True))
    return [
        {
            **{name: getattr(book, name) for name in ("code", "ruleset", "source", "vi", "en", "classes")},
            "own": not book.classes or incident.working_class in book.classes,
            "tasks": [
                {
                    **{name: getattr(each, name) for name in TemplateOut.model_fields if name != "given"},
                    "given": bool({each.vi, each.en} & given),
                }
                for each in book.tasks
            ],
        }
        for book in playbook_tasks.offered(incident, timezone.now())
    ]


@tasks.post(
    "/{int:pk}/playbooks",
    response={201: list[TaskOut]},
    auth=Key("incidents:write"),
    summary="Give the tasks of a playbook",
)
def apply_playbook(request: HttpRequest, pk: int, body: PlaybookIn) -> Status:
    """All or some, due counted from now. The answer holds the tasks that were given."""
    made = playbook_tasks.apply_playbook(request.user, pk, body.playbook, body.tasks)
    return Status(201, show_tasks(request.user, made))
