"""What is done to one alert from its page or panel, and alerts made by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.forms import Form
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBadRequest
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop
from django.views.decorators.http import require_http_methods, require_POST

from khien.console.accounts.access import needs
from khien.console.alerts import services
from khien.console.alerts.detail_forms import (
    AssignForm,
    CloseForm,
    CommentForm,
    LinkForm,
    NewAlertForm,
    ReopenForm,
)
from khien.console.alerts.models import Alert, Status
from khien.console.alerts.views.detail import alert_or_404, context
from khien.console.concurrency import Changed

_SAID = {
    "assign": gettext_noop("The owner is changed."),
    "take": gettext_noop("It is yours now."),
    "begin": gettext_noop("The alert is in progress."),
    "comment": gettext_noop("The comment is added."),
    "close": gettext_noop("The alert is closed."),
    "reopen": gettext_noop("The alert is open again."),
    "link": gettext_noop("The alert belongs to the incident now."),
    "unlink": gettext_noop("The alert belongs to no incident now."),
}


@require_POST
@needs("alerts.work")
def act(request: HttpRequest, pk: int) -> HttpResponse:
    """Do what `action` says; the alert's body is shown again, with what was written where that could not be done."""
    alert = alert_or_404(request, pk)
    action = request.POST.get("action", "")
    run = _ACTIONS.get(action)
    if run is None:
        return HttpResponseBadRequest(_("There is no such action."))
    form: Form | None = None
    try:
        form = run(request, alert)
    except Changed as error:
        written = _written(request, alert, action)
        return _answer(request, pk, {**written, "conflict": str(error)}, 409)
    except Alert.DoesNotExist as error:
        raise Http404 from error
    if form is not None:
        return _answer(request, pk, {f"{action}_form": form}, 422)
    said = _(_SAID[action])
    if not request.headers.get("HX-Request"):
        messages.success(request, said)
        return redirect("alerts:detail", pk)
    response = _answer(request, pk, {"said": said}, 200)
    response["HX-Trigger"] = f'{{"khien:alert": {{"pk": {pk}}}}}'
    return response


def _answer(request: HttpRequest, pk: int, more: dict[str, Any], status: int) -> HttpResponse:
    shown = {**context(request, alert_or_404(request, pk)), **more}
    if request.headers.get("HX-Request"):
        shown["wide"] = request.POST.get("wide") == "1"
        return render(request, "alerts/detail_body.html", shown, status=status)
    return render(request, "alerts/detail.html", shown, status=status)


def _written(request: HttpRequest, alert: Alert, action: str) -> dict[str, Any]:
    """The form again with what was written, for the alert as it is now."""
    kind = _FORMS.get(action)
    if kind is None:
        return {}
    current = Alert.objects.visible_to(request.user).filter(pk=alert.pk).values_list("version", flat=True).first()
    data = request.POST.copy()
    data["version"] = str(current or "")
    return {f"{action}_form": kind(request.user, alert_or_404(request, alert.pk), data)}


def _chosen(alert: Alert, version: int | None) -> dict[int, int | None]:
    return {alert.pk: version}


def _through(
    kind: type[Form], do: Callable[[HttpRequest, Alert, dict[str, Any]], object]
) -> Callable[[HttpRequest, Alert], Form | None]:
    """An action with a form: None when it was done, else the form with what is wrong."""

    def run(request: HttpRequest, alert: Alert) -> Form | None:
        form = kind(request.user, alert, request.POST)
        if not form.is_valid():
            return form
        try:
            do(request, alert, form.cleaned_data)
        except ValidationError as error:
            known = hasattr(error, "error_dict") and set(error.error_dict) <= set(form.fields)
            form.add_error(None, error if known or not hasattr(error, "error_dict") else error.messages)
            return form
        return None

    return run


def _assign(request: HttpRequest, alert: Alert, values: dict[str, Any]) -> None:
    services.assign(request.user, _chosen(alert, values["version"]), values["owner"])


def _comment(request: HttpRequest, alert: Alert, values: dict[str, Any]) -> None:
    services.comment(request.user, alert.pk, values["text"])


def _close(request: HttpRequest, alert: Alert, values: dict[str, Any]) -> None:
    services.close(
        request.user,
        _chosen(alert, values["version"]),
        verdict=values["verdict"],
        classification=values["classification"],
        reason=values["reason"],
    )


def _reopen(request: HttpRequest, alert: Alert, values: dict[str, Any]) -> None:
    services.reopen(request.user, _chosen(alert, values["version"]), values["reason"])


def _link(request: HttpRequest, alert: Alert, values: dict[str, Any]) -> None:
    services.link_to_incident(request.user, _chosen(alert, values["version"]), values["incident"])


def _version(request: HttpRequest) -> int | None:
    given = request.POST.get("version", "")
    return int(given) if given.isdecimal() and len(given) < 10 else None


def _take(request: HttpRequest, alert: Alert) -> Form | None:
    services.assign(request.user, _chosen(alert, _version(request)), request.user)
    return None


def _begin(request: HttpRequest, alert: Alert) -> Form | None:
    if alert.status == Status.NEW:
        services.set_status(request.user, _chosen(alert, _version(request)), Status.IN_PROGRESS)
    return None


def _unlink(request: HttpRequest, alert: Alert) -> Form | None:
    form = LinkForm(request.user, alert, {"version": request.POST.get("version", "")})
    try:
        services.unlink_from_incident(request.user, _chosen(alert, _version(request)))
    except ValidationError as error:
        form.errors.clear()
        form.add_error(None, error.messages)
        return form
    return None


_FORMS: dict[str, type[Form]] = {
    "assign": AssignForm,
    "comment": CommentForm,
    "close": CloseForm,
    "reopen": ReopenForm,
    "link": LinkForm,
}
_ACTIONS: dict[str, Callable[[HttpRequest, Alert], Form | None]] = {
    "assign": _through(AssignForm, _assign),
    "comment": _through(CommentForm, _comment),
    "close": _through(CloseForm, _close),
    "reopen": _through(ReopenForm, _reopen),
    "link": _through(LinkForm, _link),
    "take": _take,
    "begin": _begin,
    "unlink": _unlink,
}


@require_http_methods(["GET", "POST"])
@needs("alerts.work")
def new(request: HttpRequest) -> HttpResponse:
    """An alert made by hand: what somebody saw, a call, a mail."""
    form = NewAlertForm(request.user, request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        values = form.cleaned_data
        try:
            alert = services.create_alert(request.user, **values)
        except ValidationError as error:
            form.add_error(None, error)
        else:
            messages.success(request, _("The alert is made."))
            return redirect("alerts:detail", alert.pk)
    return render(request, "alerts/new.html", {"form": form}, status=422 if request.method == "POST" else 200)
