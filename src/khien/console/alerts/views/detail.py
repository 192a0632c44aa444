"""One alert: its page, the same as a panel, and the parts of it that are loaded later."""

from __future__ import annotations

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop
from django.views.decorators.http import require_GET

from khien.console.accounts.access import needs
from khien.console.alerts import detail as reading
from khien.console.alerts import exceptions
from khien.console.alerts.detail_forms import AssignForm, CloseForm, CommentForm, LinkForm, ReopenForm
from khien.console.alerts.explaining import correlation_facts, explain
from khien.console.alerts.highlighting import printable
from khien.console.alerts.models import Alert, AlertActivity, AlertFinding, Level, Status
from khien.console.alerts.neighbours import Unreadable, time_of
from khien.console.alerts.neighbours import neighbours as around
from khien.console.alerts.rule_index import KnownRule, rule_index
from khien.console.incidents.catalogue import class_label
from khien.console.units.scoping import sees_unit
from khien.rules.model import Correlation

_DONE: dict[str, str] = {
    "assign": gettext_noop("changed the owner"),
    "comment": gettext_noop("said"),
    "verdict": gettext_noop("changed the verdict"),
    "status": gettext_noop("changed the state"),
    "close": gettext_noop("closed the alert"),
    "reopen": gettext_noop("opened the alert again"),
    "link": gettext_noop("linked it to an incident"),
    "unlink": gettext_noop("took it out of its incident"),
    "exception": gettext_noop("made an exception"),
    "create": gettext_noop("made the alert"),
    "undo": gettext_noop("took the last change back"),
}


@require_GET
@needs("alerts.view")
def detail(request: HttpRequest, pk: int) -> HttpResponse:
    """The page of an alert."""
    return render(request, "alerts/detail.html", context(request, alert_or_404(request, pk)))


@require_GET
@needs("alerts.view")
def panel(request: HttpRequest, pk: int) -> HttpResponse:
    """The same as a fragment for the panel beside the queue."""
    return render(request, "alerts/panel.html", context(request, alert_or_404(request, pk)))


@require_GET
@needs("alerts.view")
def sample(request: HttpRequest, pk: int) -> HttpResponse:
    """One of the findings kept of an alert: why it fired, and the event."""
    alert = alert_or_404(request, pk)
    return render(request, "alerts/detail_sample.html", {"alert": alert, **sample_context(request, alert)})


@require_GET
@needs("alerts.view")
def neighbours(request: HttpRequest, pk: int) -> HttpResponse:
    """The events of the lake around a finding."""
    alert = alert_or_404(request, pk)
    finding = _chosen(request, reading.samples(alert))
    if finding is None:
        raise Http404
    shown: dict[str, Any] = {}
    try:
        found = around(request.user, alert, _record(finding))
        events = [
            {
                "at": each.at,
                "clock": timezone.localtime(each.at).strftime("%H:%M:%S"),
                "offset": "" if each.is_same else _offset(each.seconds),
                "logsource": each.logsource,
                "summary": each.summary,
                "fields": each.fields,
                "is_same": each.is_same,
            }
            for each in found.events
        ]
        shown["found"] = {"host": printable(found.host), "at": found.at, "events": events, "reached": found.reached}
    except Unreadable as error:
        shown["trouble"] = str(error)
    return render(request, "alerts/detail_neighbours.html", shown)


def _offset(seconds: float) -> str:
    sign = "−" if seconds < 0 else "+"
    whole = abs(seconds)
    return f"{sign}{int(whole // 60)}:{int(whole % 60):02d}"


def alert_or_404(request: HttpRequest, pk: int) -> Alert:
    """An alert the person sees. Raises Http404."""
    try:
        return reading.visible_alert(request.user, pk)
    except Alert.DoesNotExist as error:
        raise Http404 from error


def context(request: HttpRequest, alert: Alert) -> dict[str, Any]:
    """What the page and the panel of an alert show."""
    user = request.user
    alert.level_word = Level(alert.level).word  # type: ignore[attr-defined]
    found = reading.history(user, alert)
    verdicts = reading.earlier_verdicts(user, alert)
    techniques, bare = reading.attack(alert.tags)
    incident = None
    if alert.incident_id and user.may("incidents.view"):
        incident = _incident_seen(request, alert)
    system = alert.system if alert.system and sees_unit(user, alert.system.unit_id) else None
    return {
        "alert": alert,
        **sample_context(request, alert),
        "history": _drawn(found),
        "risk": reading.risk(user, alert),
        "verdicts": verdicts,
        "exceptions": list(exceptions.similar(user, alert.rule_id)[:5]),
        "techniques": techniques,
        "bare_tactics": bare,
        "activities": [_told(each) for each in reading.activities(alert)],
        "entity_kind": reading.ENTITY_KINDS.get(alert.entity_kind, ""),
        "others": _others(alert),
        "incident": incident,
        "incident_url": _url("incidents:detail", alert.incident_id) if incident else "",
        "unit_url": _url("units:detail", alert.unit_id) if alert.unit_id else "",
        "system": system,
        "system_url": _url("systems:detail", alert.system_id) if system and user.may("systems.view") else "",
        "classification": class_label(alert.classification) if alert.classification else "",
        **_forms(request, alert),
    }


