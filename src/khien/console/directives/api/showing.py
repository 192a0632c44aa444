"""Sessions, directives and tasks as the API shows them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from django.db.models import Prefetch, Q
from ninja import Schema
from pydantic import Field, StringConstraints

from khien.console.accounts.models import User
from khien.console.api.shapes import PersonRef, Time, UnitRef, seen
from khien.console.directives.models import (
    Conclusion,
    Directive,
    DirectiveUnit,
    Session,
    StepKind,
    Task,
    TaskState,
    TaskStep,
    TaskStepFile,
)
from khien.console.incidents.selectors import visible_numbers
from khien.console.units.scoping import scope_ids

Title = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=300)]


class TaskOut(Schema):
    """A task. `incident`, `directive`: what it comes from, null where that is not seen. `due_at`: UTC."""

    id: int
    title: str
    text: str
    unit: UnitRef
    assignee: PersonRef | None
    incident: int | None
    directive: int | None
    state: str
    progress: int
    due_at: Time
    wanted_due_at: Time | None
    created_at: Time
    updated_at: Time
    closed_at: Time | None
    version: int


class FileOut(Schema):
    """A file handed in with a step."""

    id: int
    name: str = Field(alias="stored.name")
    size: int = Field(alias="stored.size")
    sha256: str = Field(alias="stored.sha256")


class StepOut(Schema):
    """A step in a task's history. `data`: what goes with its kind, naming no incident that is not seen."""

    kind: str
    at: Time
    by: PersonRef | None
    text: str
    data: dict[str, Any]
    files: list[FileOut]


class TaskWhole(TaskOut):
    """A task with its history."""

    steps: list[StepOut]


class DirectiveOut(Schema):
    """A directive. `label`: number and sign, "" for a draft. `conclusion`: null also where its session is not seen."""

    id: int
    label: str
    title: str
    basis: str
    text: str
    sign: str
    state: str
    due_at: Time
    conclusion: int | None
    signer: PersonRef | None
    issued_at: Time | None
    closed_at: Time | None
    end_reason: str
    created_at: Time
    updated_at: Time
    version: int


class ToldUnit(Schema):
    """A unit that a directive tells, with a due time of its own or null."""

    unit: UnitRef
    due_at: Time | None
    removed_at: Time | None


class AmendmentOut(Schema):
    """A change of an issued directive. `unit`: null when the directive's own due time changed."""

    kind: str
    unit: UnitRef | None
    old_due_at: Time | None
    new_due_at: Time | None
    reason: str
    by: PersonRef
    at: Time


class DirectiveWhole(DirectiveOut):
    """A directive with those of its units, their tasks and amendments that the key's owner sees."""

    units: list[ToldUnit]
    tasks: list[TaskOut]
    amendments: list[AmendmentOut]


class SessionOut(Schema):
    """A session of the subcommittee."""

    id: int
    number: str
    kind: str
    title: str
    state: str
    starts_at: Time
    ends_at: Time | None
    place: str
    chair: PersonRef | None
    secretary: PersonRef | None
    concluded_at: Time | None
    created_at: Time
    updated_at: Time
    version: int


class AgendaItemOut(Schema):
    """A point of the agenda, and what was said to it."""

    id: int
    position: int
    title: str
    presenter: str
    notes: str


class AttendanceOut(Schema):
    """Somebody called: the holder of a seat, or a unit. `presence`: invited, present, absent or substitute."""

    id: int
    who: str
    appointment: int | None = Field(alias="appointment_id")
    unit: UnitRef | None
    person: str
    presence: str
    note: str


class ConclusionOut(Schema):
    """A conclusion of a session. `directives`: those that come from it and are seen."""

    id: int
    number: int
    text: str
    directives: list[int]


class SessionWhole(SessionOut):
    """A session with its agenda, attendance, minutes and conclusions."""

    minutes: str
    agenda: list[AgendaItemOut]
    attendance: list[AttendanceOut]
    conclusions: list[ConclusionOut]


