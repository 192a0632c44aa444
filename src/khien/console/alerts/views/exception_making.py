"""A new exception from a rule: drafted from an alert, previewed, made."""

from __future__ import annotations

from functools import wraps
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBadRequest
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from khien.console.accounts.access import View, needs
from khien.console.alerts import exceptions
from khien.console.alerts.detail import samples
from khien.console.alerts.exception_drafts import Choice, Unusable, check, choices, draft
from khien.console.alerts.exception_forms import ExceptionForm, day_end
from khien.console.alerts.exception_making import make_previewed
from khien.console.alerts.exception_preview import is_silenced, preview_alerts, preview_lake
from khien.console.alerts.models import Alert
from khien.console.alerts.neighbours import Unreadable
from khien.console.alerts.rule_index import KnownRule, rule_index
from khien.console.alerts.views.detail import alert_or_404
from khien.rules.filters import Filter


def _about_an_alert(view: View) -> View:
    """A view of those who make exceptions, which is told of which alert; without one there is nothing to do."""

    @wraps(view)
    def told(request: HttpRequest) -> HttpResponse:
        exceptions.demand_exceptions(request.user)
        given = request.POST.get("alert") or request.GET.get("alert") or ""
        if given:
            return view(request)
        if request.method == "GET":
            messages.info(request, _("An exception is made from an alert: open one first."))
            return redirect("alerts:queue")
        return HttpResponseBadRequest(_("An exception is made from an alert: open one first."))

    return told


def _subject(request: HttpRequest) -> tuple[Alert, dict[str, Any], KnownRule | None]:
    """The alert that an exception is made from, the finding chosen, and the rule. Raises Http404."""
    given = request.POST.get("alert") or request.GET.get("alert") or ""
    if not given.isdecimal() or len(given) > 18:
        raise Http404
    alert = alert_or_404(request, int(given))
    found = samples(alert)
    wanted = request.POST.get("finding") or request.GET.get("finding") or ""
    chosen = next((each for each in found if str(each.position) == wanted), found[0] if found else None)
    record = chosen.record if chosen is not None and isinstance(chosen.record, dict) else {}
    return alert, record, rule_index().find(alert.rule_id)


@require_http_methods(["GET", "POST"])
@needs("alerts.except")
@_about_an_alert
def new(request: HttpRequest) -> HttpResponse:
    """An exception drafted from an alert (`?alert=`)."""
    alert, record, known = _subject(request)
    if known is None:
        return render(request, "alerts/exception_new.html", {"alert": alert, "known": None})
    offered = choices(alert, record, known)
    status = 200
    wrong: Unusable | None = None
    if request.method == "POST":
        form = ExceptionForm(request.user, request.POST)
        if form.is_valid():
            try:
                return _make(request, alert, known, form)
            except Unusable as error:
                wrong = error
            except ValidationError as error:
                form.add_error(None, error)
        status = 422
    else:
        title = exceptions.title_for(alert, known)
        first = {"title": title, "text": draft(known, title, [each for each in offered if each.chosen])}
        form = ExceptionForm(request.user, initial={**first, "owner": request.user.pk})
    shown = {
        "alert": alert,
        "known": known,
        "form": form,
        "choices": offered,
        "wrong": wrong.problems if wrong else [],
        "finding": request.POST.get("finding") or request.GET.get("finding") or "",
        "existing": list(exceptions.similar(request.user, known.rule.id).filter(ended_at=None)[:10]),
    }
    return render(request, "alerts/exception_new.html", shown, status=status)


def _make(request: HttpRequest, alert: Alert, known: KnownRule, form: ExceptionForm) -> HttpResponse:
    values = form.cleaned_data
    made = make_previewed(
        request.user,
        alert=alert,
        known=known,
        title=values["title"],
        text=values["text"],
        reason=values["reason"],
        owner=values["owner"],
        expires_at=day_end(values["expires_on"]),
    )
    messages.success(request, _("The exception is made; the live service takes it up within a minute."))
    return redirect("alerts:exception", made.pk)


@require_POST
@needs("alerts.except")
@_about_an_alert
def draft_text(request: HttpRequest) -> HttpResponse:
    """The text of the filter for the fields chosen, as a fragment in the place of the form's own."""
    alert, record, known = _subject(request)
    if known is None:
        raise Http404
    wanted = set(request.POST.getlist("field"))
    chosen: list[Choice] = [each for each in choices(alert, record, known) if each.name in wanted]
    title = request.POST.get("title", "").strip()[:200] or exceptions.title_for(alert, known)
    shown: dict[str, Any] = {"alert": alert}
    if chosen:
        form = ExceptionForm(request.user, initial={"text": draft(known, title, chosen)})
    else:
        form = ExceptionForm(request.user, initial={"text": request.POST.get("text", "")})
        shown["none_chosen"] = True
    shown["form"] = form
    return render(request, "alerts/exception_text.html", shown)


@require_POST
@needs("alerts.except")
@_about_an_alert
def preview(request: HttpRequest) -> HttpResponse:
    """What the text would have silenced among the alerts kept here."""
    _alert, record, known, found, problems = _checked(request)
    shown: dict[str, Any] = {"problems": problems}
    if found is not None and known is not None:
        shown["seen"] = preview_alerts(request.user, found, known)
        shown["own"] = _own(found, known, record)
        shown["is_correlation"] = known.is_correlation
    return render(request, "alerts/exception_preview.html", shown)


@require_POST
@needs("alerts.except")
@_about_an_alert
def preview_findings(request: HttpRequest) -> HttpResponse:
    """What the text would have silenced among the lake's findings."""
    _alert, _record, known, found, problems = _checked(request)
    shown: dict[str, Any] = {"problems": problems, "lake": True}
    if found is not None and known is not None:
        try:
            shown["seen"] = preview_lake(found, known)
        except Unreadable as error:
            shown["trouble"] = str(error)
    return render(request, "alerts/exception_preview.html", shown)


def _checked(request: HttpRequest) -> tuple[Alert, dict[str, Any], KnownRule | None, Filter | None, list[Any]]:
    alert, record, known = _subject(request)
    if known is None:
        raise Http404
    try:
        text = request.POST.get("text", "").replace("\r\n", "\n")
        return alert, record, known, check(text, known, rule_index()), []
    except Unusable as error:
        return alert, record, known, None, error.problems


def _own(found: Filter, known: KnownRule, record: dict[str, Any]) -> bool | None:
    event = record.get("event")
    return is_silenced(found, known, event) if isinstance(event, dict) else None