def _forms(request: HttpRequest, alert: Alert) -> dict[str, Any]:
    """The forms of what the person may do."""
    user = request.user
    shown: dict[str, Any] = {"may_work": user.may("alerts.work"), "may_except": exceptions.may_except(user)}
    if not shown["may_work"]:
        return shown
    shown["assign_form"] = AssignForm(user, alert)
    shown["comment_form"] = CommentForm(user, alert)
    if alert.status == Status.CLOSED:
        shown["reopen_form"] = ReopenForm(user, alert)
    else:
        shown["close_form"] = CloseForm(user, alert)
    if user.may("incidents.view"):
        shown["link_form"] = LinkForm(user, alert)
    if user.may("incidents.work") and not alert.incident_id:
        try:
            shown["promote_url"] = f"{reverse('incidents:new')}?alerts={alert.pk}"
        except NoReverseMatch:
            shown["promote_url"] = ""
    return shown


def sample_context(request: HttpRequest, alert: Alert) -> dict[str, Any]:
    """The finding chosen by `?finding=`, explained."""
    found = reading.samples(alert)
    finding = _chosen(request, found)
    known = rule_index().find(alert.rule_id)
    shown: dict[str, Any] = {"samples": found, "finding": finding, "known": known, "finding_at": None}
    if known is not None:
        shown["links"] = reading.web_links(known.rule.references)
        if isinstance(known.rule, Correlation):
            shown["correlation"] = correlation_facts(known.rule, known.parts)
    if finding is not None:
        record = _record(finding)
        shown["explained"] = explain(record, known)
        shown["hits"] = _hits(record, known)
        shown["finding_at"] = time_of(record)
    return shown


def _chosen(request: HttpRequest, found: list[AlertFinding]) -> AlertFinding | None:
    wanted = request.GET.get("finding") or request.POST.get("finding") or ""
    return next((each for each in found if str(each.position) == wanted), found[0] if found else None)


def _record(finding: AlertFinding) -> dict[str, Any]:
    return finding.record if isinstance(finding.record, dict) else {}


def _hits(record: dict[str, Any], known: KnownRule | None) -> list[dict[str, str]]:
    titles = {part.id: part.title for part in known.parts} if known else {}
    found = record.get("events")
    hits = [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []
    return [
        {
            "time": printable(str(each.get("time") or "")),
            "rule": titles.get(str(each.get("rule_id")), printable(str(each.get("rule_id") or ""))),
        }
        for each in hits[:100]
    ]


def _drawn(found: reading.History | None) -> dict[str, Any] | None:
    if found is None:
        return None
    days = [
        {
            "day": each.day,
            "n": each.n,
            "severe": each.severe,
            "x": each.x,
            "top": f"{35 - each.height:.1f}",
            "height_text": f"{each.height:.1f}",
            "severe_top": f"{35 - each.severe_height:.1f}",
            "severe_text": f"{each.severe_height:.1f}",
        }
        for each in found.days
    ]
    for alert in found.latest:
        alert.level_word = Level(alert.level).word  # type: ignore[attr-defined]
    return {
        "count": found.count,
        "reached": found.reached,
        "days": days,
        "latest": found.latest,
        "most": found.most,
    }


def _told(each: AlertActivity) -> dict[str, Any]:
    words = _(_DONE[each.kind]) if each.kind in _DONE else each.kind
    return {"at": each.at, "by": each.by, "words": words, "text": each.text, "slug": each.kind}


def _others(alert: Alert) -> list[str]:
    """Values of further entities, at most ten."""
    found = []
    for each in alert.entities if isinstance(alert.entities, list) else ():
        value = each.get("value") if isinstance(each, dict) else each[-1] if isinstance(each, list) and each else each
        if value and str(value) != alert.entity_value:
            found.append(printable(str(value))[:200])
    return list(dict.fromkeys(found))[:10]


def _incident_seen(request: HttpRequest, alert: Alert) -> Any:
    from khien.console.incidents.models import Incident

    return Incident.objects.visible_to(request.user).filter(pk=alert.incident_id).first()


def _url(name: str, pk: int) -> str:
    try:
        return reverse(name, args=[pk])
    except NoReverseMatch:
        return ""
