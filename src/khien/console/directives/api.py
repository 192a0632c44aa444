"""Tasks, directives and sessions in the API."""

from __future__ import annotations

from typing import Any

from django.db.models import Prefetch
from django.http import HttpRequest
from ninja import Query, Router, Schema, Status
from pydantic import Field

from khien.console.accounts.models import User
from khien.console.api.auth import Key
from khien.console.api.paging import PageParameters, page_of
from khien.console.api.shapes import Id, Moment, Page, PersonRef, Reasoned, Time, UnitRef, Versioned, seen
from khien.console.directives import checking, handling, issuing
from khien.console.directives.filters import TaskFilter
from khien.console.directives.models import Conclusion, Directive, DirectiveUnit, Session, Task
from khien.console.directives.tasks import create_task
from khien.console.incidents.models import Incident
from khien.console.incidents.playbook_tasks import add_task as add_incident_task
from khien.console.units.models import Unit
from khien.console.units.scoping import scope_ids

tasks = Router(tags=["tasks"])
directives = Router(tags=["directives"])
sessions = Router(tags=["sessions"])


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


class StepOut(Schema):
    """A step in a task's history."""

    kind: str
    at: Time
    by: PersonRef | None
    text: str
    data: dict[str, Any]


class TaskWhole(TaskOut):
    """A task with its history."""

    steps: list[StepOut]


class TaskIn(Schema):
    """A task to give to a unit."""

    title: str = Field(min_length=1, max_length=300)
    text: str = Field("", max_length=20_000)
    unit: int = Id
    due_at: Moment
    incident: int | None = Field(None, ge=1, lt=2**63)
    assignee: int | None = Field(None, ge=1, lt=2**63)


class TaskQuery(Schema):
    """What is asked for: states and origins as on the pages."""

    state: str = Field("", max_length=20)
    unit: str = Field("", max_length=20)
    person: str = Field("", max_length=20)
    origin: str = Field("", max_length=20)
    incident: str = Field("", max_length=20)
    directive: str = Field("", max_length=20)
    q: str = Field("", max_length=200)


def show_tasks(user: User, found: list[Task]) -> list[dict[str, Any]]:
    """Tasks as the API shows them, naming only incidents and directives that the person sees."""
    incidents = {each.incident_id for each in found if each.incident_id}
    told = {each.directive_id for each in found if each.directive_id}
    open_incidents = set()
    if incidents and user.may("incidents.view"):
        open_incidents = set(Incident.objects.visible_to(user).filter(pk__in=incidents).values_list("pk", flat=True))
    open_directives = set()
    if told and user.may("directives.view"):
        open_directives = set(Directive.objects.visible_to(user).filter(pk__in=told).values_list("pk", flat=True))
    return [
        {
            **{name: getattr(each, name) for name in TaskOut.model_fields if name not in ("incident", "directive")},
            "incident": each.incident_id if each.incident_id in open_incidents else None,
            "directive": each.directive_id if each.directive_id in open_directives else None,
        }
        for each in found
    ]


def _shown(user: User, pk: int) -> dict[str, Any]:
    task = seen(Task.objects.visible_to(user).select_related("unit", "assignee"), pk)
    steps = task.steps.select_related("by")
    return {**show_tasks(user, [task])[0], "steps": list(steps)}


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
    unit = Unit.objects.get(pk=body.unit) if incident else seen(Unit.objects.visible_to(user), body.unit)
    assignee = User.objects.visible_to(user).get(pk=body.assignee) if body.assignee else None
    told = {"unit": unit, "title": body.title, "text": body.text, "due_at": body.due_at, "assignee": assignee}
    task = add_incident_task(user, incident.pk, **told) if incident else create_task(user, **told)
    # Shown as it was made: one given to another unit of an incident may not be seen afterwards.
    return Status(201, {**show_tasks(user, [task])[0], "steps": list(task.steps.select_related("by"))})


@tasks.get("/{int:pk}", response=TaskWhole, auth=Key("tasks:read"), summary="One task with its history")
def one_task(request: HttpRequest, pk: int) -> dict[str, Any]:
    """404 for one that is not seen."""
    return _shown(request.user, pk)


class Said(Versioned):
    """A step with words."""

    text: str = Field(min_length=1, max_length=20_000)


class Progress(Said):
    """How far it is, in per cent."""

    percent: int = Field(ge=0, le=100)


class Assigned(Versioned):
    """To whom; null: to nobody in particular."""

    assignee: int | None = Field(ge=1, lt=2**63)


class MoreTime(Reasoned):
    """Until when."""

    until: Moment


class Granted(Versioned):
    """Until when; left out: as asked for."""

    until: Moment | None = None
    text: str = Field("", max_length=2_000)


