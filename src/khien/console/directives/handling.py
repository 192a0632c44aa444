"""What a unit does with its task: accept, hand to a person, report, finish, ask for more time, take a step back."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import UploadedFile
from django.core.serializers.json import DjangoJSONEncoder
from django.db import transaction
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from khien.console.accounts.access import demand
from khien.console.accounts.models import User
from khien.console.audit.services import record
from khien.console.concurrency import locked
from khien.console.directives.models import (
    OPEN,
    OWED,
    DirectiveState,
    StepKind,
    Task,
    TaskState,
    TaskStep,
    TaskStepFile,
)
from khien.console.directives.rights import checkers, demand_checks, demand_handles, handles
from khien.console.directives.tasks import demand_assignable, fields_of, step, tell, write_timeline
from khien.console.files.services import Received, keep, received

MOST_FILES = 20
MOST_BYTES = 100 << 20
MOST_AT_ONCE = 500
UNDO = timedelta(minutes=10)
_KEPT = (
    "state",
    "assignee_id",
    "progress",
    "due_at",
    "wanted_due_at",
    "sent_back",
    "accepted_at",
    "finished_at",
    "finished_by_id",
    "closed_at",
)
_TIMES = frozenset(("due_at", "wanted_due_at", "accepted_at", "finished_at", "closed_at"))
RETURNABLE = frozenset((StepKind.ACCEPTED, StepKind.ASSIGNED, StepKind.FINISHED, StepKind.DONE))


def held(by: User, pk: int, version: int | None, states: Collection[str], *, capability: str = "tasks.work") -> Task:
    """A task one works on, held until the end of the transaction. Raises Changed, ValidationError in another state."""
    demand(by, capability)
    task = locked(Task, pk, version, by=by)
    if task.state not in states:
        raise ValidationError(
            _("The task is %(state)s: this step is not possible now.") % {"state": task.get_state_display().lower()}
        )
    return task


def kept(task: Task) -> dict[str, Any]:
    """The fields that steps change, as plain values: what taking a step back needs."""
    return {name: _plain(getattr(task, name)) for name in _KEPT}


def _plain(value: Any) -> Any:
    return DjangoJSONEncoder().default(value) if isinstance(value, datetime) else value


def finish_step(by: User, task: Task, action: str, before: dict[str, Any]) -> None:
    """Save a changed task under its next version, and write it into the audit trail."""
    task.version += 1
    task.save()
    record(by, f"task.{action}", task, before=before, after=fields_of(task))


@transaction.atomic
def accept(by: User, pk: int, version: int | None) -> Task:
    """Take the task on for the unit."""
    task = held(by, pk, version, [TaskState.SENT])
    demand_handles(by, task)
    before, was = fields_of(task), kept(task)
    task.state, task.accepted_at = TaskState.ACCEPTED, timezone.now()
    step(by, task, StepKind.ACCEPTED, before=was)
    finish_step(by, task, "accept", before)
    return task


@transaction.atomic
def assign(by: User, pk: int, version: int | None, assignee: User | None) -> Task:
    """Hand the task to a person of its unit or below, or to nobody in particular. Handed on, it is accepted too."""
    task = held(by, pk, version, OWED)
    demand_handles(by, task)
    if assignee is not None:
        demand_assignable(assignee, task.unit)
    before, was = fields_of(task), kept(task)
    if task.state == TaskState.SENT and assignee is not None:
        task.state, task.accepted_at = TaskState.ACCEPTED, timezone.now()
    task.assignee = assignee
    step(by, task, StepKind.ASSIGNED, data={"name": assignee.name if assignee else ""}, before=was)
    finish_step(by, task, "assign", before)
    if assignee is not None:
        tell(task, [assignee], "task.assigned", ASSIGNED, besides=by)
    return task


def report(
    by: User, pk: int, version: int | None, *, text: str, percent: int, files: Iterable[UploadedFile] = ()
) -> Task:
    """Report progress, in words and per cent, with files."""
    with _arriving(by, files) as arrived, transaction.atomic():
        task = held(by, pk, version, [TaskState.ACCEPTED])
        demand_handles(by, task)
        if not text.strip():
            raise ValidationError({"text": _("Say what was done.")})
        if not 0 <= percent <= 100:
            raise ValidationError({"percent": _("Progress is between 0 and 100 per cent.")})
        before = fields_of(task)
        task.progress = percent
        made = step(by, task, StepKind.PROGRESS, text, data={"percent": percent})
        finish_step(by, task, "report", before)
        _hand_in(by, made, arrived)
    return task


def finish(by: User, pk: int, version: int | None, *, text: str, files: Iterable[UploadedFile] = ()) -> Task:
    """Report the task finished; it then waits for a check."""
    with _arriving(by, files) as arrived, transaction.atomic():
        task = held(by, pk, version, [TaskState.ACCEPTED])
        demand_handles(by, task)
        if not text.strip():
            raise ValidationError({"text": _("Say what was done.")})
        before, was = fields_of(task), kept(task)
        task.state, task.progress = TaskState.FINISHED, 100
        task.finished_at, task.finished_by = timezone.now(), by
        task.wanted_due_at, task.sent_back = None, False
        made = step(by, task, StepKind.FINISHED, text, before=was)
        finish_step(by, task, "finish", before)
        write_timeline(by, task, FINISHED)
        tell(task, checkers(task), "task.finished", FINISHED, besides=by)
        _hand_in(by, made, arrived)
    return task


@transaction.atomic
def ask_more_time(by: User, pk: int, version: int | None, *, until: datetime, reason: str) -> Task:
    """Ask for a later due time; the one who checks decides."""
    task = held(by, pk, version, OWED)
    demand_handles(by, task)
    if not reason.strip():
        raise ValidationError({"reason": _("Say why more time is needed.")})
    if until <= task.due_at or until <= timezone.now():
        raise ValidationError({"until": _("The time asked for has to be later than the due time and than now.")})
    before = fields_of(task)
    task.wanted_due_at = until
    step(by, task, StepKind.MORE_TIME, reason, data={"until": until.isoformat()})
    finish_step(by, task, "ask_more_time", before)
    tell(task, checkers(task), "task.more_time", MORE_TIME, besides=by)
    return task


def returnable(user: User, task: Task, last: TaskStep | None) -> bool:
    """Whether a person can still take the last step of a task back."""
    return (
        last is not None
        and last.by_id == user.pk
        and last.kind in RETURNABLE
        and bool(last.before)
        and timezone.now() - last.at <= UNDO
        and (task.directive is None or task.directive.state == DirectiveState.ISSUED)
    )


@transaction.atomic
def take_back(by: User, pk: int, version: int | None) -> Task:
    """Undo one's own last step: accepting, handing to a person, finishing or checking, for ten minutes."""
    task = held(by, pk, version, (*OPEN, TaskState.DONE))
    last = task.steps.order_by("-at", "-id").first()
    if last is None or not returnable(by, task, last):
        raise ValidationError(_("This step can no longer be taken back."))
    if last.kind == StepKind.DONE:
        demand_checks(by, task)
    else:
        demand_handles(by, task)
    before = fields_of(task)
    for name, value in last.before.items():
        if name in _KEPT:
            setattr(task, name, parse_datetime(value) if name in _TIMES and value else value)
    step(by, task, StepKind.UNDONE, data={"step": last.kind})
    finish_step(by, task, "take_back", before)
    return task


