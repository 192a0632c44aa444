"""Preparing, holding and concluding sessions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import Max, ProtectedError, QuerySet
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from khien.console.accounts.access import demand
from khien.console.accounts.models import User
from khien.console.accounts.roles import roles_with
from khien.console.audit.services import hold_trail, record
from khien.console.concurrency import locked
from khien.console.directives.models import (
    AgendaItem,
    Attendance,
    Conclusion,
    Presence,
    Session,
    SessionKind,
    SessionState,
)
from khien.console.directives.rights import demand_office, people_of
from khien.console.notifications.services import notify
from khien.console.units.models import Appointment, Unit

_FIELDS = ("kind", "title", "starts_at", "ends_at", "place", "chair", "secretary")


def plan(
    by: User,
    *,
    title: str,
    starts_at: datetime,
    kind: str = SessionKind.REGULAR,
    ends_at: datetime | None = None,
    place: str = "",
    chair: User | None = None,
    secretary: User | None = None,
    number: str = "",
) -> Session:
    """Plan a session; without a number it gets the next of its year. Raises ValidationError for a number taken."""
    demand(by, "sessions.prepare")
    demand_office(by)
    _demand_end_after(starts_at, ends_at)
    try:
        with transaction.atomic():
            hold_trail()  # one at a time, so that two get different numbers
            _demand_people(by, chair, secretary)
            session = Session.objects.create(
                kind=kind,
                number=number.strip() or _next_number(timezone.localtime(starts_at).year),
                title=title.strip(),
                starts_at=starts_at,
                ends_at=ends_at,
                place=place,
                chair=chair,
                secretary=secretary,
                created_by=by,
            )
            record(by, "session.plan", session, after=_plain(session))
    except IntegrityError:
        raise ValidationError({"number": _("There is a session with this number already.")}) from None
    return session


def _next_number(year: int) -> str:
    start = f"PH-{year}-"
    taken = Session.objects.filter(number__startswith=start).values_list("number", flat=True)
    ends = [int(number.removeprefix(start)) for number in taken if number.removeprefix(start).isdecimal()]
    return f"{start}{max(ends, default=0) + 1:02}"


def _plain(session: Session) -> dict[str, Any]:
    return {
        "number": session.number,
        "kind": str(session.kind),
        "title": session.title,
        "starts_at": session.starts_at,
        "ends_at": session.ends_at,
        "place": session.place,
        "chair": session.chair_id,
        "secretary": session.secretary_id,
        "state": str(session.state),
    }


def _held(by: User, pk: int, version: int | None) -> Session:
    """A session that can still be changed, held until the end of the transaction."""
    demand(by, "sessions.prepare")
    demand_office(by)
    session = locked(Session, pk, version, by=by)
    if session.state == SessionState.CONCLUDED:
        raise ValidationError(_("The session is concluded: its minutes stand."))
    return session


def _keep(
    by: User,
    session: Session,
    verb: str,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> Session:
    session.version += 1
    session.save()
    record(by, f"session.{verb}", session, before=before, after=after)
    return session


@transaction.atomic
def edit(by: User, pk: int, version: int | None, **fields: Any) -> Session:
    """Change what a session is: kind, title, starts_at, ends_at, place, chair, secretary."""
    session = _held(by, pk, version)
    before = _plain(session)
    for name in _FIELDS:
        if name in fields:
            setattr(session, name, fields[name])
    _demand_end_after(session.starts_at, session.ends_at)
    _demand_people(by, fields.get("chair"), fields.get("secretary"))
    return _keep(by, session, "edit", before, _plain(session))


def people(by: User) -> QuerySet[User]:
    """Those whom a person sees, who can chair a session or write its minutes."""
    found = User.objects.visible_to(by).filter(is_active=True, role__in=roles_with("directives.view"))
    return found.order_by("name", "id")


def _demand_people(by: User, chair: User | None, secretary: User | None) -> None:
    for name, person in (("chair", chair), ("secretary", secretary)):
        if person is not None and not people(by).filter(pk=person.pk).exists():
            raise ValidationError({name: _("Choose a person who may open sessions.")})


def _demand_end_after(starts_at: datetime, ends_at: datetime | None) -> None:
    if ends_at is not None and ends_at <= starts_at:
        raise ValidationError({"ends_at": _("The session ends after it begins.")})


@transaction.atomic
def set_agenda_item(
    by: User,
    pk: int,
    version: int | None,
    *,
    item: int | None = None,
    title: str,
    presenter: str = "",
    notes: str = "",
) -> Session:
    """Add a point to the agenda, or change one."""
    session = _held(by, pk, version)
    if item is None:
        last = session.agenda.aggregate(last=Max("position"))["last"] or 0
        row = AgendaItem(session=session, position=last + 1)
        before = None
    else:
        row = session.agenda.get(pk=item)
        before = {"title": row.title, "presenter": row.presenter, "notes": row.notes}
    row.title, row.presenter, row.notes = title.strip(), presenter.strip(), notes.strip()
    row.save()
    return _keep(by, session, "agenda", before, {"title": row.title, "presenter": row.presenter, "notes": row.notes})


@transaction.atomic
def remove_agenda_item(by: User, pk: int, version: int | None, item: int) -> Session:
    """Take a point off the agenda; those below move up."""
    session = _held(by, pk, version)
    row = session.agenda.get(pk=item)
    row.delete()
    _number_anew(session.agenda.all(), "position")
    return _keep(by, session, "agenda", {"title": row.title}, None)


@transaction.atomic
def move_agenda_item(by: User, pk: int, version: int | None, item: int, *, up: bool) -> Session:
    """Move a point of the agenda one place up or down."""
    session = _held(by, pk, version)
    rows = list(session.agenda.all())
    place = next((n for n, row in enumerate(rows) if row.pk == item), None)
    if place is None:
        raise AgendaItem.DoesNotExist
    other = place - 1 if up else place + 1
    if 0 <= other < len(rows):
        rows[place], rows[other] = rows[other], rows[place]
        _number_anew(rows, "position")
    return _keep(by, session, "agenda", None, {"order": [row.title for row in rows]})


def _number_anew(rows: Iterable[Any], field: str) -> None:
    for number, row in enumerate(rows, 1):
        if getattr(row, field) != number:
            setattr(row, field, number)
            row.save(update_fields=[field])


@transaction.atomic
def call(
    by: User, pk: int, version: int | None, *, appointments: Iterable[Appointment] = (), units: Iterable[Unit] = ()
) -> Session:
    """Call holders of seats and units to a session. Those called already stay as they are."""
    session = _held(by, pk, version)
    called = list(session.attendance.all())
    seats = {each.appointment_id for each in called}
    known = {each.unit_id for each in called}
    new = [
        Attendance(session=session, appointment=each, person=each.person)
        for each in appointments
        if each.pk not in seats
    ]
    new += [Attendance(session=session, unit=each) for each in units if each.pk not in known]
    for each in new:
        each.save()
    notify(
        _people_of(new),
        "session.call",
        CALLED,
        {"number": session.number, "title": session.title},
        url=reverse("sessions:detail", args=[session.pk]),
    )
    return _keep(by, session, "call", None, {"called": [each.who for each in new]})


CALLED = gettext_noop("Called to session %(number)s: %(title)s")


def _people_of(called: Iterable[Attendance]) -> list[User]:
    """Who is told: the holder of a seat, the people of a unit that may open sessions."""
    found: list[User] = []
    for each in called:
        if each.appointment is None:
            found += people_of(each.unit, "directives.view")
        elif each.appointment.user is not None:
            found.append(each.appointment.user)
    return found


def current_seats() -> list[Appointment]:
    """The seats of the subcommittee that are held today."""
    today = timezone.localdate()
    rows = Appointment.objects.filter(starts_on__lte=today).exclude(ends_on__lt=today).select_related("unit", "user")
    order = {"chair": 0, "deputy": 1, "member": 2, "support": 3}
    return sorted(rows, key=lambda each: (order.get(each.seat, 9), each.person))


@transaction.atomic
def uncall(by: User, pk: int, version: int | None, attendance: int) -> Session:
    """Take somebody off the list of those called."""
    session = _held(by, pk, version)
    row = session.attendance.select_related("appointment", "unit").get(pk=attendance)
    row.delete()
    return _keep(by, session, "uncall", {"called": row.who}, None)


@transaction.atomic
def record_attendance(by: User, pk: int, version: int | None, rows: Mapping[int, tuple[str, str, str]]) -> Session:
    """Write down who came: by the id of each attendance its presence, the person and a note."""
    session = _held(by, pk, version)
    before, after = {}, {}
    for row in session.attendance.select_related("appointment", "unit"):
        if row.pk not in rows:
            continue
        presence, person, note = rows[row.pk]
        if presence not in Presence.values:
            raise ValidationError(_("There is no such presence."))
        if presence == Presence.SUBSTITUTE and not person.strip():
            raise ValidationError(_("Name the substitute of %(who)s.") % {"who": row.who})
        old, new = (row.presence, row.person, row.note), (presence, person.strip()[:160], note.strip()[:200])
        if old != new:
            row.presence, row.person, row.note = new
            row.save()
            before[row.who], after[row.who] = old, new
    return _keep(by, session, "attendance", before, after)


@transaction.atomic
def hold(by: User, pk: int, version: int | None) -> Session:
    """The session took place; its minutes are being written."""
    session = _held(by, pk, version)
    before = _plain(session)
    session.state = SessionState.HELD
    return _keep(by, session, "hold", before, _plain(session))


@transaction.atomic
def write_minutes(by: User, pk: int, version: int | None, minutes: str) -> Session:
    """Write the minutes."""
    session = _held(by, pk, version)
    before, session.minutes = session.minutes, minutes.strip()
    return _keep(by, session, "minutes", {"minutes": before}, {"minutes": session.minutes})


@transaction.atomic
def set_conclusion(by: User, pk: int, version: int | None, *, conclusion: int | None = None, text: str) -> Session:
    """Add a conclusion under the next number, or change one."""
    session = _held(by, pk, version)
    if not text.strip():
        raise ValidationError({"text": _("Write the conclusion.")})
    if conclusion is None:
        last = session.conclusions.aggregate(last=Max("number"))["last"] or 0
        row, before = Conclusion(session=session, number=last + 1), None
    else:
        row = session.conclusions.get(pk=conclusion)
        before = {"number": row.number, "text": row.text}
    row.text = text.strip()
    row.save()
    return _keep(by, session, "conclusion", before, {"number": row.number, "text": row.text})


@transaction.atomic
def remove_conclusion(by: User, pk: int, version: int | None, conclusion: int) -> Session:
    """Take a conclusion out that no directive comes from; those below move up."""
    session = _held(by, pk, version)
    row = session.conclusions.get(pk=conclusion)
    try:
        row.delete()
    except ProtectedError:
        raise ValidationError(_("A directive comes from this conclusion: it stays.")) from None
    _number_anew(session.conclusions.all(), "number")
    return _keep(by, session, "conclusion", {"text": row.text}, None)


@transaction.atomic
def conclude(by: User, pk: int, version: int | None) -> Session:
    """Close the minutes: nothing in them is changed any more."""
    session = _held(by, pk, version)
    if session.state != SessionState.HELD:
        raise ValidationError(_("A session is concluded after it was held."))
    if not session.conclusions.exists():
        raise ValidationError(_("A session is concluded with at least one conclusion."))
    before = _plain(session)
    session.state, session.concluded_at = SessionState.CONCLUDED, timezone.now()
    return _keep(by, session, "conclude", before, _plain(session))


@transaction.atomic
def reopen(by: User, pk: int, version: int | None) -> Session:
    """Open concluded minutes for a correction. Needs `directives.issue`."""
    demand(by, "directives.issue")
    demand_office(by)
    session = locked(Session, pk, version, by=by)
    if session.state != SessionState.CONCLUDED:
        raise ValidationError(_("The session is not concluded."))
    before = _plain(session)
    session.state, session.concluded_at = SessionState.HELD, None
    return _keep(by, session, "reopen", before, _plain(session))
