"""Kinds of units, as data."""

from __future__ import annotations

from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods

from khien.console.accounts.access import needs
from khien.console.concurrency import Changed
from khien.console.frame.forms import take_errors
from khien.console.units import services
from khien.console.units.forms import KindForm
from khien.console.units.models import UnitKind
from khien.console.units.scoping import scope_ids


def _may(request: HttpRequest) -> None:
    if scope_ids(request.user) is not None:
        raise PermissionDenied


@require_GET
@needs("units.manage")
def kinds(request: HttpRequest) -> HttpResponse:
    """All kinds, and how many units are of each."""
    _may(request)
    rows = UnitKind.objects.annotate(count=Count("units")).order_by("position", "code")
    return render(request, "units/kinds.html", {"kinds": rows})


@require_http_methods(["GET", "POST"])
@needs("units.manage")
def kind(request: HttpRequest, pk: int | None = None) -> HttpResponse:
    """Make a kind, or change one."""
    _may(request)
    found = get_object_or_404(UnitKind, pk=pk) if pk else None
    initial = {"version": found.version} if found else {}
    form = KindForm(request.POST or None, instance=found, initial=initial)
    title = _("Change the kind") if found else _("New kind")
    context = {"form": form, "title": title, "kind": found}
    if request.method == "POST" and form.is_valid():
        fields = dict(form.cleaned_data)
        version = fields.pop("version")
        try:
            services.save_kind(request.user, pk, version, **fields)
        except Changed as changed:
            now = changed.current
            form.data = form.data.copy()
            form.data["version"] = str(now.version)
            context["conflict"] = changed.message
            context["current"] = [
                (_("Name in Vietnamese"), now.name_vi),
                (_("Name in English"), now.name_en),
                (_("Code"), now.code),
                (_("Sees all units"), _("Yes") if now.oversees else _("No")),
                (_("Order"), now.position),
            ]
            return render(request, "units/kind_form.html", context, status=409)
        except ValidationError as error:
            take_errors(form, error)
        else:
            messages.success(request, _("Saved."))
            return redirect("units:kinds")
    return render(request, "units/kind_form.html", context, status=400 if form.errors else 200)
