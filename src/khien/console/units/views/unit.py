"""A unit's page, and changing it."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import pgettext
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from khien.console.accounts.access import needs
from khien.console.accounts.models import User
from khien.console.concurrency import Changed
from khien.console.directives.models import Task
from khien.console.frame.forms import take_errors
from khien.console.systems.models import InformationSystem
from khien.console.units import services
from khien.console.units.forms import DeactivateForm, MoveForm, UnitForm
from khien.console.units.models import Unit
from khien.console.units.selectors import OPEN_TASKS, above, history_of, open_alerts
from khien.console.units.subcommittee import history

SHOWN = 50


def _unit(request: HttpRequest, pk: int) -> Unit:
    return get_object_or_404(Unit.objects.visible_to(request.user).select_related("kind", "parent"), pk=pk)


@require_GET
@needs("units.view")
def unit(request: HttpRequest, pk: int) -> HttpResponse:
    """What a unit is, its people, systems, open tasks and seats, and the units below it."""
    found, user = _unit(request, pk), request.user
    people = User.objects.visible_to(user).filter(unit=found, is_active=True)
    tasks = Task.objects.visible_to(user).filter(unit=found, state__in=OPEN_TASKS)
    context: dict[str, Any] = {
        "unit": found,
        "above": above(user, found),
        "below": Unit.objects.visible_to(user).filter(parent=found, is_active=True).select_related("kind"),
        "people": people[:SHOWN],
        "people_count": people.count(),
        "tasks": tasks.order_by("due_at")[:10],
        "task_count": tasks.count(),
        "appointments": history().filter(unit=found)[:20],
        "today": timezone.localdate(),
        "now": timezone.now(),
        "history": history_of(user, found),
        "may_manage": user.may("units.manage"),
    }
    if user.may("systems.view"):
        systems = InformationSystem.objects.visible_to(user).filter(unit=found, is_active=True)
        context |= {"systems": systems[:SHOWN], "system_count": systems.count()}
    if user.may("alerts.view"):
        context["alert_count"] = open_alerts()[found.pk]
    return render(request, "units/unit.html", context)


@require_http_methods(["GET", "POST"])
@needs("units.manage")
def new(request: HttpRequest) -> HttpResponse:
    """Make a unit; `?parent=` says below which."""
    form = UnitForm(request.user, request.POST or None, new=True, initial={"parent": request.GET.get("parent")})
    if request.method == "POST" and form.is_valid():
        fields = {name: value for name, value in form.cleaned_data.items() if name != "version"}
        try:
            made = services.create_unit(request.user, **fields)
        except ValidationError as error:
            take_errors(form, error)
        else:
            messages.success(request, _("%(unit)s is now in the tree.") % {"unit": made.name})
            return redirect("units:detail", made.pk)
    status = 400 if form.errors else 200
    return render(request, "units/unit_form.html", {"form": form, "title": _("New unit")}, status=status)


@require_http_methods(["GET", "POST"])
@needs("units.manage")
def edit(request: HttpRequest, pk: int) -> HttpResponse:
    """Change what a unit is called and how it is reached."""
    found = _unit(request, pk)
    initial = {name: getattr(found, name) for name in (*services.FIELDS, "version")} | {"kind": found.kind_id}
    form = UnitForm(request.user, request.POST or None, initial=initial)
    if request.method == "POST" and form.is_valid():
        fields = dict(form.cleaned_data)
        version = fields.pop("version")
        try:
            services.edit_unit(request.user, pk, version, **fields)
        except Changed as changed:
            return _conflict(request, form, changed, _("Change the unit"))
        except ValidationError as error:
            take_errors(form, error)
        else:
            messages.success(request, _("Saved."))
            return redirect("units:detail", pk)
    context = {"form": form, "title": _("Change the unit"), "unit": found}
    return render(request, "units/unit_form.html", context, status=400 if form.errors else 200)


@require_http_methods(["GET", "POST"])
@needs("units.manage")
def move(request: HttpRequest, pk: int) -> HttpResponse:
    """Put a unit under another one."""
    found = _unit(request, pk)
    form = MoveForm(
        request.user, found, request.POST or None, initial={"parent": found.parent_id, "version": found.version}
    )
    if request.method == "POST" and form.is_valid():
        try:
            services.move_unit(request.user, pk, form.cleaned_data["version"], form.cleaned_data["parent"])
        except Changed as changed:
            return _conflict(request, form, changed, _("Move the unit"))
        except ValidationError as error:
            take_errors(form, error)
        else:
            messages.success(request, _("Moved, with all units below it."))
            return redirect("units:detail", pk)
    context = {"form": form, "title": _("Move the unit"), "unit": found}
    return render(request, "units/unit_form.html", context, status=400 if form.errors else 200)


@require_http_methods(["GET", "POST"])
@needs("units.manage")
def deactivate(request: HttpRequest, pk: int) -> HttpResponse:
    """Close a unit down."""
    found = _unit(request, pk)
    form = DeactivateForm(request.POST or None, initial={"version": found.version})
    if request.method == "POST" and form.is_valid():
        try:
            services.deactivate_unit(request.user, pk, form.cleaned_data["version"], form.cleaned_data["reason"])
        except Changed as changed:
            return _conflict(request, form, changed, _("Close the unit down"))
        except ValidationError as error:
            take_errors(form, error)
        else:
            messages.success(request, _("The unit is closed down; its history stays."))
            return redirect("units:detail", pk)
    context = {"form": form, "title": _("Close the unit down"), "unit": found, "submit": _("Close down")}
    return render(request, "units/unit_form.html", context, status=400 if form.errors else 200)


@require_POST
@needs("units.manage")
def reactivate(request: HttpRequest, pk: int) -> HttpResponse:
    """Take a unit up again."""
    _unit(request, pk)
    try:
        services.reactivate_unit(request.user, pk, None)
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
    else:
        messages.success(request, _("The unit is active again."))
    return redirect("units:detail", pk)


def _conflict(request: HttpRequest, form: Any, changed: Changed, title: str) -> HttpResponse:
    """The form with what was written, and the unit as it is now."""
    current = Unit.objects.select_related("kind", "parent").get(pk=changed.current.pk)
    form.data = form.data.copy()
    form.data["version"] = str(current.version)
    state = [
        (pgettext("thing", "Name"), current.name),
        (_("Short name"), current.short_name),
        (_("Code"), current.code),
        (_("Kind"), str(current.kind)),
        (_("Part of"), str(current.parent or "")),
        (_("Address"), current.address),
        (_("E-mail"), current.email),
        (_("Phone"), current.phone),
    ]
    context = {"form": form, "title": title, "unit": current, "conflict": changed.message, "current": state}
    return render(request, "units/unit_form.html", context, status=409)
