"""The tree of units, and the list as a file."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from khien.console.accounts.access import needs
from khien.console.spreadsheets.exports import export_response
from khien.console.units.importing import EXPORT_COLUMNS
from khien.console.units.models import UnitKind
from khien.console.units.selectors import COUNTS, tree
from khien.console.units.subcommittee import may_appoint


@require_GET
@needs("units.view")
def units(request: HttpRequest) -> HttpResponse:
    """The units one sees, as a tree; `?text=`, `?kind=` and `?inactive=1` narrow or widen it."""
    text, kind = request.GET.get("text", ""), request.GET.get("kind", "")
    inactive = request.GET.get("inactive") == "1"
    nodes = tree(request.user, text=text, kind=kind, inactive=inactive)
    if request.GET.get("export"):
        rows = [node.unit for node in nodes if node.matches]
        by_pk = {node.unit.pk: node for node in nodes}
        for unit in rows:  # those above are here already, or not seen
            unit.parent = by_pk[unit.parent_id].unit if unit.parent_id in by_pk else None
        return export_response(request, "units", _("Units"), EXPORT_COLUMNS, rows)
    shown = {name for node in nodes for name, count in node.counts.items() if count is not None}
    context = {
        "nodes": nodes,
        "columns": [name for name in COUNTS if name in shown],
        "kinds": UnitKind.objects.all(),
        "text": text,
        "kind": kind,
        "inactive": inactive,
        "filtered": bool(text or kind),
        "found": sum(node.matches for node in nodes),
        "may_manage": request.user.may("units.manage"),
        "sees_all": may_appoint(request.user),
    }
    return render(request, "units/tree.html", context)
