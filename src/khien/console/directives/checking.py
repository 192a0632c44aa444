"""What the one who checks does with a task: confirm, send back, decide on more time, change the due time, cancel."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from khien.console.accounts.models import User
from khien.console.directives.handling import finish_step, held, kept
from khien.console.directives.models import OPEN, OWED, StepKind, Task, TaskState
from khien.console.directives.rights import demand_checks, people_of
from khien.console.directives.tasks import fields_of, step, tell, write_timeline


def _checked(by: User, pk: int, version: int | None, states: Collection[str]) -> Task:
    """A task that the person checks. Who that is depends on the task's origin; the role alone does not tell."""
    task = held(by, pk, version, states)
    demand_checks(by, task)
    return task


@transaction.atomic
def confirm(by: User, pk: int, version: int | None, *, text: str = "") -> Task:
    """Checked: it is done."""
    task = _checked(by, pk, version, [TaskState.FINISHED])
    before, was = fields_of(task), kept(task)
    task.state, task.closed_at = TaskState.DONE, timezone.now()
    step(by, task, StepKind.DONE, text, before=was)
    finish_step(by, task, "confirm", before)
    write_timeline(by, task, CHECKED)
    tell(task, owners(task), "task.done", DONE, besides=by)
    return task


@transaction.atomic
def send_back(by: User, pk: int, version: int | None, *, reason: str) -> Task:
    """Not done yet: the unit has it again, with the reason."""
    task = _checked(by, pk, version, [TaskState.FINISHED])
    _demand_reason(reason)
    before = fields_of(task)
    last = task.steps.filter(kind=StepKind.PROGRESS).order_by("-at", "-id").first()
    task.state, task.sent_back = TaskState.ACCEPTED, True
    task.finished_at = task.finished_by = None
    task.progress = last.data.get("percent", 0) if last else 0
    step(by, task, StepKind.SENT_BACK, reason)
    finish_step(by, task, "send_back", before)
    write_timeline(by, task, RETURNED)
    tell(task, owners(task), "task.sent_back", SENT_BACK, besides=by)
    return task


@transaction.atomic
def grant(by: User, pk: int, version: int | None, *, until: datetime | None = None, text: str = "") -> Task:
    """Grant more time: as much as was asked for, or until another time."""
    task = _checked(by, pk, version, OWED)
    if task.wanted_due_at is None:
        raise ValidationError(_("No request for more time waits."))
    due = until or task.wanted_due_at
    if due <= timezone.now():
        raise ValidationError({"until": _("The new due time has passed already.")})
    _move(by, task, due, StepKind.GRANTED, text, "grant")
    tell(task, owners(task), "task.granted", GRANTED, besides=by, due=_day(due))
    return task


@transaction.atomic
def refuse(by: User, pk: int, version: int | None, *, reason: str) -> Task:
    """Refuse more time, with the reason."""
    task = _checked(by, pk, version, OWED)
    if task.wanted_due_at is None:
        raise ValidationError(_("No request for more time waits."))
    _demand_reason(reason)
    before = fields_of(task)
    step(by, task, StepKind.REFUSED, reason, data={"until": task.wanted_due_at.isoformat()})
    task.wanted_due_at = None
    finish_step(by, task, "refuse", before)
    tell(task, owners(task), "task.refused", REFUSED, besides=by)
    return task


@transaction.atomic
def change_due(by: User, pk: int, version: int | None, *, due_at: datetime, reason: str) -> Task:
    """Set another due time, with the reason. That of a directive's task is changed by amending the directive."""
    task = _checked(by, pk, version, OPEN)
    _demand_reason(reason)
    if task.directive_id:
        raise ValidationError(_("The due time of a directive's task is changed by amending the directive."))
    if due_at <= timezone.now():
        raise ValidationError({"due_at": _("The new due time has passed already.")})
    _move(by, task, due_at, StepKind.DUE, reason, "change_due")
    tell(task, owners(task), "task.due", DUE, besides=by, due=_day(due_at))
    return task


@transaction.atomic
def cancel(by: User, pk: int, version: int | None, *, reason: str) -> Task:
    """Nobody has to do it any more, with the reason."""
    task = _checked(by, pk, version, OPEN)
    _demand_reason(reason)
    end(by, task, reason)
    return task


def end(by: User, task: Task, reason: str) -> None:
    """Cancel a task that is held already."""
    before = fields_of(task)
    task.state, task.closed_at, task.wanted_due_at = TaskState.CANCELLED, timezone.now(), None
    step(by, task, StepKind.CANCELLED, reason)
    finish_step(by, task, "cancel", before)
    write_timeline(by, task, CALLED_OFF)
    tell(task, owners(task), "task.cancelled", CANCELLED, besides=by)


def move(by: User, task: Task, due_at: datetime, reason: str) -> None:
    """Set another due time of a task that is held already, and tell its people."""
    _move(by, task, due_at, StepKind.DUE, reason, "change_due")
    tell(task, owners(task), "task.due", DUE, besides=by, due=_day(due_at))


def _move(by: User, task: Task, due_at: datetime, kind: StepKind, text: str, action: str) -> None:
    before = fields_of(task)
    step(by, task, kind, text, data={"from": task.due_at.isoformat(), "to": due_at.isoformat()})
    task.due_at, task.wanted_due_at = due_at, None
    finish_step(by, task, action, before)


def owners(task: Task) -> list[User]:
    """Who is told about a task: the person it was handed to, else the unit's people."""
    if task.assignee is not None and task.assignee.is_active:
        return [task.assignee]
    return people_of(task.unit)


def _demand_reason(reason: str) -> None:
    if not reason.strip():
        raise ValidationError({"reason": _("Give the reason.")})


def _day(moment: datetime) -> str:
    return date_format(timezone.localtime(moment), "d/m/Y H:i")


DONE = gettext_noop("Checked and done: %(task)s")
SENT_BACK = gettext_noop("Sent back, more is to be done: %(task)s")
GRANTED = gettext_noop("More time until %(due)s: %(task)s")
REFUSED = gettext_noop("More time refused: %(task)s")
DUE = gettext_noop("Due time now %(due)s: %(task)s")
CANCELLED = gettext_noop("No longer to be done: %(task)s")
CHECKED = gettext_noop("%(unit)s has done: %(task)s")
RETURNED = gettext_noop("Sent back to %(unit)s: %(task)s")
CALLED_OFF = gettext_noop("%(unit)s need no longer do: %(task)s")