def show_tasks(user: User, found: Sequence[Task]) -> list[dict[str, Any]]:
    """Tasks as the API shows them, naming only incidents and directives that the person sees."""
    linked = {each.incident_id for each in found if each.incident_id}
    incidents = visible_numbers(user, linked) if linked and user.may("incidents.view") else {}
    told = {each.directive_id for each in found if each.directive_id}
    directives = set()
    if told and user.may("directives.view"):
        directives = set(Directive.objects.visible_to(user).filter(pk__in=told).values_list("pk", flat=True))
    names = [name for name in TaskOut.model_fields if name not in ("incident", "directive")]
    return [
        {
            **{name: getattr(each, name) for name in names},
            "incident": each.incident_id if each.incident_id in incidents else None,
            "directive": each.directive_id if each.directive_id in directives else None,
        }
        for each in found
    ]


def whole_task(user: User, task: Task) -> dict[str, Any]:
    """A task with its history, as it was made or changed: who handed it away may not see it afterwards."""
    files = Prefetch("files", TaskStepFile.objects.select_related("stored"))
    steps = TaskStep.objects.filter(task=task).select_related("by").prefetch_related(files)
    moved = {pk for each in steps if each.kind == StepKind.MOVED for pk in each.data.values()}
    known = visible_numbers(user, moved)
    names = [name for name in StepOut.model_fields if name not in ("data", "files")]
    shown = [
        {
            **{name: getattr(each, name) for name in names},
            "data": {k: v for k, v in each.data.items() if each.kind != StepKind.MOVED or v in known},
            "files": each.files.all(),
        }
        for each in steps
    ]
    return {**show_tasks(user, [task])[0], "steps": shown}


def show_directives(user: User, found: Sequence[Directive]) -> list[dict[str, Any]]:
    """Directives as the API shows them, naming only conclusions of sessions that the person sees."""
    named = {each.conclusion_id for each in found if each.conclusion_id}
    known: set[int] = set()
    if named and user.may("directives.view"):
        rows = Conclusion.objects.filter(pk__in=named, session__in=Session.objects.visible_to(user))
        known = set(rows.values_list("pk", flat=True))
    names = [name for name in DirectiveOut.model_fields if name != "conclusion"]
    return [
        {
            **{name: getattr(each, name) for name in names},
            "conclusion": each.conclusion_id if each.conclusion_id in known else None,
        }
        for each in found
    ]


def whole_directive(user: User, pk: int) -> dict[str, Any]:
    """A directive with what the person sees of its units. Raises Directive.DoesNotExist."""
    directive: Directive = seen(Directive.objects.visible_to(user).select_related("signer"), pk)
    told = DirectiveUnit.objects.filter(directive=directive).select_related("unit").order_by("unit__name")
    amendments = directive.amendments.select_related("unit", "by")
    if (ids := scope_ids(user)) is not None:
        told = told.filter(unit__in=ids)
        amendments = amendments.filter(Q(unit=None) | Q(unit__in=ids))
    tasks = Task.objects.visible_to(user).filter(directive=directive).exclude(state=TaskState.CANCELLED)
    return {
        **show_directives(user, [directive])[0],
        "units": list(told),
        "tasks": show_tasks(user, list(tasks.select_related("unit", "assignee").order_by("unit__name", "id"))),
        "amendments": list(amendments),
    }


def whole_session(user: User, pk: int) -> dict[str, Any]:
    """A session with all that belongs to it. Raises Session.DoesNotExist."""
    session: Session = seen(Session.objects.visible_to(user).select_related("chair", "secretary"), pk)
    drafted = Directive.objects.visible_to(user).filter(conclusion__session=session).order_by("pk")
    of: dict[int, list[int]] = {}
    for conclusion, directive in drafted.values_list("conclusion", "pk"):
        of.setdefault(conclusion, []).append(directive)
    return {
        **{name: getattr(session, name) for name in (*SessionOut.model_fields, "minutes")},
        "agenda": list(session.agenda.all()),
        "attendance": list(session.attendance.select_related("appointment", "unit")),
        "conclusions": [
            {"id": each.pk, "number": each.number, "text": each.text, "directives": of.get(each.pk, [])}
            for each in session.conclusions.all()
        ],
    }
