"""The steps of a task: by its unit, and by who checks it."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from ninja import File, Form, Router, Schema, UploadedFile
from pydantic import Field

from khien.console.accounts.models import User
from khien.console.api.auth import Key
from khien.console.api.shapes import AnId, Id, Moment, Reasoned, Versioned, seen
from khien.console.directives import checking, handling
from khien.console.directives.api.showing import TaskWhole, whole_task
from khien.console.directives.selectors import people_below

steps = Router(tags=["tasks"])


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


class Tasks(Schema):
    """Which tasks."""

    tasks: list[AnId] = Field(min_length=1, max_length=handling.MOST_AT_ONCE)


class TasksAssigned(Tasks):
    """To whom: a person of the unit of the key's owner, or of one below."""

    assignee: int = Id


class CountOut(Schema):
    """How many tasks it was done to."""

    count: int


@steps.post("/accept", response=CountOut, auth=Key("tasks:write"), summary="Accept several tasks")
def accept_tasks(request: HttpRequest, body: Tasks) -> dict[str, int]:
    """Those of them that wait for the key's owner to accept them; the others stay as they are."""
    return {"count": handling.accept_many(request.user, body.tasks)}


@steps.post("/assign", response=CountOut, auth=Key("tasks:write"), summary="Hand several tasks to a person")
def assign_tasks(request: HttpRequest, body: TasksAssigned) -> dict[str, int]:
    """Those of them that the key's owner may hand on, all or none."""
    person = seen(people_below(request.user.unit.path), body.assignee)
    return {"count": handling.assign_many(request.user, body.tasks, person)}


@steps.post("/{int:pk}/accept", response=TaskWhole, auth=Key("tasks:write"), summary="Accept a task")
def accept(request: HttpRequest, pk: int, body: Versioned) -> dict[str, Any]:
    """For the task's unit."""
    return whole_task(request.user, handling.accept(request.user, pk, body.version))


@steps.post("/{int:pk}/assign", response=TaskWhole, auth=Key("tasks:write"), summary="Hand a task to a person")
def assign(request: HttpRequest, pk: int, body: Assigned) -> dict[str, Any]:
    """A person of the task's unit or below."""
    person = User.objects.visible_to(request.user).get(pk=body.assignee) if body.assignee else None
    return whole_task(request.user, handling.assign(request.user, pk, body.version, person))


@steps.post("/{int:pk}/report", response=TaskWhole, auth=Key("tasks:write"), summary="Report progress")
def report(request: HttpRequest, pk: int, body: Progress) -> dict[str, Any]:
    """In words and per cent."""
    task = handling.report(request.user, pk, body.version, text=body.text, percent=body.percent)
    return whole_task(request.user, task)


@steps.post(
    "/{int:pk}/report-with-files", response=TaskWhole, auth=Key("tasks:write"), summary="Report progress, with files"
)
def report_with_files(
    request: HttpRequest, pk: int, body: Form[Progress], files: File[list[UploadedFile]]
) -> dict[str, Any]:
    """A form: at most 20 files of 100 MB each."""
    task = handling.report(request.user, pk, body.version, text=body.text, percent=body.percent, files=files)
    return whole_task(request.user, task)


@steps.post("/{int:pk}/finish", response=TaskWhole, auth=Key("tasks:write"), summary="Report a task finished")
def finish(request: HttpRequest, pk: int, body: Said) -> dict[str, Any]:
    """It then waits for a check."""
    return whole_task(request.user, handling.finish(request.user, pk, body.version, text=body.text))


@steps.post(
    "/{int:pk}/finish-with-files", response=TaskWhole, auth=Key("tasks:write"), summary="Report it finished, with files"
)
def finish_with_files(
    request: HttpRequest, pk: int, body: Form[Said], files: File[list[UploadedFile]]
) -> dict[str, Any]:
    """A form: at most 20 files of 100 MB each."""
    return whole_task(request.user, handling.finish(request.user, pk, body.version, text=body.text, files=files))


@steps.post("/{int:pk}/ask-more-time", response=TaskWhole, auth=Key("tasks:write"), summary="Ask for more time")
def ask_more_time(request: HttpRequest, pk: int, body: MoreTime) -> dict[str, Any]:
    """Answered by who checks the task."""
    task = handling.ask_more_time(request.user, pk, body.version, until=body.until, reason=body.reason)
    return whole_task(request.user, task)


@steps.post("/{int:pk}/take-back", response=TaskWhole, auth=Key("tasks:write"), summary="Take one's last step back")
def take_back(request: HttpRequest, pk: int, body: Versioned) -> dict[str, Any]:
    """Accepting, handing on, finishing or confirming, for ten minutes."""
    return whole_task(request.user, handling.take_back(request.user, pk, body.version))


@steps.post("/{int:pk}/confirm", response=TaskWhole, auth=Key("tasks:write"), summary="Confirm that it is done")
def confirm(request: HttpRequest, pk: int, body: Confirmed) -> dict[str, Any]:
    """For who checks the task."""
    return whole_task(request.user, checking.confirm(request.user, pk, body.version, text=body.text))


@steps.post("/{int:pk}/send-back", response=TaskWhole, auth=Key("tasks:write"), summary="Send a finished task back")
def send_back(request: HttpRequest, pk: int, body: Reasoned) -> dict[str, Any]:
    """With the reason."""
    return whole_task(request.user, checking.send_back(request.user, pk, body.version, reason=body.reason))


@steps.post("/{int:pk}/grant", response=TaskWhole, auth=Key("tasks:write"), summary="Grant more time")
def grant(request: HttpRequest, pk: int, body: Granted) -> dict[str, Any]:
    """As asked for, or until another time."""
    return whole_task(request.user, checking.grant(request.user, pk, body.version, until=body.until, text=body.text))


@steps.post("/{int:pk}/refuse", response=TaskWhole, auth=Key("tasks:write"), summary="Refuse more time")
def refuse(request: HttpRequest, pk: int, body: Reasoned) -> dict[str, Any]:
    """With the reason."""
    return whole_task(request.user, checking.refuse(request.user, pk, body.version, reason=body.reason))


@steps.post("/{int:pk}/change-due", response=TaskWhole, auth=Key("tasks:write"), summary="Change the due time")
def change_due(request: HttpRequest, pk: int, body: NewDue) -> dict[str, Any]:
    """With the reason."""
    task = checking.change_due(request.user, pk, body.version, due_at=body.due_at, reason=body.reason)
    return whole_task(request.user, task)


@steps.post("/{int:pk}/cancel", response=TaskWhole, auth=Key("tasks:write"), summary="Cancel a task")
def cancel(request: HttpRequest, pk: int, body: Reasoned) -> dict[str, Any]:
    """With the reason."""
    return whole_task(request.user, checking.cancel(request.user, pk, body.version, reason=body.reason))
