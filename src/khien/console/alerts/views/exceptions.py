"""Exceptions from rules: the list, one, prolonging and ending."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import pgettext
from django.views.decorators.http import require_GET, require_POST

from khien.console.accounts.access import needs
from khien.console.alerts import exceptions
from khien.console.alerts.exception_forms import ProlongForm, day_end
from khien.console.alerts.models import Alert, RuleException
from khien.console.alerts.rule_index import rule_index
from khien.console.concurrency import Changed
from khien.console.frame.given import whole
from khien.console.spreadsheets.exports import export_response

STATES = ("active", "soon", "ended", "all")


@require_GET
@needs("alerts.view")
def listing(request: HttpRequest) -> HttpResponse:
    """All exceptions the person sees; those in force unless asked otherwise."""
    state = request.GET.get("state", "active")
    state = state if state in STATES else "active"
    words = request.GET.get("q", "")[:200]
    rows = exceptions.matching(request.user, "" if state == "all" else state, words)
    if request.GET.get("export"):
        return export_response(request, "exceptions", _("Exceptions from rules"), _columns(), rows)
    page = Paginator(rows, 50).get_page(request.GET.get("page"))
    for each in page:
        each.state = state_of(each)
    shown = {
        "page": page,
        "state": state,
        "words": words,
        "states": _states(),
        "may": exceptions.may_except(request.user),
    }
    return render(request, "alerts/exceptions.html", shown)


def _states() -> list[tuple[str, str]]:
    return [
        ("active", _("In force")),
        ("soon", _("Expiring within a week")),
        ("ended", pgettext("exception", "Ended")),
        ("all", _("All")),
    ]


def _columns() -> list[tuple[str, Any]]:
    return [
        (_("Title"), "title"),
        (_("Rule"), "rule_id"),
        (_("State"), lambda each: state_of(each)[1]),
        (pgettext("alert", "Owner"), lambda each: str(each.owner)),
        (_("Made"), "created_at"),
        (_("Expires"), "expires_at"),
        (_("Ended"), "ended_at"),
        (_("Reason"), "reason"),
    ]


def state_of(found: RuleException) -> tuple[str, str]:
    """The class and the word for the state of an exception."""
    now = timezone.now()
    if found.ended_at is not None and found.ended_by_id is not None:
        return "", pgettext("exception", "Ended")
    if found.ended_at is not None or found.expires_at <= now:
        return "", _("Expired")
    if found.expires_at <= now + exceptions.REMIND_BEFORE:
        return "state-overdue", _("Expires soon")
    return "state-active", _("In force")


@require_GET
@needs("alerts.view")
def one(request: HttpRequest, pk: int) -> HttpResponse:
    """An exception: what it silences, why, until when."""
    return _show(request, _exception_or_404(request, pk))


def _exception_or_404(request: HttpRequest, pk: int) -> RuleException:
    rows = RuleException.objects.visible_to(request.user).select_related("owner", "ended_by", "alert")
    found = rows.filter(pk=pk).first()
    if found is None:
        raise Http404
    return found


def _show(
    request: HttpRequest, found: RuleException, form: ProlongForm | None = None, conflict: str = "", status: int = 200
) -> HttpResponse:
    known = rule_index().find(found.rule_id)
    in_force = found.ended_at is None and found.expires_at > timezone.now()
    alert = Alert.objects.visible_to(request.user).filter(pk=found.alert_id).first() if found.alert_id else None
    first = {"version": found.version, "expires_on": timezone.localtime(found.expires_at).date()}
    shown = {
        "exception": found,
        "state": state_of(found),
        "rule": known.rule if known else None,
        "alert": alert,
        "in_force": in_force,
        "written": not in_force or exceptions.is_written(found),
        "folder": str(exceptions.folder()),
        "form": form or ProlongForm(initial={**first, "reason": found.reason}),
        "may": exceptions.may_except(request.user),
        "conflict": conflict,
    }
    return render(request, "alerts/exception.html", shown, status=status)


@require_POST
@needs("alerts.except")
def prolong(request: HttpRequest, pk: int) -> HttpResponse:
    """Let it expire on another day."""
    exceptions.demand_exceptions(request.user)
    found = _exception_or_404(request, pk)
    form = ProlongForm(request.POST)
    if not form.is_valid():
        return _show(request, found, form, status=422)
    values = form.cleaned_data
    try:
        exceptions.prolong_exception(
            request.user, pk, values["version"], day_end(values["expires_on"]), values["reason"]
        )
    except Changed as error:
        current = _exception_or_404(request, pk)
        data = {**request.POST.dict(), "version": current.version}
        return _show(request, current, ProlongForm(data), str(error), status=409)
    except ValidationError as error:
        form.add_error(None, error)
        return _show(request, found, form, status=422)
    messages.success(request, _("The exception expires on another day now."))
    return redirect("alerts:exception", pk)


@require_POST
@needs("alerts.except")
def end(request: HttpRequest, pk: int) -> HttpResponse:
    """End it now."""
    exceptions.demand_exceptions(request.user)
    _exception_or_404(request, pk)
    version = request.POST.get("version", "")
    try:
        exceptions.end_exception(request.user, pk, whole(version) or 0)
    except Changed as error:
        return _show(request, _exception_or_404(request, pk), conflict=str(error), status=409)
    messages.success(request, _("The exception has ended; the rule fires again within a minute."))
    return redirect("alerts:exception", pk)
