"""Giving tasks to units, whatever they come from, and writing down each step."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from khien.console.accounts.access import demand
from khien.console.accounts.models import User
from khien.console.audit.services import hold_trail, record
from khien.console.concurrency import locked
from khien.console.directives.models import Directive, StepKind, Task, TaskStep
from khien.console.directives.rights import people_of, who_see
from khien.console.incidents.models import Incident, Tlp
from khien.console.notifications.services import notify
from khien.console.units.models import Unit


def create_task(
    by: User,
    *,
    unit: Unit,
    title: str,
    due_at: datetime,
    text: str = "",
    incident: Incident | None = None,
    directive: Directive | None = None,
    assignee: User | None = None,
) -> Task:
    """Give a unit a task, and tell its people. The unit is one that `by` sees, or that the incident affects.

    Needs `incidents.work` for a task of an incident, `directives.issue` of a directive, `tasks.check` otherwise.
    Raises ValidationError.
    """
    demand(by, "incidents.work" if incident else "directives.issue" if directive else "tasks.check")
    if not title.strip():
        raise ValidationError({"title": _("A task needs a title.")})
    with transaction.atomic():
        hold_trail()  # the unit stays active, and the person in it
        if incident is not None:
            incident = _working(by, incident)
        _demand_unit(by, unit, incident)
        if assignee is not None:
            demand_assignable(assignee, unit)
        task = Task.objects.create(
            title=title.strip()[:300],
            text=text,
            unit=unit,
            due_at=due_at,
            incident=incident,
            directive=directive,
            assignee=assignee,
            created_by=by,
        )
        step(by, task, StepKind.CREATED, data={"due_at": due_at.isoformat()})
        record(by, "task.create", task, after=fields_of(task))
        tell(task, [assignee] if assignee else people_of(unit), "task.new", NEW, besides=by)
    return task


NEW = gettext_noop("New task for %(unit)s: %(task)s")


def _working(by: User, incident: Incident) -> Incident:
    """The incident as `by` sees it, held: it is not closed or merged while it gets a task."""
    from khien.console.incidents.timeline import working

    return working(locked(Incident, incident.pk, None, by=by))


def _demand_unit(by: User, unit: Unit, incident: Incident | None) -> None:
    if not Unit.objects.filter(pk=unit.pk, is_active=True).exists():
        raise ValidationError({"unit": _("This unit is no longer active.")})
    if Unit.objects.visible_to(by).filter(pk=unit.pk).exists():
        return
    if incident and (unit.pk == incident.unit_id or incident.units.filter(pk=unit.pk).exists()):
        return
    raise ValidationError({"unit": _("Choose a unit that you see.")})


def demand_assignable(person: User, unit: Unit) -> None:
    """Raises ValidationError for a person who is not of the unit or one below, or may not work on tasks."""
    now = User.objects.filter(pk=person.pk, unit__path__startswith=unit.path).first()
    if now is None or not now.may("tasks.work"):
        raise ValidationError({"assignee": _("A task goes to a person of its unit or of one below.")})


def move_tasks(by: User, source: Incident, target: Incident) -> None:
    """Give all tasks of an incident to the one it is merged into, in that transaction. Needs `incidents.lead`."""
    demand(by, "incidents.lead")
    for task in Task.objects.filter(incident=source).order_by("pk"):
        task.incident = target
        task.version += 1
        task.save()
        step(by, task, StepKind.MOVED, data={"was": source.pk, "now": target.pk})
        record(by, "task.move", task, before={"incident": source.number}, after={"incident": target.number})


def step(
    by: User | None,
    task: Task,
    kind: StepKind,
    text: str = "",
    *,
    data: Mapping[str, Any] | None = None,
    before: Mapping[str, Any] | None = None,
) -> TaskStep:
    """Write a step into the task's history. `before`: fields by which the step can be taken back."""
    return TaskStep.objects.create(
        task=task, kind=kind, by=by, text=text.strip(), data=dict(data or {}), before=dict(before or {})
    )


def fields_of(task: Task) -> dict[str, Any]:
    """What the audit trail keeps of a task."""
    return {
        "title": task.title,
        "unit": task.unit_id,
        "assignee": task.assignee_id,
        "state": str(task.state),
        "progress": task.progress,
        "due_at": task.due_at,
        "wanted_due_at": task.wanted_due_at,
    }


def tell(
    task: Task, people: Iterable[User], kind: str, text: str, *, besides: User | None = None, **extra: str
) -> None:
    """Tell people about a task they see, save the one who did it.

    Notices of the overdue are urgent; mails do not carry the title of a task whose incident is kept to those named.
    """
    notify(
        who_see(task, [person for person in people if person != besides]),
        kind,
        text,
        {"unit": str(task.unit), "task": task.title, **extra},
        url=reverse("tasks:detail", args=[task.pk]),
        urgent=kind.startswith("task.overdue"),
        sensitive=("task",) if task.incident and task.incident.tlp in (Tlp.RED, Tlp.AMBER_STRICT) else (),
    )


def write_timeline(by: User, task: Task, text: str) -> None:
    """Tell of a step in the timeline of the task's incident, if it has one."""
    if task.incident is not None:
        from khien.console.incidents.timeline import add_entry

        params = {"unit": str(task.unit), "task": task.title}
        add_entry(by, task.incident, "task", text, data={"params": params, "task": task.pk})
