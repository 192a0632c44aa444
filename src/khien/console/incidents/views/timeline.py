"""The timeline: its picture, its entries, writing into it."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from khien.console.accounts.access import needs
from khien.console.concurrency import Changed
from khien.console.frame.forms import take_errors
from khien.console.incidents import selectors, timeline
from khien.console.incidents.forms import EntryForm, MailForm, MendForm
from khien.console.incidents.models import ClockState, EntryKind, Incident, IncidentEntry, IncidentStatus
from khien.console.incidents.views.reading import back, form_page, seen

LISTED = 300
"""Lines of the list; the picture has all."""


def timeline_context(request: HttpRequest, incident: Incident) -> dict[str, Any]:
    """What the timeline shows: `?kind=` narrows the list, the picture always has all."""
    kinds = [kind for kind in request.GET.getlist("kind") if kind in EntryKind.values]
    moments = selectors.timeline(request.user, incident)
    shown = [moment for moment in moments if not kinds or moment.kind in kinds]
    present = {moment.kind for moment in moments}
    return {
        "moments": shown[::-1][:LISTED],
        "moment_count": len(shown),
        "kinds": [(kind.value, kind.label, kind.value in kinds) for kind in EntryKind if kind.value in present],
        "kinds_chosen": kinds,
        "picture": _picture(incident, moments),
        "may_write": request.user.may("incidents.work") and incident.status != IncidentStatus.MERGED,
        "may_mend_all": request.user.may("incidents.lead"),
    }


def _picture(incident: Incident, moments: list[selectors.Moment]) -> dict[str, Any]:
    """Points and deadlines for the picture; times in milliseconds since 1970."""
    return {
        "points": [
            {
                "key": moment.key,
                "at": int(moment.at.timestamp() * 1000),
                "attack": moment.is_attack,
                "kind": moment.kind_label,
                "name": moment.kind,
                "level": moment.level,
                "text": (moment.mail.get("subject") or moment.text)[:200],
                "by": moment.by.name if moment.by else "",
            }
            for moment in moments
        ],
        "deadlines": [
            {"at": int(clock.due_at.timestamp() * 1000), "text": clock.label, "open": clock.is_open}
            for clock in incident.clocks.exclude(state=ClockState.WITHDRAWN)
        ],
        "now": int(timezone.now().timestamp() * 1000) if incident.is_working else None,
        "words": {
            "attack": _("Attack"),
            "ours": _("What we did"),
            "now": _("Now"),
            "more": _("more here: zoom in"),
            "empty": _("Nothing has happened yet."),
        },
    }


@require_GET
@needs("incidents.view")
def part(request: HttpRequest, pk: int) -> HttpResponse:
    """The timeline alone, for a filter or after writing."""
    incident = seen(request, pk)
    context = {"incident": incident, "entry_form": EntryForm(), **timeline_context(request, incident)}
    return render(request, "incidents/timeline.html", context)


@require_POST
@needs("incidents.work")
def write(request: HttpRequest, pk: int) -> HttpResponse:
    """A quick note, action or event."""
    incident = seen(request, pk)
    form = EntryForm(request.POST)
    if form.is_valid():
        values = form.cleaned_data
        try:
            timeline.write_entry(request.user, pk, kind=values["kind"], text=values["text"], at=values["at"])
        except ValidationError as error:
            take_errors(form, error)
        else:
            if not request.htmx:
                return back(pk, "timeline")
            form = EntryForm(initial={"kind": values["kind"]})
    context = {"incident": incident, "entry_form": form, **timeline_context(request, incident)}
    template = "incidents/timeline.html" if request.htmx else "incidents/timeline_page.html"
    return render(request, template, context, status=400 if form.is_bound and form.errors else 200)


@require_http_methods(["GET", "POST"])
@needs("incidents.work")
def mend(request: HttpRequest, pk: int) -> HttpResponse:
    """Another wording or time for an entry."""
    entry = get_object_or_404(IncidentEntry.objects.visible_to(request.user), pk=pk)
    incident = seen(request, entry.incident_id)
    initial = {"version": entry.version, "text": entry.text, "at": entry.at}
    form = MendForm(request.POST or None, initial=initial)
    conflict, current = "", []
    if request.method == "POST" and form.is_valid():
        values = form.cleaned_data
        try:
            timeline.mend_entry(request.user, pk, values["version"], text=values["text"], at=values["at"])
        except Changed as changed:
            conflict, current = str(changed.message), [(_("Text"), changed.current.text)]
            form.data = {**form.data.dict(), "version": changed.current.version}
        except ValidationError as error:
            take_errors(form, error)
        else:
            return back(entry.incident_id, "timeline")
    return form_page(
        request, incident, form, title=_("Mend entry"), submit=_("Save"), conflict=conflict, current=current
    )


@require_http_methods(["GET", "POST"])
@needs("incidents.work")
def mail(request: HttpRequest, pk: int) -> HttpResponse:
    """Keep a mail that was sent or received."""
    incident = seen(request, pk)
    form = MailForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            timeline.record_mail(request.user, pk, **form.cleaned_data)
        except ValidationError as error:
            take_errors(form, error)
        else:
            messages.success(request, _("The mail is in the timeline."))
            return back(pk, "timeline")
    return form_page(request, incident, form, title=_("Record a mail"), submit=_("Record"))
