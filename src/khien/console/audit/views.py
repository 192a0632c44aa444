"""The viewer of the audit trail."""

from __future__ import annotations

import json
import tempfile

from django.http import FileResponse, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.utils.translation import gettext as _

from khien.console.accounts.access import needs
from khien.console.audit import search
from khien.console.audit.actions import THINGS, label
from khien.console.audit.models import Entry, Head
from khien.console.audit.services import record
from khien.console.spreadsheets.exports import export_response

_RECENT = 2000


@needs("audit.view")
def listing(request: HttpRequest) -> HttpResponse:
    """The entries, by the filters in the address, the latest first."""
    given = {name: request.GET.get(name, "").strip()[:200] for name in search.FILTERS}
    export = request.GET.get("export", "")
    if export == "ndjson":
        return _ndjson(request, given)
    if export:
        return export_response(request, "audit", _("Audit trail"), _columns(), search.latest_first(request.user, given))
    found = search.page(request.user, given, before=_number(request, "before"), after=_number(request, "after"))
    thing = given["thing"]
    context = {
        "found": found,
        "given": given,
        "filtered": any(given.values()),
        "actions": _actions(given["action"]),
        "thing_text": next((entry.target_text for entry in found.entries if thing), thing),
        "head": Head.objects.filter(pk=1).first(),
    }
    return render(request, "audit/list.html", context)


@needs("audit.view")
def detail(request: HttpRequest, number: int) -> HttpResponse:
    """One entry: who, what, when, from where, and before and after side by side."""
    entry = get_object_or_404(Entry.objects.readable_by(request.user), number=number)
    return render(request, "audit/detail.html", {"entry": entry})


@needs("audit.view")
def of(request: HttpRequest, target_type: str, target_id: str) -> HttpResponse:
    """The history of one thing: a part of a page for htmx, else the list, filtered."""
    if getattr(request, "htmx", False):
        found = Entry.objects.readable_by(request.user).filter(target_type=target_type, target_id=target_id)
        return render(request, "audit/parts/history.html", {"entries": found.order_by("-number")[:200]})
    return redirect(f"{reverse('audit:list')}?{urlencode({'thing': f'{target_type}:{target_id}'})}")


def _number(request: HttpRequest, name: str) -> int | None:
    text = request.GET.get(name, "")
    return int(text) if text.isdecimal() and len(text) < 19 else None


def _actions(chosen: str) -> list[tuple[str, list[tuple[str, str]]]]:
    """What there is to choose: the actions of the latest entries, by thing."""
    latest = Entry.objects.order_by("-number").values_list("action", flat=True)[:_RECENT]
    found = sorted({*latest, chosen} - {""})
    groups: dict[str, list[tuple[str, str]]] = {}
    for action in found:
        thing = action.partition(".")[0]
        groups.setdefault(str(THINGS.get(thing, thing)), []).append((action, label(action)))
    return sorted(groups.items())


def _columns() -> list[tuple[object, object]]:
    return [
        (_("Number"), "number"),
        (_("Time"), "at"),
        (_("Who"), "actor_name"),
        (_("Action"), lambda entry: label(entry.action)),
        (_("Code"), "action"),
        (_("Kind of thing"), "target_type"),
        (_("Thing's number"), "target_id"),
        (_("What"), "target_text"),
        (_("From"), "address"),
        (_("Program"), "agent"),
        (_("Before"), lambda entry: _json(entry.before)),
        (_("After"), lambda entry: _json(entry.after)),
        (_("Digest"), "digest"),
    ]


def _json(value: object) -> str:
    return "" if value is None else json.dumps(value, ensure_ascii=False)


def _ndjson(request: HttpRequest, given: dict[str, str]) -> FileResponse:
    file = tempfile.TemporaryFile()
    count = 0
    for count, entry in enumerate(search.walk(request.user, given), start=1):  # noqa: B007
        file.write(json.dumps(search.as_json(entry), ensure_ascii=False).encode() + b"\n")
    asked = {name: value for name, value in given.items() if value}
    record(request.user, "audit.export", after={"format": "ndjson", "count": count, **asked})
    file.seek(0)
    stamp = timezone.localtime().strftime("%Y%m%d-%H%M")
    return FileResponse(
        file, as_attachment=True, filename=f"audit-{stamp}.ndjson", content_type="application/x-ndjson; charset=utf-8"
    )
