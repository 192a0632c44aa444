"""The list of tasks, the page of one, its files, giving one, and many at once."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Any

from django.contrib import messages
from django.core.exceptions import ObjectDoesNotExist, ValidationError
from django.core.paginator import Paginator
from django.db.models import Prefetch
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _
from django.utils.translation import ngettext, pgettext
from django.views.decorators.http import require_POST, require_safe

from khien.console.accounts.access import demand, needs
from khien.console.accounts.models import User
from khien.console.directives import handling
from khien.console.directives.filters import STATES, TaskFilter
from khien.console.directives.forms import TaskForm
from khien.console.directives.handling import returnable
from khien.console.directives.models import Session, StepKind, Task, TaskStep, TaskStepFile
from khien.console.directives.rights import checks, handled
from khien.console.directives.selectors import counts, people_below, shown
from khien.console.directives.step_files import step_file
from khien.console.directives.steps import actions
from khien.console.directives.tasks import create_task
from khien.console.directives.templatetags.directives import word
from khien.console.directives.views.steps import STEPS, form_of
from khien.console.files.services import download
from khien.console.frame.given import whole
from khien.console.frame.views import back_to
from khien.console.incidents.models import Incident
from khien.console.incidents.playbook_tasks import add_task
from khien.console.spreadsheets.exports import export_response
from khien.console.units.models import Unit
from khien.console.units.scoping import scope_ids

A_PAGE = 50


@require_safe
@needs("tasks.work")
def task_list(request: HttpRequest) -> HttpResponse:
    """Tasks one sees, filtered; as a file with `export`."""
    chosen = TaskFilter.read(request.GET)
    seen = Task.objects.visible_to(request.user)
    tasks = chosen.of(shown(seen), request.user)
    if "export" in request.GET:
        return export_response(request, "tasks", _("Tasks"), columns(), tasks)
    page = Paginator(tasks, A_PAGE).get_page(request.GET.get("page"))
    context = {
        "page": page,
        "filter": chosen,
        "counts": counts(seen),
        "states": [(state, _("Still open") if state == "open" else word(state)) for state in STATES],
        "units": Unit.objects.visible_to(request.user),
        "people": assignable_by(request.user),
        "session": Session.objects.visible_to(request.user).filter(pk=chosen.session).first()
        if chosen.session
        else None,
        "can_give": request.user.may("tasks.check"),
        "mine": set(seen.filter(handled(request.user), pk__in=[task.pk for task in page]).values_list("pk", flat=True)),
    }
    return render(request, "directives/task_list.html", context)


def columns() -> list[tuple[Any, Any]]:
    """The columns of the list as a file."""
    return [
        (_("Task"), "title"),
        (_("What to do"), "text"),
        (_("Unit"), "unit.name"),
        (_("Unit code"), "unit.code"),
        (pgettext("task", "Person"), "assignee.name"),
        (_("Origin"), origin_of),
        (_("State"), "get_state_display"),
        (_("Overdue"), "overdue"),
        (_("Progress, %"), "progress"),
        (_("Due"), "due_at"),
        (_("Finished"), "finished_at"),
        (_("Given"), "created_at"),
    ]


def origin_of(task: Task) -> str:
    """What a task comes from, as a word."""
    if task.directive:
        return _("Directive %(number)s") % {"number": task.directive.label}
    return _("Incident %(number)s") % {"number": task.incident.number} if task.incident else _("Given directly")


def assignable_by(user: User) -> list[User]:
    """Whom a person can hand tasks to: people of their unit; of those below too, save for units that see all."""
    people = people_below(user.unit.path)
    return list((people.filter(unit=user.unit_id) if scope_ids(user) is None else people)[:300])


@require_safe
@needs("tasks.work")
def task_detail(request: HttpRequest, pk: int) -> HttpResponse:
    """One task with its history and what can be done with it."""
    task = get_object_or_404(shown(Task.objects.visible_to(request.user)), pk=pk)
    return render(request, "directives/task_detail.html", detail_context(request, task))


def detail_context(request: HttpRequest, task: Task, **bound: Any) -> dict[str, Any]:
    """What the page of a task shows. `bound`: by the step's name a form that was sent and has errors."""
    files = Prefetch("files", TaskStepFile.objects.select_related("stored"))
    history = list(TaskStep.objects.filter(task=task).select_related("by", "by__unit").prefetch_related(files))
    for step in history:
        step.when = [_moment(step.data.get(name)) for name in ("from", _TO.get(step.kind, "to"))]
    possible = actions(request.user, task)
    # A form that came back stays on the page though its step may no longer be possible: nothing written is lost.
    names = [*possible, *(name for name in bound if name not in possible)]
    wanted = next((step for step in reversed(history) if step.kind == StepKind.MORE_TIME), None)
    return {
        "task": task,
        "history": history[::-1],
        "steps": [
            {"name": name, "step": STEPS[name], "form": bound.get(name) or form_of(name, task), "open": name in bound}
            for name in names
        ],
        "returnable": returnable(request.user, task, history[-1] if history else None),
        "checks": checks(request.user, task),
        "wanted": wanted if task.wanted_due_at else None,
        "incident_seen": task.incident_id is not None
        and Incident.objects.visible_to(request.user).filter(pk=task.incident_id).exists(),
    }