class Confirmed(Versioned):
    """Words to go with it."""

    text: str = Field("", max_length=2_000)


class NewDue(Reasoned):
    """The new due time."""

    due_at: Moment


@tasks.post("/{int:pk}/accept", response=TaskWhole, auth=Key("tasks:write"), summary="Accept a task")
def accept(request: HttpRequest, pk: int, body: Versioned) -> dict[str, Any]:
    """For the task's unit."""
    handling.accept(request.user, pk, body.version)
    return _shown(request.user, pk)


@tasks.post("/{int:pk}/assign", response=TaskWhole, auth=Key("tasks:write"), summary="Hand a task to a person")
def assign(request: HttpRequest, pk: int, body: Assigned) -> dict[str, Any]:
    """A person of the task's unit or below."""
    person = User.objects.visible_to(request.user).get(pk=body.assignee) if body.assignee else None
    handling.assign(request.user, pk, body.version, person)
    return _shown(request.user, pk)


@tasks.post("/{int:pk}/report", response=TaskWhole, auth=Key("tasks:write"), summary="Report progress")
def report(request: HttpRequest, pk: int, body: Progress) -> dict[str, Any]:
    """In words and per cent."""
    handling.report(request.user, pk, body.version, text=body.text, percent=body.percent)
    return _shown(request.user, pk)


@tasks.post("/{int:pk}/finish", response=TaskWhole, auth=Key("tasks:write"), summary="Report a task finished")
def finish(request: HttpRequest, pk: int, body: Said) -> dict[str, Any]:
    """It then waits for a check."""
    handling.finish(request.user, pk, body.version, text=body.text)
    return _shown(request.user, pk)


@tasks.post("/{int:pk}/ask-more-time", response=TaskWhole, auth=Key("tasks:write"), summary="Ask for more time")
def ask_more_time(request: HttpRequest, pk: int, body: MoreTime) -> dict[str, Any]:
    """Answered by who checks the task."""
    handling.ask_more_time(request.user, pk, body.version, until=body.until, reason=body.reason)
    return _shown(request.user, pk)


@tasks.post("/{int:pk}/confirm", response=TaskWhole, auth=Key("tasks:write"), summary="Confirm that it is done")
def confirm(request: HttpRequest, pk: int, body: Confirmed) -> dict[str, Any]:
    """For who checks the task."""
    checking.confirm(request.user, pk, body.version, text=body.text)
    return _shown(request.user, pk)


@tasks.post("/{int:pk}/send-back", response=TaskWhole, auth=Key("tasks:write"), summary="Send a finished task back")
def send_back(request: HttpRequest, pk: int, body: Reasoned) -> dict[str, Any]:
    """With the reason."""
    checking.send_back(request.user, pk, body.version, reason=body.reason)
    return _shown(request.user, pk)


@tasks.post("/{int:pk}/grant", response=TaskWhole, auth=Key("tasks:write"), summary="Grant more time")
def grant(request: HttpRequest, pk: int, body: Granted) -> dict[str, Any]:
    """As asked for, or until another time."""
    checking.grant(request.user, pk, body.version, until=body.until, text=body.text)
    return _shown(request.user, pk)


@tasks.post("/{int:pk}/refuse", response=TaskWhole, auth=Key("tasks:write"), summary="Refuse more time")
def refuse(request: HttpRequest, pk: int, body: Reasoned) -> dict[str, Any]:
    """With the reason."""
    checking.refuse(request.user, pk, body.version, reason=body.reason)
    return _shown(request.user, pk)


@tasks.post("/{int:pk}/change-due", response=TaskWhole, auth=Key("tasks:write"), summary="Change the due time")
def change_due(request: HttpRequest, pk: int, body: NewDue) -> dict[str, Any]:
    """With the reason."""
    checking.change_due(request.user, pk, body.version, due_at=body.due_at, reason=body.reason)
    return _shown(request.user, pk)


@tasks.post("/{int:pk}/cancel", response=TaskWhole, auth=Key("tasks:write"), summary="Cancel a task")
def cancel(request: HttpRequest, pk: int, body: Reasoned) -> dict[str, Any]:
    """With the reason."""
    checking.cancel(request.user, pk, body.version, reason=body.reason)
    return _shown(request.user, pk)


class ToldUnit(Schema):
    """A unit that a directive tells, with a due time of its own or null."""

    unit: UnitRef
    due_at: Time | None
    removed_at: Time | None


class DirectiveOut(Schema):
    """A directive. `label`: number and sign, "" for a draft."""

    id: int
    label: str
    title: str
    basis: str
    text: str
    state: str
    due_at: Time
    conclusion: int | None = Field(None, alias="conclusion_id")
    issued_at: Time | None
    closed_at: Time | None
    created_at: Time
    updated_at: Time
    version: int


