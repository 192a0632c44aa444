"""The subcommittee's people: who holds which seat, by which decision, from when until when."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from khien.console.accounts.access import demand
from khien.console.accounts.models import User
from khien.console.audit.services import hold_trail, record
from khien.console.concurrency import locked
from khien.console.units.models import Appointment, Seat
from khien.console.units.scoping import scope_ids

FIELDS = (
    "seat", "user", "person", "position", "unit", "decision_number", "decision_date", "starts_on", "ends_on",
)  # fmt: skip
_ORDER = {seat: place for place, seat in enumerate(Seat.values)}


def may_appoint(user: User) -> bool:
    """Whether a person keeps the subcommittee's list: those who manage units and see all of them."""
    return user.may("units.manage") and scope_ids(user) is None


def sitting_on(day: date) -> list[Appointment]:
    """Who held a seat on a day, chair first."""
    rows = (
        Appointment.objects.filter(starts_on__lte=day)
        .filter(Q(ends_on=None) | Q(ends_on__gte=day))
        .select_related("unit", "user", "replaces")
    )
    return sorted(rows, key=lambda row: (_ORDER[row.seat], row.starts_on, row.pk))


def history() -> QuerySet[Appointment]:
    """All appointments, latest first."""
    return Appointment.objects.select_related("unit", "user", "replaces").order_by("-starts_on", "-id")


def state_of(row: Appointment) -> dict[str, Any]:
    """What the audit trail keeps of an appointment."""
    return {
        "seat": row.seat,
        "person": row.person,
        "user": row.user.email if row.user else "",
        "position": row.position,
        "unit": row.unit.code if row.unit else "",
        "decision_number": row.decision_number,
        "decision_date": row.decision_date,
        "starts_on": row.starts_on,
        "ends_on": row.ends_on,
        "end_reason": row.end_reason,
    }


def appoint(by: User, **fields: Any) -> Appointment:
    """Give somebody a seat. `fields`: of FIELDS. Raises ValidationError when the seat of the chair is held."""
    _demand(by)
    with transaction.atomic():
        hold_trail()  # one at a time, so that nobody takes a seat while another is looked at
        row = Appointment(**fields)
        _check(row)
        row.save()
        record(by, "appointment.create", row, after=state_of(row))
    return row


def replace(by: User, pk: int, version: int | None, **fields: Any) -> Appointment:
    """Somebody else takes a seat: the old term ends the day before the new one starts.

    Raises Changed, ValidationError.
    """
    _demand(by)
    with transaction.atomic():
        old = _held(pk, version)
        fields.pop("seat", None)
        row = Appointment(**fields, seat=old.seat, replaces=old)
        if row.starts_on is None or row.starts_on <= old.starts_on:
            raise ValidationError({"starts_on": _("The new term starts after the old one.")})
        if old.ends_on is not None and old.ends_on < row.starts_on - timedelta(days=1):
            raise ValidationError({"starts_on": _("The old term has already ended; appoint somebody instead.")})
        _end(by, old, row.starts_on - timedelta(days=1), _("Replaced by %(person)s") % {"person": row.person})
        _check(row)
        row.save()
        record(by, "appointment.create", row, after={**state_of(row), "replaces": old.pk})
    return row


def end(by: User, pk: int, version: int | None, ends_on: date, reason: str) -> Appointment:
    """End a term. `ends_on`: the last day of it. Raises Changed, ValidationError."""
    _demand(by)
    with transaction.atomic():
        row = _held(pk, version)
        if not reason.strip():
            raise ValidationError({"reason": _("Say why the term ends, such as the decision's number.")})
        _end(by, row, ends_on, reason.strip())
    return row


def correct(by: User, pk: int, version: int | None, **fields: Any) -> Appointment:
    """Mend what was written wrongly; the audit trail keeps what stood there. Raises Changed, ValidationError."""
    _demand(by)
    with transaction.atomic():
        row = _held(pk, version)
        before = state_of(row)
        for name in FIELDS:
            if name in fields:
                setattr(row, name, fields[name])
        _check(row)
        row.version += 1
        row.save()
        record(by, "appointment.correct", row, before=before, after=state_of(row))
    return row


def _demand(by: User) -> None:
    demand(by, "units.manage")
    if not may_appoint(by):
        raise PermissionDenied


def _held(pk: int, version: int | None) -> Appointment:
    return locked(Appointment, pk, version)


def _end(by: User, row: Appointment, ends_on: date, reason: str) -> None:
    if ends_on < row.starts_on:
        raise ValidationError({"ends_on": _("A term cannot end before it starts.")})
    before = {"ends_on": row.ends_on, "end_reason": row.end_reason}
    row.ends_on, row.end_reason = ends_on, reason[:200]
    row.version += 1
    row.save()
    record(by, "appointment.end", row, before=before, after={"ends_on": ends_on, "end_reason": row.end_reason})


def _check(row: Appointment) -> None:
    row.person = row.person.strip() or (row.user.name if row.user else "")
    row.full_clean(exclude=["user", "unit", "replaces"])
    if row.ends_on is not None and row.ends_on < row.starts_on:
        raise ValidationError({"ends_on": _("A term cannot end before it starts.")})
    others = Appointment.objects.filter(seat=row.seat).exclude(pk=row.pk)
    if row.ends_on is not None:
        others = others.filter(starts_on__lte=row.ends_on)
    others = others.filter(Q(ends_on=None) | Q(ends_on__gte=row.starts_on))
    if row.seat == Seat.CHAIR and (other := others.first()):
        raise ValidationError(
            {
                "starts_on": _("%(person)s is the chair from %(start)s; replace that person instead.")
                % {"person": other.person, "start": date_format(other.starts_on)}
            }
        )
    same = others.filter(user=row.user) if row.user else others.filter(user=None, person=row.person, unit=row.unit)
    if same.exists():
        raise ValidationError({"person": _("This person already holds this seat at that time.")})