_TO = {StepKind.CREATED: "due_at", StepKind.MORE_TIME: "until", StepKind.REFUSED: "until"}


def _moment(text: str | None) -> datetime | None:
    return parse_datetime(text) if text else None


@require_safe
@needs("tasks.work")
def task_file(request: HttpRequest, pk: int, file: int) -> HttpResponse:
    """A file handed in with a task, for those who see the task."""
    try:
        return download(step_file(request.user, pk, file))
    except ObjectDoesNotExist as error:
        raise Http404 from error


@needs("tasks.work")
def task_new(request: HttpRequest) -> HttpResponse:
    """Give a unit a task: of an incident with `?incident=`, else of no origin."""
    incident = None
    if (pk := whole(request.GET.get("incident"))) is not None:
        incident = get_object_or_404(Incident.objects.visible_to(request.user), pk=pk)
    demand(request.user, "incidents.work" if incident else "tasks.check")
    units = Unit.objects.visible_to(request.user).filter(is_active=True)
    if incident:
        affected = Unit.objects.filter(
            is_active=True, pk__in=[incident.unit_id, *incident.units.values_list("pk", flat=True)]
        )
        units = (units | affected).distinct()
    form = TaskForm(request.POST or None, units=units)
    if request.method == "POST" and form.is_valid():
        try:
            give = partial(add_task, request.user, incident.pk) if incident else partial(create_task, request.user)
            task = give(**form.cleaned_data)
        except ValidationError as error:
            form.add_error(None, error.messages)
        else:
            messages.success(request, _("%(unit)s has the task.") % {"unit": task.unit})
            if Task.objects.visible_to(request.user).filter(pk=task.pk).exists():
                return redirect("tasks:detail", task.pk)
            return redirect("incidents:detail", incident.pk) if incident else redirect("tasks:list")
    return render(request, "directives/task_new.html", {"form": form, "incident": incident})


@require_POST
@needs("tasks.work")
def task_bulk(request: HttpRequest) -> HttpResponse:
    """Accept the ticked tasks, or hand them to a person."""
    pks = [pk for each in request.POST.getlist("task") if (pk := whole(each)) is not None]
    try:
        if request.POST.get("do") == "assign":
            who = whole(request.POST.get("assignee")) or 0
            person = get_object_or_404(people_below(request.user.unit.path), pk=who)
            n = handling.assign_many(request.user, pks, person)
            text = ngettext("%(n)s task handed to %(name)s.", "%(n)s tasks handed to %(name)s.", n)
            messages.success(request, text % {"n": n, "name": person.name})
        else:
            n = handling.accept_many(request.user, pks)
            messages.success(request, ngettext("%(n)s task accepted.", "%(n)s tasks accepted.", n) % {"n": n})
    except ValidationError as error:
        for text in error.messages:
            messages.error(request, text)
    return back_to(request, reverse("tasks:list"))
