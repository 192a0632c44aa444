"""An incident's page, opening one, and changing what is known."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods

from khien.console.accounts.access import needs
from khien.console.alerts.models import Alert, Level
from khien.console.concurrency import Changed
from khien.console.directives.selectors import tasks_of_incident
from khien.console.frame.forms import take_errors
from khien.console.frame.given import whole
from khien.console.incidents import facts, observables, selectors, services
from khien.console.incidents.forms import EntryForm, IncidentForm
from khien.console.incidents.joining_forms import RelateForm
from khien.console.incidents.models import ClockState, Incident, IncidentStatus, IndicatorKind
from khien.console.incidents.views.reading import back, seen
from khien.console.incidents.views.timeline import timeline_context
from khien.console.systems.models import InformationSystem

SHOWN = 10
MOST_ALERTS = 500


@require_GET
@needs("incidents.view")
def detail(request: HttpRequest, pk: int) -> HttpResponse:
    """All about an incident. Opening a sensitive one is kept in the audit trail."""
    incident, user, now = seen(request, pk), request.user, timezone.now()
    clocks = list(incident.clocks.exclude(state=ClockState.WITHDRAWN).select_related("settled_by"))
    indicators = list(incident.indicators.all()[: SHOWN * 2])
    others = selectors.elsewhere(user, incident, indicators)
    alerts = selectors.alerts_of(user, incident)
    tasks = tasks_of_incident(user, incident)
    visible = Incident.objects.visible_to(user)
    context: dict[str, Any] = {
        "incident": incident,
        "now": now,
        "clocks": clocks,
        "next_clock": next((clock for clock in clocks if clock.is_open), None),
        "overdue": sum(clock.is_overdue(now) for clock in clocks),
        "suggests_serious": incident.level == Level.CRITICAL and not incident.serious and incident.is_working,
        "suggests_personal": incident.working_class == "leak" and not incident.personal_data and incident.is_working,
        "indicators": [{"indicator": each, "others": others.get(each.digest, [])} for each in indicators],
        "indicator_count": incident.indicators.count(),
        "alerts": alerts[:SHOWN],
        "alert_count": alerts.count(),
        "tasks": tasks[:SHOWN],
        "task_count": tasks.count(),
        "units": incident.units.all(),
        "systems": InformationSystem.objects.visible_to(user).filter(incidents=incident),
        "team": incident.team.select_related("unit"),
        "related": visible.filter(related=incident),
        "merged": visible.filter(merged_into=incident),
        "merged_into": selectors.incident_of(user, incident.merged_into_id),
        "relate_form": RelateForm(user, incident),
        "entry_form": EntryForm(),
        "statuses": [
            (status.value, status.label)
            for status in (IncidentStatus.OPEN, IncidentStatus.CONTAINED, IncidentStatus.RESOLVED)
            if status != incident.status
        ],
        "may_work": user.may("incidents.work") and incident.status != IncidentStatus.MERGED,
        "may_lead": user.may("incidents.lead") and incident.status != IncidentStatus.MERGED,
        **timeline_context(request, incident),
    }
    return render(request, "incidents/detail.html", context)


@require_http_methods(["GET", "POST"])
@needs("incidents.work")
def new(request: HttpRequest) -> HttpResponse:
    """Open an incident; `?alerts=1,2` fills it with what alerts tell."""
    user = request.user
    named = request.POST.getlist("alerts") if request.method == "POST" else request.GET.get("alerts", "").split(",")
    wanted = {pk for each in named[:MOST_ALERTS] if (pk := whole(each)) is not None}
    alerts = (
        list(Alert.objects.visible_to(user).filter(pk__in=wanted).select_related("unit", "system")) if wanted else []
    )
    offered = selectors.candidates(alerts)
    ticked = set(request.POST.getlist("indicators"))
    form = IncidentForm(user, request.POST or None, initial=facts.from_alerts(user, alerts, timezone.now()))
    del form.fields["version"]
    if request.method == "POST" and form.is_valid():
        chosen = [(kind, value) for kind, value, _wide in offered if f"{kind}:{value}" in ticked]
        try:
            incident = services.open_incident(user, **form.cleaned_data, alerts=alerts, indicators=chosen)
        except ValidationError as error:
            take_errors(form, error)
        else:
            messages.success(request, _("Incident %(number)s is open.") % {"number": incident.number})
            return redirect("incidents:detail", incident.pk)
    context = {
        "form": form,
        "alerts": alerts,
        "taken": selectors.visible_numbers(user, [alert.incident_id for alert in alerts]),
        "offered": [
            {
                "name": f"{kind}:{value}",
                "kind": IndicatorKind(kind).label,
                "shown": observables.defang(kind, value),
                "on": f"{kind}:{value}" in ticked if request.method == "POST" else wide,
            }
            for kind, value, wide in offered
        ],
        "title": _("New incident"),
    }
    return render(request, "incidents/edit.html", context, status=400 if form.errors else 200)


@require_http_methods(["GET", "POST"])
@needs("incidents.work")
def edit(request: HttpRequest, pk: int) -> HttpResponse:
    """Change what is known; somebody else's change in between is shown, and nothing written is lost."""
    incident, user = seen(request, pk), request.user
    form = IncidentForm(user, request.POST or None, incident=incident)
    conflict, current = "", []
    if request.method == "POST" and form.is_valid():
        fields = dict(form.cleaned_data)
        version = fields.pop("version") or 0
        if form.fields["tlp"].disabled:
            fields.pop("tlp")
        try:
            services.change_incident(user, pk, version, **fields)
        except Changed as changed:
            conflict, current = str(changed.message), _differences(form, changed.current)
            form.data = _with_version(request, changed.current.version)
        except ValidationError as error:
            take_errors(form, error)
        else:
            messages.success(request, _("Saved."))
            return back(pk)
    context = {
        "form": form,
        "incident": incident,
        "conflict": conflict,
        "current": current,
        "title": _("Change incident"),
    }
    return render(request, "incidents/edit.html", context, status=409 if conflict else 400 if form.errors else 200)


def _with_version(request: HttpRequest, version: int) -> Any:
    """What was written, to be sent again over the state that is shown."""
    data = request.POST.copy()
    data["version"] = str(version)
    return data


def _differences(form: IncidentForm, current: Any) -> list[tuple[str, str]]:
    """Label and present value of each field that is not as it was written."""
    now = IncidentForm.values_of(current)
    found = []
    for name, value in now.items():
        written = form.cleaned_data.get(name)
        if name == "version":
            continue
        if name in IncidentForm.LISTS:
            if sorted(row.pk for row in written or []) != sorted(value):
                rows = form.fields[name].queryset.model.objects.visible_to(form.user).filter(pk__in=value)
                found.append((form.fields[name].label, ", ".join(str(row) for row in rows)))
            continue
        plain = getattr(written, "pk", written)
        if plain != value and not (plain in (None, "") and value in (None, "")):
            found.append((form.fields[name].label, _shown(form, name, value)))
    return found


def _shown(form: IncidentForm, name: str, value: Any) -> str:
    if isinstance(value, bool):
        return _("Yes") if value else _("No")
    field = form.fields[name]
    if hasattr(value, "astimezone"):
        return timezone.localtime(value).strftime("%d/%m/%Y %H:%M")
    if name in ("unit", "leader"):
        row = field.queryset.model.objects.visible_to(form.user).filter(pk=value).first()
        return str(row or "")
    for key, label in getattr(field, "choices", ()):
        if isinstance(label, (list, tuple)):
            nested = dict(label)
            if value in nested:
                return str(nested[value])
        elif str(key) == str(value):
            return str(label)
    return str(value or "")
