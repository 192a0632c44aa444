"""Indicators of an incident: all of them, taking them from text and alerts, sharing, taking away."""

from __future__ import annotations

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods, require_POST

from khien.console.accounts.access import demand, needs
from khien.console.concurrency import Changed
from khien.console.frame.forms import take_errors
from khien.console.incidents import indicators, observables, selectors
from khien.console.incidents.indicator_forms import IndicatorForm, IndicatorsForm, SharingForm
from khien.console.incidents.models import IncidentStatus, Indicator, IndicatorKind
from khien.console.incidents.views.reading import form_page, refuse, seen
from khien.console.spreadsheets.exports import export_response

A_PAGE = 100
MOST_ALERTS = 500


@require_http_methods(["GET", "POST"])
@needs("incidents.view")
def indicator_list(request: HttpRequest, pk: int) -> HttpResponse:
    """All indicators; a POST with `text` shows what is found in it, with `chosen` adds what was ticked."""
    incident, user = seen(request, pk), request.user
    rows = incident.indicators.select_related("added_by")
    if "export" in request.GET:
        return export_response(request, f"{incident.number}-indicators", _("Indicators"), _columns(), rows)
    text_form, found, one = IndicatorsForm(), None, IndicatorForm()
    if request.method == "POST":
        demand(user, "incidents.work")
        if "chosen" in request.POST:
            return _add(request, pk, request.POST.getlist("chosen"))
        if "value" in request.POST:
            one = IndicatorForm(request.POST)
            if one.is_valid() and _add_one(request, pk, one):
                return redirect("incidents:indicators", pk)
        else:
            text_form = IndicatorsForm(request.POST)
            if text_form.is_valid():
                found = observables.extract(text_form.cleaned_data["text"])
    there = set(incident.indicators.values_list("digest", flat=True))
    alerts = selectors.alerts_of(user, incident)[:MOST_ALERTS]
    offered = selectors.candidates(alerts, there) if found is None else []
    page = Paginator(rows, A_PAGE).get_page(request.GET.get("page"))
    others = selectors.elsewhere(user, incident, page.object_list)
    context = {
        "incident": incident,
        "page": page,
        "rows": [{"indicator": each, "others": others.get(each.digest, [])} for each in page.object_list],
        "text_form": text_form,
        "one": one,
        "found": None
        if found is None
        else _offered((kind, value, True) for kind, value in found if observables.digest(kind, value) not in there),
        "offered": _offered(offered),
        "may_work": user.may("incidents.work") and incident.status != IncidentStatus.MERGED,
    }
    failed = any(form.is_bound and form.errors for form in (text_form, one))
    return render(request, "incidents/indicators.html", context, status=400 if failed else 200)


def _offered(values: object) -> list[dict[str, object]]:
    return [
        {
            "name": f"{kind}:{value}",
            "kind": IndicatorKind(kind).label,
            "shown": observables.defang(kind, value),
            "on": wide,
        }
        for kind, value, wide in values  # type: ignore[attr-defined]
    ]


def _add(request: HttpRequest, pk: int, chosen: list[str]) -> HttpResponse:
    """Add what was ticked; each is its kind, a colon, its value."""
    values = [tuple(each.split(":", 1)) for each in chosen if ":" in each]
    try:
        added = indicators.add_indicators(request.user, pk, values, tlp=request.POST.get("tlp", "AMBER"))
    except ValidationError as error:
        refuse(request, error)
    else:
        text = ngettext("%(n)s indicator added.", "%(n)s indicators added.", len(added))
        messages.success(request, text % {"n": len(added)})
    return redirect("incidents:indicators", pk)


def _add_one(request: HttpRequest, pk: int, form: IndicatorForm) -> bool:
    values = form.cleaned_data
    try:
        added = indicators.add_indicators(
            request.user, pk, [(values["kind"], values["value"])], tlp=values["tlp"], note=values["note"]
        )
    except ValidationError as error:
        take_errors(form, error)
        return False
    messages.success(request, _("Added.") if added else _("This indicator is there already."))
    return True


@require_http_methods(["GET", "POST"])
@needs("incidents.work")
def change(request: HttpRequest, pk: int) -> HttpResponse:
    """With whom an indicator may be shared."""
    indicator = get_object_or_404(Indicator.objects.visible_to(request.user), pk=pk)
    incident = seen(request, indicator.incident_id)
    initial = {"version": indicator.version, "tlp": indicator.tlp, "note": indicator.note}
    form = SharingForm(request.POST or None, initial=initial)
    conflict, current = "", []
    if request.method == "POST" and form.is_valid():
        values = dict(form.cleaned_data)
        try:
            indicators.change_indicator(request.user, pk, values.pop("version"), **values)
        except Changed as changed:
            conflict = str(changed.message)
            current = [("TLP", changed.current.get_tlp_display()), (_("Note"), changed.current.note)]
            form.data = {**form.data.dict(), "version": changed.current.version}
        else:
            return redirect("incidents:indicators", indicator.incident_id)
    return form_page(
        request, incident, form, title=indicator.defanged, submit=_("Save"), conflict=conflict, current=current
    )


@require_POST
@needs("incidents.work")
def remove(request: HttpRequest, pk: int) -> HttpResponse:
    """Take an indicator away."""
    indicator = get_object_or_404(Indicator.objects.visible_to(request.user), pk=pk)
    try:
        indicators.remove_indicator(request.user, pk, indicator.version)
    except Changed as changed:
        messages.error(request, str(changed.message))
    except ValidationError as error:
        refuse(request, error)
    return redirect("incidents:indicators", indicator.incident_id)


def _columns() -> list[tuple[str, object]]:
    return [
        (_("Kind"), "get_kind_display"),
        (_("Value"), "value"),
        ("TLP", "get_tlp_display"),
        (_("Note"), "note"),
        (_("Added"), "added_at"),
        (_("By"), "added_by.name"),
    ]
