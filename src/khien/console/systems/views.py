"""The register of systems: list, page, form."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import pgettext
from django.views.decorators.http import require_GET, require_http_methods

from khien.console.accounts.access import needs
from khien.console.alerts.models import Alert, Level
from khien.console.concurrency import Changed
from khien.console.frame.forms import take_errors
from khien.console.incidents.models import Incident
from khien.console.spreadsheets.exports import export_response
from khien.console.systems import services
from khien.console.systems.forms import SystemForm
from khien.console.systems.importing import EXPORT_COLUMNS
from khien.console.systems.models import InformationSystem
from khien.console.systems.selectors import filtered, history_of, overlaps
from khien.console.units.selectors import choices

SORTS = {"name": ("name", "id"), "unit": ("unit__name", "name", "id"), "level": ("-level", "name", "id")}
PAGE = 50


@require_GET
@needs("systems.view")
def systems(request: HttpRequest) -> HttpResponse:
    """The systems one sees: `?text=`, `?unit=`, `?level=`, `?state=`, `?sort=`."""
    given = {name: request.GET.get(name, "") for name in ("text", "unit", "level", "state")}
    sort = request.GET.get("sort", "name")
    rows = filtered(request.user, **given).order_by(*SORTS.get(sort, SORTS["name"]))
    if request.GET.get("export"):
        return export_response(request, "systems", _("Systems"), EXPORT_COLUMNS, rows)
    page = Paginator(rows, PAGE).get_page(request.GET.get("page"))
    context = {
        "page": page,
        "given": given,
        "sort": sort if sort in SORTS else "name",
        "filtered": any(given.values()),
        "units": [(unit.pk, "\u2003" * depth + unit.name) for unit, depth in choices(request.user)],
        "levels": ["1", "2", "3", "4", "5"],
        "may_manage": request.user.may("systems.manage"),
    }
    return render(request, "systems/list.html", context)


def _system(request: HttpRequest, pk: int) -> InformationSystem:
    rows = InformationSystem.objects.visible_to(request.user).select_related("unit")
    return get_object_or_404(rows, pk=pk)


@require_GET
@needs("systems.view")
def system(request: HttpRequest, pk: int) -> HttpResponse:
    """A system: unit, level, names, ranges, overlaps, and its latest alerts and incidents."""
    found, user = _system(request, pk), request.user
    context: dict[str, Any] = {
        "system": found,
        "overlaps": overlaps(user, found) if found.is_active else [],
        "history": history_of(user, found),
        "may_manage": user.may("systems.manage"),
    }
    if user.may("alerts.view"):
        alerts = Alert.objects.visible_to(user).filter(system=found).order_by("-last_at", "-id")[:10]
        context["alerts"] = [(alert, Level(alert.level).word) for alert in alerts]
    if user.may("incidents.view"):
        incidents = Incident.objects.visible_to(user).filter(systems=found).order_by("-id")[:10]
        context["incidents"] = [(incident, Level(incident.level).word) for incident in incidents]
    return render(request, "systems/system.html", context)


@require_http_methods(["GET", "POST"])
@needs("systems.manage")
def new(request: HttpRequest) -> HttpResponse:
    """Enter a system; `?unit=` says whose."""
    form = SystemForm(request.user, request.POST or None, initial={"unit": request.GET.get("unit"), "is_active": True})
    if request.method == "POST" and form.is_valid():
        fields = {name: value for name, value in form.cleaned_data.items() if name != "version"}
        try:
            made = services.create_system(request.user, **fields)
        except ValidationError as error:
            take_errors(form, error)
        else:
            _tell(request, made)
            return redirect("systems:detail", made.pk)
    context = {"form": form, "title": _("New system")}
    return render(request, "systems/form.html", context, status=400 if form.errors else 200)


@require_http_methods(["GET", "POST"])
@needs("systems.manage")
def edit(request: HttpRequest, pk: int) -> HttpResponse:
    """Change a system."""
    found = _system(request, pk)
    initial = {name: getattr(found, name) for name in (*services.FIELDS, "version")} | {"unit": found.unit_id}
    form = SystemForm(request.user, request.POST or None, initial=initial)
    context = {"form": form, "title": _("Change the system"), "system": found}
    if request.method == "POST" and form.is_valid():
        fields = dict(form.cleaned_data)
        version = fields.pop("version")
        try:
            services.edit_system(request.user, pk, version, **fields)
        except Changed as changed:
            now = InformationSystem.objects.select_related("unit").get(pk=changed.current.pk)
            form.data = form.data.copy()
            form.data["version"] = str(now.version)
            context |= {"conflict": changed.message, "current": _state(now)}
            return render(request, "systems/form.html", context, status=409)
        except ValidationError as error:
            take_errors(form, error)
        else:
            _tell(request, _system(request, pk))
            return redirect("systems:detail", pk)
    return render(request, "systems/form.html", context, status=400 if form.errors else 200)


def _tell(request: HttpRequest, system: InformationSystem) -> None:
    messages.success(request, _("Saved. Telemetry is routed by it within a second or two."))
    if system.is_active and (found := overlaps(request.user, system)):
        messages.warning(
            request, _("Names or ranges that are also in other systems: %(count)s.") % {"count": len(found)}
        )


def _state(system: InformationSystem) -> list[tuple[str, Any]]:
    return [
        (pgettext("thing", "Name"), system.name),
        (_("Unit"), system.unit.name),
        (_("Security level"), system.level),
        (_("Code"), system.code),
        (_("Description"), system.description),
        (_("Host names"), system.hostnames),
        (_("Address ranges"), system.address_ranges),
        (_("Active"), _("Yes") if system.is_active else _("No")),
    ]
