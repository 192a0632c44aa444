"""Taking an incident through its states, and the reports that the law wants."""

from __future__ import annotations

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from khien.console.accounts.access import needs
from khien.console.concurrency import Changed
from khien.console.frame.forms import take_errors
from khien.console.incidents import clocks, services
from khien.console.incidents.forms import CloseForm, ReasonForm, SentForm
from khien.console.incidents.models import Clock, ClockState
from khien.console.incidents.views.reading import back, form_page, refuse, seen


@require_POST
@needs("incidents.work")
def set_status(request: HttpRequest, pk: int) -> HttpResponse:
    """Open, contained or resolved."""
    seen(request, pk)
    try:
        services.set_status(request.user, pk, _version(request), request.POST.get("status", ""))
    except Changed as changed:
        messages.error(request, str(changed.message))
    except ValidationError as error:
        refuse(request, error)
    return back(pk)


@require_http_methods(["GET", "POST"])
@needs("incidents.lead")
def close(request: HttpRequest, pk: int) -> HttpResponse:
    """Close with cause, effect and lessons."""
    incident = seen(request, pk)
    running = list(incident.clocks.filter(state=ClockState.OPEN))
    names = ("version", "cause", "effect", "lessons")
    form = CloseForm(request.POST or None, clocks=running, initial={name: getattr(incident, name) for name in names})
    conflict = ""
    if request.method == "POST" and form.is_valid():
        values = dict(form.cleaned_data)
        try:
            services.close_incident(request.user, pk, values.pop("version"), **values)
        except Changed as changed:
            conflict = str(changed.message)
            form.data = {**form.data.dict(), "version": changed.current.version}
        except ValidationError as error:
            take_errors(form, error)
        else:
            messages.success(request, _("Incident %(number)s is closed.") % {"number": incident.number})
            return back(pk)
    context = {"title": _("Close incident"), "submit": _("Close incident"), "conflict": conflict, "running": running}
    return form_page(request, incident, form, **context)


@require_http_methods(["GET", "POST"])
@needs("incidents.lead")
def reopen(request: HttpRequest, pk: int) -> HttpResponse:
    """Open a closed incident again."""
    incident = seen(request, pk)
    form = ReasonForm(request.POST or None, initial={"version": incident.version})
    conflict = ""
    if request.method == "POST" and form.is_valid():
        try:
            services.reopen_incident(request.user, pk, form.cleaned_data["version"], reason=form.cleaned_data["reason"])
        except Changed as changed:
            conflict = str(changed.message)
            form.data = {**form.data.dict(), "version": changed.current.version}
        except ValidationError as error:
            take_errors(form, error)
        else:
            return back(pk)
    return form_page(request, incident, form, title=_("Reopen incident"), submit=_("Reopen"), conflict=conflict)


@require_http_methods(["GET", "POST"])
@needs("incidents.work")
def sent(request: HttpRequest, pk: int) -> HttpResponse:
    """A report was sent, or its confirmation came."""
    clock = get_object_or_404(Clock.objects.visible_to(request.user), pk=pk)
    incident = seen(request, clock.incident_id)
    form = SentForm(
        request.POST or None,
        initial={
            "version": clock.version,
            "sent_at": clock.sent_at or timezone.now(),
            "document_number": clock.document_number,
            "recipient": clock.recipient or clock.expected_recipient,
            "confirmation": clock.confirmation,
        },
    )
    conflict, current = "", []
    if request.method == "POST" and form.is_valid():
        values = dict(form.cleaned_data)
        try:
            clocks.mark_sent(request.user, pk, values.pop("version"), **values)
        except Changed as changed:
            row = changed.current
            conflict, current = (
                str(changed.message),
                [
                    (_("State"), row.get_state_display()),
                    (_("Document number"), row.document_number),
                    (_("Confirmation"), row.confirmation),
                ],
            )
            form.data = {**form.data.dict(), "version": row.version}
        except ValidationError as error:
            take_errors(form, error)
        else:
            return back(clock.incident_id, "clocks")
    context = {"title": _("Report sent: %(duty)s") % {"duty": clock.label}, "submit": _("Save"), "clock": clock}
    return form_page(request, incident, form, conflict=conflict, current=current, **context)


@require_http_methods(["GET", "POST"])
@needs("incidents.lead")
def waive(request: HttpRequest, pk: int) -> HttpResponse:
    """A report is not sent, with the reason."""
    clock = get_object_or_404(Clock.objects.visible_to(request.user), pk=pk)
    incident = seen(request, clock.incident_id)
    form = ReasonForm(request.POST or None, initial={"version": clock.version})
    conflict = ""
    if request.method == "POST" and form.is_valid():
        try:
            clocks.waive(request.user, pk, form.cleaned_data["version"], reason=form.cleaned_data["reason"])
        except Changed as changed:
            conflict = str(changed.message)
            form.data = {**form.data.dict(), "version": changed.current.version}
        except ValidationError as error:
            take_errors(form, error)
        else:
            return back(clock.incident_id, "clocks")
    context = {"title": _("Report not sent: %(duty)s") % {"duty": clock.label}, "submit": _("Save"), "clock": clock}
    return form_page(request, incident, form, conflict=conflict, **context)


def _version(request: HttpRequest) -> int:
    """The version the form carried; -1, which no row has, for none."""
    value = request.POST.get("version", "")
    return int(value) if value.isascii() and value.isdigit() and len(value) < 10 else -1