class DirectiveWhole(DirectiveOut):
    """A directive with those of the units it tells that the key's owner sees."""

    units: list[ToldUnit]


class ToldIn(Schema):
    """A unit to tell."""

    unit: int = Id
    due_at: Moment | None = None


class DirectiveIn(Schema):
    """A directive to draft."""

    title: str = Field(min_length=1, max_length=300)
    text: str = Field(min_length=1, max_length=50_000)
    basis: str = Field("", max_length=20_000)
    sign: str = Field("", max_length=40)
    due_at: Moment
    conclusion: int | None = Field(None, ge=1, lt=2**63)
    units: list[ToldIn] = Field(min_length=1, max_length=1_000)


class IssueIn(Versioned):
    """`number`: left out, the next of its series."""

    number: int | None = Field(None, ge=1, lt=2**31)


def _directive(user: User, pk: int) -> Directive:
    """With those of the units it tells that the person sees."""
    told = DirectiveUnit.objects.select_related("unit").order_by("unit__name")
    if (ids := scope_ids(user)) is not None:
        told = told.filter(unit__in=ids)
    return seen(Directive.objects.visible_to(user).prefetch_related(Prefetch("units", told)), pk)


@directives.get("", response=Page[DirectiveOut], auth=Key("directives:read"), summary="List directives")
def list_directives(request: HttpRequest, page: PageParameters, state: str = "") -> dict[str, Any]:
    """Directives that the key's owner sees."""
    rows = Directive.objects.visible_to(request.user)
    return page_of(rows.filter(state=state) if state else rows, page)


@directives.post("", response={201: DirectiveWhole}, auth=Key("directives:write"), summary="Draft a directive")
def draft_directive(request: HttpRequest, body: DirectiveIn) -> Status:
    """It is issued by a second call."""
    user = request.user
    conclusion = None
    if body.conclusion:
        conclusion = Conclusion.objects.get(pk=body.conclusion, session__in=Session.objects.visible_to(user))
    units = {seen(Unit.objects.visible_to(user), each.unit): each.due_at for each in body.units}
    made = issuing.draft(
        user,
        title=body.title,
        text=body.text,
        basis=body.basis,
        sign=body.sign,
        due_at=body.due_at,
        units=units,
        conclusion=conclusion,
    )
    return Status(201, _directive(user, made.pk))


@directives.get(
    "/{int:pk}", response=DirectiveWhole, auth=Key("directives:read"), summary="One directive with its units"
)
def one_directive(request: HttpRequest, pk: int) -> Directive:
    """404 for one that is not seen."""
    return _directive(request.user, pk)


@directives.post("/{int:pk}/issue", response=DirectiveWhole, auth=Key("directives:write"), summary="Issue a draft")
def issue_directive(request: HttpRequest, pk: int, body: IssueIn) -> Directive:
    """Each unit gets its task."""
    issuing.issue(request.user, pk, body.version, number=body.number)
    return _directive(request.user, pk)


@directives.post("/{int:pk}/close", response=DirectiveWhole, auth=Key("directives:write"), summary="Close a directive")
def close_directive(request: HttpRequest, pk: int, body: Versioned) -> Directive:
    """When all its tasks are over."""
    issuing.close(request.user, pk, body.version)
    return _directive(request.user, pk)


@directives.post(
    "/{int:pk}/withdraw", response=DirectiveWhole, auth=Key("directives:write"), summary="Withdraw a directive"
)
def withdraw_directive(request: HttpRequest, pk: int, body: Reasoned) -> Directive:
    """Its open tasks are cancelled."""
    issuing.withdraw(request.user, pk, body.version, reason=body.reason)
    return _directive(request.user, pk)


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
    updated_at: Time
    version: int


class ConclusionOut(Schema):
    """A conclusion of a session."""

    id: int
    number: int
    text: str


class SessionWhole(SessionOut):
    """A session with its conclusions."""

    conclusions: list[ConclusionOut]


@sessions.get("", response=Page[SessionOut], auth=Key("directives:read"), summary="List sessions")
def list_sessions(request: HttpRequest, page: PageParameters) -> dict[str, Any]:
    """Sessions that the key's owner sees."""
    return page_of(Session.objects.visible_to(request.user), page)


@sessions.get(
    "/{int:pk}", response=SessionWhole, auth=Key("directives:read"), summary="One session with its conclusions"
)
def one_session(request: HttpRequest, pk: int) -> Session:
    """404 for one that is not seen."""
    return seen(Session.objects.visible_to(request.user).prefetch_related("conclusions"), pk)
