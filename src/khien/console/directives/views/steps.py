"""Each step of a task: an address of its own, the form on the task's page or the button of its card."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from khien.console.accounts.access import needs
from khien.console.concurrency import Changed
from khien.console.directives import checking, forms, handling
from khien.console.directives.forms import StepForm
from khien.console.directives.models import Task
from khien.console.directives.selectors import shown
from khien.console.directives.views.work import board_context
from khien.console.frame.forms import take_errors


@dataclass(frozen=True, slots=True)
class Step:
    """A step as pages show it. `done`: what is said after it. `bare`: a button, no form."""

    label: Promise
    icon: str
    service: Callable[..., Task]
    form: type[StepForm]
    done: Promise
    primary: bool = False
    grave: bool = False

    @property
    def bare(self) -> bool:
        return self.form is forms.BareForm


STEPS = {
    "accept": Step(_("Accept"), "check", handling.accept, forms.BareForm, _("Accepted."), primary=True),
    "report": Step(
        _("Report progress"), "progress", handling.report, forms.ReportForm, _("Progress reported."), primary=True
    ),
    "finish": Step(
        _("Report finished"),
        "flag-check",
        handling.finish,
        forms.FinishForm,
        _("Reported finished; it waits for the check."),
    ),
    "assign": Step(_("Hand to a person"), "user-check", handling.assign, forms.AssignForm, _("Handed on.")),
    "more_time": Step(
        _("Ask for more time"),
        "calendar-plus",
        handling.ask_more_time,
        forms.MoreTimeForm,
        _("More time asked for."),
    ),
    "confirm": Step(_("Checked: done"), "circle-check", checking.confirm, forms.ConfirmForm, _("Done."), primary=True),
    "send_back": Step(_("Send back"), "arrow-back-up", checking.send_back, forms.SendBackForm, _("Sent back.")),
    "grant": Step(
        _("Grant more time"), "calendar-check", checking.grant, forms.GrantForm, _("More time granted."), primary=True
    ),
    "refuse": Step(_("Refuse more time"), "calendar-x", checking.refuse, forms.RefuseForm, _("More time refused.")),
    "due": Step(_("Change the due time"), "calendar-event", checking.change_due, forms.DueForm, _("Due time changed.")),
    "cancel": Step(_("Cancel the task"), "ban", checking.cancel, forms.CancelForm, _("Cancelled."), grave=True),
    "take_back": Step(_("Take the last step back"), "arrow-back", handling.take_back, forms.BareForm, _("Taken back.")),
}


def form_of(name: str, task: Task) -> StepForm:
    """The empty form of a step."""
    return STEPS[name].form(task=task)


@require_POST
@needs("tasks.work")
def task_step(request: HttpRequest, pk: int, action: str) -> HttpResponse:
    """Take a step. From "my work" the columns come back, with a way to undo it; else one returns to the task."""
    task = get_object_or_404(shown(Task.objects.visible_to(request.user)), pk=pk)
    step = STEPS[action]
    form = step.form(request.POST, request.FILES, task=task)
    status = 400
    if form.is_valid():
        try:
            made = step.service(request.user, task.pk, form.cleaned_data["version"], **form.values())
        except Changed as conflict:
            status = 409
            form.add_error(None, str(conflict.message))
        except ValidationError as error:
            take_errors(form, error)
        else:
            return _after(request, made, action, step)
    task = get_object_or_404(shown(Task.objects.visible_to(request.user)), pk=pk)
    if _from_work(request):
        errors = [str(error) for rows in form.errors.values() for error in rows]
        return _board(request, status, errors=errors)
    if status == 409:
        form.data = form.data.copy()
        form.data["version"] = task.version
    from khien.console.directives.views.tasks import detail_context

    return render(
        request, "directives/task_detail.html", detail_context(request, task, **{action: form}), status=status
    )


def _from_work(request: HttpRequest) -> bool:
    return bool(request.htmx) and request.POST.get("from") == "work"


def _after(request: HttpRequest, task: Task, action: str, step: Step) -> HttpResponse:
    if _from_work(request):
        undo = task if action == "accept" else None
        return _board(request, 200, toast=f"{step.done} {task.title}", undo=undo)
    messages.success(request, str(step.done))
    if not Task.objects.visible_to(request.user).filter(pk=task.pk).exists():
        return redirect("work")  # handed away by who saw it only as its person
    return redirect(reverse("tasks:detail", args=[task.pk]))


def _board(request: HttpRequest, status: int, **extra: Any) -> HttpResponse:
    context = board_context(request, request.POST.get("whose", ""), **extra)
    return render(request, "directives/work_board.html", context, status=status)
