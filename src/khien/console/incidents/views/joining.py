"""Merging, splitting and relating incidents."""

from __future__ import annotations

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from khien.console.accounts.access import needs
from khien.console.concurrency import Changed
from khien.console.frame.forms import take_errors
from khien.console.incidents import merging, selectors
from khien.console.incidents.joining_forms import MergeForm, RelateForm
from khien.console.incidents.models import MAILS, WORKING, WRITTEN, Incident, IncidentEntry
from khien.console.incidents.views.reading import back, form_page, refuse, seen

SUGGESTED = 50


def _numbers(request: HttpRequest, incident: Incident) -> list[Incident]:
    """Incidents to suggest: those being worked on that the person sees, the latest first."""
    rows = Incident.objects.visible_to(request.user).filter(status__in=WORKING).exclude(pk=incident.pk)
    return list(rows[:SUGGESTED])


@require_http_methods(["GET", "POST"])
@needs("incidents.lead")
def merge(request: HttpRequest, pk: int) -> HttpResponse:
    """Merge this incident into another."""
    incident = seen(request, pk)
    form = MergeForm(request.user, incident, request.POST or None, initial={"version": incident.version})
    conflict = ""
    if request.method == "POST" and form.is_valid():
        target = form.cleaned_data["target"]
        try:
            merging.merge(request.user, pk, form.cleaned_data["version"], target.pk)
        except Changed as changed:
            conflict = str(changed.message)
            form.data = {**form.data.dict(), "version": changed.current.version}
        except ValidationError as error:
            take_errors(form, error)
        else:
            words = {"number": incident.number, "target": target.number}
            messages.success(request, _("%(number)s is now part of %(target)s.") % words)
            return redirect("incidents:detail", target.pk)
    context = {
        "title": _("Merge incident"),
        "submit": _("Merge"),
        "conflict": conflict,
        "numbers": _numbers(request, incident),
        "explained": _(
            "Alerts, entries, tasks, evidence and indicators move to the other incident. "
            "This one keeps its number and points there. It cannot be undone."
        ),
    }
    return form_page(request, incident, form, **context)


@require_http_methods(["GET", "POST"])
@needs("incidents.lead")
def split(request: HttpRequest, pk: int) -> HttpResponse:
    """Choose what goes into an incident of its own."""
    incident, user = seen(request, pk), request.user
    chosen = {name: _ids(request, name) for name in ("alerts", "entries", "indicators")}
    title = request.POST.get("title", "").strip()
    conflict, problems, version = "", [], incident.version
    if request.method == "POST":
        try:
            new = merging.split(user, pk, next(iter(_ids(request, "version")), -1), title=title, **chosen)
        except Changed as changed:
            conflict, version = str(changed.message), changed.current.version
        except ValidationError as error:
            problems = error.messages
        else:
            messages.success(request, _("Incident %(number)s is open.") % {"number": new.number})
            return back(new.pk)
    entries = IncidentEntry.objects.visible_to(user).filter(incident=incident, kind__in=[*WRITTEN, *MAILS])
    context = {
        "incident": incident,
        "alerts": selectors.alerts_of(user, incident)[:500],
        "entries": entries.select_related("by"),
        "indicators": incident.indicators.all(),
        "chosen": chosen,
        "title": title,
        "version": version,
        "conflict": conflict,
        "problems": problems,
    }
    return render(request, "incidents/split.html", context, status=409 if conflict else 400 if problems else 200)


@require_POST
@needs("incidents.work")
def relate(request: HttpRequest, pk: int) -> HttpResponse:
    """Say that this incident has to do with another."""
    incident = seen(request, pk)
    form = RelateForm(request.user, incident, request.POST)
    if not form.is_valid():
        return form_page(
            request,
            incident,
            form,
            title=_("Related incident"),
            submit=_("Relate"),
            numbers=_numbers(request, incident),
        )
    try:
        merging.relate(request.user, pk, form.cleaned_data["other"].pk)
    except ValidationError as error:
        refuse(request, error)
    return back(pk)


@require_POST
@needs("incidents.work")
def unrelate(request: HttpRequest, pk: int, other: int) -> HttpResponse:
    """Take a relation away."""
    seen(request, pk)
    found = get_object_or_404(Incident.objects.visible_to(request.user), pk=other)
    merging.relate(request.user, pk, found.pk, related=False)
    return back(pk)


def _ids(request: HttpRequest, name: str) -> list[int]:
    values = request.POST.getlist(name)
    return [int(each) for each in values if each.isascii() and each.isdigit() and len(each) < 19]
