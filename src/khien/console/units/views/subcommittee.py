"""The subcommittee: who sits on it, who sat on it, and keeping the list."""

from __future__ import annotations

from datetime import date
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.dateparse import parse_date
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET, require_http_methods

from khien.console.accounts.access import needs
from khien.console.concurrency import Changed
from khien.console.frame.forms import take_errors
from khien.console.spreadsheets.exports import export_response
from khien.console.units import subcommittee as service
from khien.console.units.forms import EndForm, TermForm, term_of
from khien.console.units.models import Appointment, Seat

COLUMNS = (
    (gettext_lazy("Seat"), "get_seat_display"),
    (gettext_lazy("Name"), "person"),
    (gettext_lazy("Position"), "position"),
    (gettext_lazy("Unit"), "unit.name"),
    (gettext_lazy("Decision number"), "decision_number"),
    (gettext_lazy("Decision date"), "decision_date"),
    (gettext_lazy("Term from"), "starts_on"),
    (gettext_lazy("Term until"), "ends_on"),
    (gettext_lazy("Reason for the end"), "end_reason"),
)


def _day(request: HttpRequest) -> date:
    try:
        return parse_date(request.GET.get("on", "")) or timezone.localdate()
    except ValueError:
        return timezone.localdate()


@require_GET
@needs("units.view")
def subcommittee(request: HttpRequest) -> HttpResponse:
    """Who holds which seat on a day, `?on=2026-03-01`; `?history=1` lists all terms."""
    day, whole = _day(request), request.GET.get("history") == "1"
    if request.GET.get("export"):
        rows = service.history() if whole else service.sitting_on(day)
        return export_response(request, "subcommittee", _("Subcommittee"), COLUMNS, rows)
    sitting = service.sitting_on(day)
    context = {
        "day": day,
        "today": timezone.localdate(),
        "whole": whole,
        "rows": service.history()[:500] if whole else [],
        "seats": [(seat, [row for row in sitting if row.seat == seat]) for seat in Seat],
        "anybody": bool(sitting),
        "may_appoint": service.may_appoint(request.user),
    }
    return render(request, "units/subcommittee.html", context)


def _may(request: HttpRequest) -> None:
    if not service.may_appoint(request.user):
        raise PermissionDenied


@require_http_methods(["GET", "POST"])
@needs("units.manage")
def appoint(request: HttpRequest) -> HttpResponse:
    """Give somebody a seat; `?seat=` says which."""
    _may(request)
    seat = request.GET.get("seat", "")
    form = TermForm(request.user, request.POST or None, initial={"seat": seat if seat in Seat.values else Seat.MEMBER})
    if request.method == "POST" and form.is_valid():
        fields = _fields(form)
        try:
            row = service.appoint(request.user, **fields)
        except ValidationError as error:
            take_errors(form, error)
        else:
            messages.success(request, _("%(person)s is appointed.") % {"person": row.person})
            return redirect("units:subcommittee")
    return _form(request, form, _("Appoint"))


@require_http_methods(["GET", "POST"])
@needs("units.manage")
def replace(request: HttpRequest, pk: int) -> HttpResponse:
    """Somebody else takes a seat."""
    _may(request)
    old = get_object_or_404(Appointment, pk=pk)
    initial = {"version": old.version, "unit": old.unit_id, "ends_on": old.ends_on}
    form = TermForm(request.user, request.POST or None, initial=initial, seat=False)
    title = _("Replace %(person)s") % {"person": old.person}
    if request.method == "POST" and form.is_valid():
        version = form.cleaned_data["version"]
        try:
            row = service.replace(request.user, pk, version, **_fields(form))
        except Changed as changed:
            return _conflict(request, form, changed, title)
        except ValidationError as error:
            take_errors(form, error)
        else:
            messages.success(request, _("%(person)s is appointed.") % {"person": row.person})
            return redirect("units:subcommittee")
    return _form(request, form, title)


@require_http_methods(["GET", "POST"])
@needs("units.manage")
def correct(request: HttpRequest, pk: int) -> HttpResponse:
    """Mend what was written wrongly of an appointment."""
    _may(request)
    row = get_object_or_404(Appointment, pk=pk)
    form = TermForm(request.user, request.POST or None, initial=term_of(row))
    title = _("Correct the appointment of %(person)s") % {"person": row.person}
    if request.method == "POST" and form.is_valid():
        try:
            service.correct(request.user, pk, form.cleaned_data["version"], **_fields(form))
        except Changed as changed:
            return _conflict(request, form, changed, title)
        except ValidationError as error:
            take_errors(form, error)
        else:
            messages.success(request, _("Saved."))
            return redirect("units:subcommittee")
    return _form(request, form, title)


@require_http_methods(["GET", "POST"])
@needs("units.manage")
def end(request: HttpRequest, pk: int) -> HttpResponse:
    """End a term."""
    _may(request)
    row = get_object_or_404(Appointment, pk=pk)
    form = EndForm(
        request.POST or None, initial={"version": row.version, "ends_on": row.ends_on or timezone.localdate()}
    )
    title = _("End the term of %(person)s") % {"person": row.person}
    if request.method == "POST" and form.is_valid():
        given = form.cleaned_data
        try:
            service.end(request.user, pk, given["version"], given["ends_on"], given["reason"])
        except Changed as changed:
            return _conflict(request, form, changed, title)
        except ValidationError as error:
            take_errors(form, error)
        else:
            messages.success(request, _("The term ends on %(day)s.") % {"day": date_format(given["ends_on"])})
            return redirect("units:subcommittee")
    return _form(request, form, title)


def _fields(form: TermForm) -> dict[str, Any]:
    return {name: value for name, value in form.cleaned_data.items() if name in service.FIELDS}


def _form(request: HttpRequest, form: Any, title: str) -> HttpResponse:
    context = {"form": form, "title": title}
    return render(request, "units/term_form.html", context, status=400 if form.errors else 200)


def _conflict(request: HttpRequest, form: Any, changed: Changed, title: str) -> HttpResponse:
    row = Appointment.objects.select_related("unit", "user").get(pk=changed.current.pk)
    form.data = form.data.copy()
    form.data["version"] = str(row.version)
    state = [
        (_("Seat"), row.get_seat_display()),
        (_("Name"), row.person),
        (_("Position"), row.position),
        (_("Unit"), str(row.unit or "")),
        (_("Decision number"), row.decision_number),
        (_("Term from"), date_format(row.starts_on)),
        (_("Term until"), date_format(row.ends_on) if row.ends_on else ""),
        (_("Reason for the end"), row.end_reason),
    ]
    context = {"form": form, "title": title, "conflict": changed.message, "current": state}
    return render(request, "units/term_form.html", context, status=409)
