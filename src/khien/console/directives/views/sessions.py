"""Pages of sessions: the list, one as its minutes, planning and changing it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.db.models import Prefetch
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import pgettext
from django.views.decorators.http import require_POST, require_safe

from khien.console.accounts.access import needs
from khien.console.accounts.models import User
from khien.console.directives import documents, sessions
from khien.console.directives.models import Presence, Session, SessionKind, SessionState
from khien.console.directives.rights import demand_office, prepares
from khien.console.directives.selectors import directives_shown, sessions_shown
from khien.console.directives.session_filters import SessionFilter
from khien.console.directives.session_forms import (
    AgendaForm,
    CallForm,
    ConclusionForm,
    MinutesForm,
    SessionForm,
    VersionForm,
)
from khien.console.directives.views.attempts import attempt
from khien.console.directives.views.documents import document_response
from khien.console.spreadsheets.exports import export_response
from khien.console.units.scoping import scope_ids


@require_safe
@needs("directives.view")
def session_list(request: HttpRequest) -> HttpResponse:
    """Sessions one sees, the latest first."""
    asked = {name: request.GET.get(name, "") for name in ("q", "state", "kind")}
    found = SessionFilter(**asked).of(sessions_shown(request.user))
    if "export" in request.GET:
        columns = [
            (_("Number"), "number"),
            (_("Kind"), "get_kind_display"),
            (pgettext("session", "Title"), "title"),
            (_("Begins"), "starts_at"),
            (_("Place"), "place"),
            (_("Chaired by"), "chair.name"),
            (_("State"), "get_state_display"),
            (_("Conclusions"), "conclusion_count"),
        ]
        return export_response(request, "sessions", _("Sessions"), columns, found)
    context = {
        "page": Paginator(found, 50).get_page(request.GET.get("page")),
        "states": SessionState.choices,
        "kinds": SessionKind.choices,
        "prepares": prepares(request.user),
    }
    return render(request, "directives/session_list.html", context)


@require_safe
@needs("directives.view")
def session_detail(request: HttpRequest, pk: int) -> HttpResponse:
    """A session as its minutes."""
    session = _get(request, pk)
    return render(request, "directives/session_detail.html", detail_context(request, session))


def _get(request: HttpRequest, pk: int) -> Session:
    rows = Session.objects.visible_to(request.user).select_related(
        "chair", "chair__unit", "secretary", "secretary__unit"
    )
    return get_object_or_404(rows, pk=pk)


def detail_context(request: HttpRequest, session: Session, **bound: Any) -> dict[str, Any]:
    """What the page shows. `bound`: a form that came back with errors, by its name (and row)."""
    user = request.user
    conclusions = list(
        session.conclusions.prefetch_related(Prefetch("directives", directives_shown(user).order_by("pk"), "seen"))
    )
    edits = prepares(user) and session.state != SessionState.CONCLUDED
    agenda = list(session.agenda.all())
    initial = {"version": session.version}
    forms: dict[str, Any] = {}
    if edits:
        forms = {
            "agenda": AgendaForm(initial=initial, auto_id="id_agenda_%s"),
            "conclusion": ConclusionForm(initial=initial, auto_id="id_conclusion_%s"),
            "minutes": MinutesForm(initial={**initial, "minutes": session.minutes}, auto_id="id_minutes_%s"),
            "call": CallForm(user=user, initial=initial, auto_id="id_call_%s"),
        }
        for row in agenda:
            values = {**initial, "title": row.title, "presenter": row.presenter, "notes": row.notes}
            row.form = bound.pop(f"agenda_{row.pk}", None) or AgendaForm(initial=values, auto_id=f"id_a{row.pk}_%s")
        for row in conclusions:
            values = {**initial, "text": row.text}
            row.form = bound.pop(f"conclusion_{row.pk}", None) or ConclusionForm(
                initial=values, auto_id=f"id_c{row.pk}_%s"
            )
    attendance = list(session.attendance.select_related("appointment", "unit"))
    typed = bound.pop("typed", {})
    for row in attendance:
        row.presence, row.person, row.note = typed.get(row.pk, (row.presence, row.person, row.note))
    forms.update(bound)
    return {
        "session": session,
        "agenda": agenda,
        "attendance": attendance,
        "conclusions": conclusions,
        "edits": edits,
        "prepares": prepares(user),
        "issues": user.may("directives.issue") and scope_ids(user) is None,
        "forms": forms,
        "presences": Presence.choices,
        "presence": [
            (label, rows)
            for value, label in (*Presence.choices[1:], Presence.choices[0])
            if (rows := [row for row in attendance if row.presence == value])
        ],
        "attendance_open": bool(typed),
    }


@needs("sessions.prepare")
def session_new(request: HttpRequest) -> HttpResponse:
    """Plan a session."""
    demand_office(request.user)
    form = SessionForm(request.POST or None, user=request.user)
    if request.method == "POST" and form.is_valid():
        try:
            session = sessions.plan(request.user, **form.values())
        except ValidationError as error:
            form.add_error("number", error.messages)
        else:
            messages.success(request, _("The session is planned."))
            return redirect("sessions:detail", session.pk)
    return render(request, "directives/session_form.html", {"form": form, "session": None})


@needs("sessions.prepare")
def session_edit(request: HttpRequest, pk: int) -> HttpResponse:
    """Change what a session is."""
    session = _get(request, pk)
    demand_office(request.user)
    form = SessionForm(request.POST or None, instance=session, user=request.user)
    status = 200
    if request.method == "POST":
        status = attempt(form, lambda version: sessions.edit(request.user, pk, version, **form.values()))
        if status == 200:
            messages.success(request, _("Saved."))
            return redirect("sessions:detail", pk)
    now = _get(request, pk)
    return render(request, "directives/session_form.html", {"form": form, "session": now}, status=status)


Change = Callable[[Any, int, int | None, dict[str, Any]], Session]


def _change(
    request: HttpRequest, pk: int, form: VersionForm, name: str, change: Change, *, anchor: str = "", **kept: Any
) -> HttpResponse:
    """Do a change of a session that a form on its page asks for.

    If it cannot be done, the page comes back with what was written: in the form, and in `kept`.
    """
    _get(request, pk)

    def work(version: int | None) -> None:
        change(request.user, pk, version, {key: value for key, value in form.cleaned_data.items() if key != "version"})

    status = attempt(form, work)
    if status == 200:
        return redirect(f"/sessions/{pk}/{anchor}")
    context = detail_context(request, _get(request, pk), **{name: form, **kept})
    return render(request, "directives/session_detail.html", context, status=status)


@require_POST
@needs("sessions.prepare")
def session_agenda(request: HttpRequest, pk: int, item: int | None = None) -> HttpResponse:
    """Add a point to the agenda, change one, move it or take it off (`do`: save, up, down, remove)."""
    session = _get(request, pk)
    if item is not None:
        get_object_or_404(session.agenda, pk=item)
    do = request.POST.get("do", "save")
    name = "agenda" if item is None else f"agenda_{item}"
    if item is None or do == "save":
        form: VersionForm = AgendaForm(request.POST, auto_id=f"id_{name}_%s")
        change = lambda by, pk, version, values: sessions.set_agenda_item(by, pk, version, item=item, **values)  # noqa: E731
        return _change(request, pk, form, name, change, anchor="#agenda")
    form = VersionForm(request.POST)
    if do == "remove":
        change = lambda by, pk, version, values: sessions.remove_agenda_item(by, pk, version, item)  # noqa: E731
    else:
        change = lambda by, pk, version, values: sessions.move_agenda_item(by, pk, version, item, up=do == "up")  # noqa: E731
    return _change(request, pk, form, "problem", change, anchor="#agenda")


@require_POST
@needs("sessions.prepare")
def session_call(request: HttpRequest, pk: int) -> HttpResponse:
    """Call the seats held today and units."""

    def change(by: User, pk: int, version: int, values: dict[str, Any]) -> Session:
        seats = sessions.current_seats() if values["seats"] else []
        return sessions.call(by, pk, version, appointments=seats, units=values["units"])

    form = CallForm(request.POST, user=request.user, auto_id="id_call_%s")
    return _change(request, pk, form, "call", change, anchor="#attendance")


@require_POST
@needs("sessions.prepare")
def session_uncall(request: HttpRequest, pk: int, attendance: int) -> HttpResponse:
    """Take somebody off the list of those called."""
    get_object_or_404(_get(request, pk).attendance, pk=attendance)
    change = lambda by, pk, version, values: sessions.uncall(by, pk, version, attendance)  # noqa: E731
    return _change(request, pk, VersionForm(request.POST), "problem", change, anchor="#attendance")


@require_POST
@needs("sessions.prepare")
def session_attendance(request: HttpRequest, pk: int) -> HttpResponse:
    """Write down who came: `presence_<id>`, `person_<id>`, `note_<id>`."""
    rows = {
        row.pk: tuple(
            request.POST.get(f"{name}_{row.pk}", getattr(row, name)) for name in ("presence", "person", "note")
        )
        for row in _get(request, pk).attendance.all()
    }
    change = lambda by, pk, version, values: sessions.record_attendance(by, pk, version, rows)  # noqa: E731
    return _change(request, pk, VersionForm(request.POST), "problem", change, anchor="#attendance", typed=rows)


@require_POST
@needs("sessions.prepare")
def session_minutes(request: HttpRequest, pk: int) -> HttpResponse:
    """Write the minutes."""
    form = MinutesForm(request.POST, auto_id="id_minutes_%s")
    change = lambda by, pk, version, values: sessions.write_minutes(by, pk, version, **values)  # noqa: E731
    return _change(request, pk, form, "minutes", change, anchor="#minutes")


@require_POST
@needs("sessions.prepare")
def session_conclusion(request: HttpRequest, pk: int, conclusion: int | None = None) -> HttpResponse:
    """Add a conclusion, change one or take it out (`do`: save, remove)."""
    session = _get(request, pk)
    if conclusion is not None:
        get_object_or_404(session.conclusions, pk=conclusion)
        if request.POST.get("do") == "remove":
            change = lambda by, pk, version, values: sessions.remove_conclusion(by, pk, version, conclusion)  # noqa: E731
            return _change(request, pk, VersionForm(request.POST), "problem", change, anchor="#conclusions")
    name = "conclusion" if conclusion is None else f"conclusion_{conclusion}"
    form = ConclusionForm(request.POST, auto_id=f"id_{name}_%s")
    change = lambda by, pk, version, values: sessions.set_conclusion(by, pk, version, conclusion=conclusion, **values)  # noqa: E731
    return _change(request, pk, form, name, change, anchor="#conclusions")


@require_POST
@needs("sessions.prepare")
def session_state(request: HttpRequest, pk: int, verb: str) -> HttpResponse:
    """The session is held, concluded, or opened again for a correction."""
    services = {"hold": sessions.hold, "conclude": sessions.conclude, "reopen": sessions.reopen}
    change = lambda by, pk, version, values: services[verb](by, pk, version)  # noqa: E731
    return _change(request, pk, VersionForm(request.POST), "problem", change)


@require_safe
@needs("directives.view")
def session_document(request: HttpRequest, pk: int, what: str, kind: str) -> HttpResponse:
    """The minutes, or the notice of the conclusions, as docx or pdf."""
    return document_response(request, lambda: documents.session_document(request.user, pk, what, kind))
