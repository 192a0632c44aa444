"""Giving tasks, by playbook or singly."""

from __future__ import annotations

from datetime import timedelta

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods

from khien.console.accounts.access import needs
from khien.console.directives.selectors import tasks_of_incident
from khien.console.frame.forms import take_errors
from khien.console.incidents import playbook_tasks
from khien.console.incidents.forms import TaskForm
from khien.console.incidents.views.reading import back, form_page, refuse, seen
from khien.console.units.models import UnitKind


@require_http_methods(["GET", "POST"])
@needs("incidents.work")
def playbooks(request: HttpRequest, pk: int) -> HttpResponse:
    """The playbooks with their tasks; those ticked are given."""
    incident, user, now = seen(request, pk), request.user, timezone.now()
    status = 200
    if request.method == "POST":
        try:
            made = playbook_tasks.apply_playbook(
                user, pk, request.POST.get("playbook", ""), request.POST.getlist("tasks")
            )
        except ValidationError as error:
            refuse(request, error)
            status = 400
        else:
            text = ngettext("%(n)s task given.", "%(n)s tasks given.", len(made))
            messages.success(request, text % {"n": len(made)})
            return back(pk, "tasks")
    given = set(tasks_of_incident(user, incident).values_list("title", flat=True))
    receivers = _receivers()
    books = [
        {
            "book": book,
            "own": not book.classes or incident.working_class in book.classes,
            "tasks": [
                {
                    "task": task,
                    "given": bool({task.vi, task.en} & given),
                    "due_at": now + timedelta(hours=task.due_hours),
                    "to": receivers.get(task.to, task.to),
                }
                for task in book.tasks
            ],
        }
        for book in playbook_tasks.offered(incident, now)
    ]
    return render(request, "incidents/playbooks.html", {"incident": incident, "books": books}, status=status)


def _receivers() -> dict[str, str]:
    """To whom the tasks of templates go, by what the catalogue calls them."""
    kinds = {f"kind:{kind.code}": str(kind) for kind in UnitKind.objects.all()}
    return {"leading": _("Leading unit"), "affected": _("Each affected unit"), **kinds}


@require_http_methods(["GET", "POST"])
@needs("incidents.work")
def new_task(request: HttpRequest, pk: int) -> HttpResponse:
    """One task that stands in no playbook."""
    incident = seen(request, pk)
    initial = {"unit": incident.unit_id, "due_at": timezone.now() + timedelta(days=1)}
    form = TaskForm(request.user, incident, request.POST or None, initial=initial)
    if request.method == "POST" and form.is_valid():
        try:
            playbook_tasks.add_task(request.user, pk, **form.cleaned_data)
        except ValidationError as error:
            take_errors(form, error)
        else:
            return back(pk, "tasks")
    return form_page(request, incident, form, title=_("New task"), submit=_("Give task"))
