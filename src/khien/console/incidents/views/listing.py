"""The list of incidents, and saving it."""

from __future__ import annotations

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET

from khien.console.accounts.access import needs
from khien.console.alerts.models import Level
from khien.console.incidents import catalogue, selectors
from khien.console.incidents.forms import FilterForm
from khien.console.incidents.models import Incident
from khien.console.spreadsheets.exports import export_response

A_PAGE = 50
HEADS = (
    ("number", gettext_lazy("Number")),
    ("level", gettext_lazy("Severity")),
    ("title", gettext_lazy("Title")),
    ("unit", gettext_lazy("Leading unit")),
    ("state", gettext_lazy("State")),
    ("", gettext_lazy("Leader")),
    ("", gettext_lazy("Due")),
    ("detected", gettext_lazy("Detected")),
)


@require_GET
@needs("incidents.view")
def incidents(request: HttpRequest) -> HttpResponse:
    """Incidents one sees, filtered and sorted by the address; `?export=xlsx|csv` saves them."""
    user, now = request.user, timezone.now()
    form = FilterForm(user, request.GET)
    wanted = form.wanted()
    rows = selectors.listed(selectors.found(user, wanted, now))
    if "export" in request.GET:
        return export_response(request, "incidents", _("Incidents"), _columns(), rows)
    page = Paginator(rows, A_PAGE).get_page(request.GET.get("page"))
    clocks = selectors.clocks_of(page.object_list)
    sort = wanted.get("sort") or "-number"
    context = {
        "form": form,
        "page": page,
        "rows": [{"incident": each, "clocks": clocks.get(each.pk, [])} for each in page.object_list],
        "heads": [
            {
                "name": name,
                "label": label,
                "sort": f"-{name}" if sort == name else name,
                "order": "ascending" if sort == name else "descending" if sort == f"-{name}" else "",
            }
            for name, label in HEADS
        ],
        "now": now,
        "overdue": selectors.overdue_count(user, now),
        "narrowed": any(wanted.get(name) for name in form.fields if name != "sort"),
        "may_work": user.may("incidents.work"),
    }
    return render(request, "incidents/list.html", context)


def _columns() -> list[tuple[str, object]]:
    def level(incident: Incident) -> str:
        return str(Level(incident.level).label) if incident.level in Level.values else ""

    return [
        (_("Number"), "number"),
        (_("Title"), "title"),
        (_("Severity"), level),
        (_("Class"), lambda row: catalogue.working_class_label(row.working_class)),
        (_("RSIT class"), lambda row: catalogue.class_label(row.classification)),
        (_("State"), "get_status_display"),
        ("TLP", "get_tlp_display"),
        (_("Leading unit"), "unit.name"),
        (_("Leader"), "leader.name"),
        (_("Serious incident"), "serious"),
        (_("Personal data affected"), "personal_data"),
        (_("Detected"), "detected_at"),
        (_("Opened"), "created_at"),
        (_("Closed"), "closed_at"),
        (_("Next legal deadline"), "next_due_at"),
        (_("Cause"), "cause"),
        (_("Effect"), "effect"),
        (_("Lessons"), "lessons"),
    ]
