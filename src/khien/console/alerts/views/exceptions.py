"""Exceptions from rules: the list, a new one with its preview, prolonging and ending."""

from __future__ import annotations

from functools import wraps
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBadRequest
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import pgettext
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from khien.console.accounts.access import View, needs
from khien.console.alerts import exceptions
from khien.console.alerts.detail import samples
from khien.console.alerts.exception_drafts import Choice, Unusable, check, choices, draft
from khien.console.alerts.exception_forms import ExceptionForm, ProlongForm, day_end
from khien.console.alerts.exception_making import make_previewed
from khien.console.alerts.exception_preview import is_silenced, preview_alerts, preview_lake
from khien.console.alerts.models import Alert, RuleException
from khien.console.alerts.neighbours import Unreadable
from khien.console.alerts.rule_index import KnownRule, rule_index
from khien.console.alerts.views.detail import alert_or_404
from khien.console.concurrency import Changed
from khien.console.frame.given import whole
from khien.console.spreadsheets.exports import export_response
from khien.rules.filters import Filter

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