def accept_many(by: User, pks: Iterable[int]) -> int:
    """Accept those of some tasks that are the person's to accept; how many that were."""
    count = 0
    for task in _chosen(by, pks, [TaskState.SENT]):
        with contextlib.suppress(ValidationError, Task.DoesNotExist):  # somebody was faster, or took it away
            accept(by, task.pk, None)
            count += 1
    return count


def assign_many(by: User, pks: Iterable[int], assignee: User) -> int:
    """Hand those of some tasks that the person may hand on to somebody, all or none; how many that were."""
    with transaction.atomic():
        return sum(1 for task in _chosen(by, pks, OWED) if assign(by, task.pk, None, assignee))


def _chosen(by: User, pks: Iterable[int], states: Collection[str]) -> list[Task]:
    demand(by, "tasks.work")
    wanted = list(dict.fromkeys(pks))[:MOST_AT_ONCE]
    found = Task.objects.visible_to(by).filter(pk__in=wanted, state__in=states)
    return [task for task in found if handles(by, task)]


@contextlib.contextmanager
def _arriving(by: User, files: Iterable[UploadedFile]) -> Iterator[list[Received]]:
    """Files to hand in, hashed and written before the task is held: who waits for it does not wait for them."""
    demand(by, "tasks.work")
    uploads = list(files)
    if len(uploads) > MOST_FILES:
        raise ValidationError({"files": _("At most %(n)s files at once.") % {"n": MOST_FILES}})
    with received(uploads, most=MOST_BYTES) as arrived:
        yield arrived


def _hand_in(by: User, made: TaskStep, arrived: Iterable[Received]) -> None:
    """The last thing of a step, so that nothing of one that is refused stays on the disk."""
    for upload in arrived:
        TaskStepFile.objects.create(step=made, stored=keep(upload, by))


ASSIGNED = gettext_noop("A task of %(unit)s was handed to you: %(task)s")
FINISHED = gettext_noop("%(unit)s reports finished: %(task)s")
MORE_TIME = gettext_noop("%(unit)s asks for more time: %(task)s")
