"""Drafting, issuing, amending and ending directives."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import Max
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from khien.console.accounts.access import demand
from khien.console.accounts.models import User
from khien.console.audit.services import hold_trail, record
from khien.console.concurrency import locked
from khien.console.directives import checking
from khien.console.directives.models import (
    OPEN,
    Amendment,
    AmendmentKind,
    Conclusion,
    Directive,
    DirectiveState,
    DirectiveUnit,
    Session,
)
from khien.console.directives.rights import chairs, demand_office
from khien.console.directives.tasks import create_task
from khien.console.notifications.services import notify
from khien.console.units.models import Unit

Units = Mapping[Unit, datetime | None]
"""Units a directive tells, each with a due time of its own or None for the directive's."""


def _plain(directive: Directive) -> dict[str, Any]:
    return {
        "number": directive.label,
        "title": directive.title,
        "basis": directive.basis,
        "text": directive.text,
        "due_at": directive.due_at,
        "state": str(directive.state),
        "units": {row.unit.code: row.due_at for row in directive.units.select_related("unit") if not row.removed_at},
    }


def _held(by: User, pk: int, version: int | None, capability: str, state: DirectiveState) -> Directive:
    demand(by, capability)
    demand_office(by)
    directive = locked(Directive, pk, version, by=by)
    if directive.state != state:
        raise ValidationError(
            _("The directive is %(state)s: this is not possible now.")
            % {"state": directive.get_state_display().lower()}
        )
    return directive


def _keep(by: User, directive: Directive, verb: str, before: Mapping[str, Any]) -> Directive:
    directive.version += 1
    directive.save()
    record(by, f"directive.{verb}", directive, before=before, after=_plain(directive))
    return directive


def draft(
    by: User,
    *,
    title: str,
    text: str,
    due_at: datetime,
    units: Units,
    basis: str = "",
    sign: str = "",
    conclusion: Conclusion | None = None,
) -> Directive:
    """Draft a directive, and tell those who issue. `conclusion`: of a session that `by` sees."""
    demand(by, "sessions.prepare")
    demand_office(by)
    with transaction.atomic():
        hold_trail()  # the conclusion is not taken out of its session meanwhile
        if conclusion is not None:
            conclusion = Conclusion.objects.get(pk=conclusion.pk, session__in=Session.objects.visible_to(by))
        directive = Directive(
            title=title.strip(), text=text, basis=basis, due_at=due_at, conclusion=conclusion, created_by=by
        )
        if sign.strip():
            directive.sign = sign.strip()
        directive.save()
        _set_units(by, directive, units)
        record(by, "directive.draft", directive, after=_plain(directive))
        notify(
            [each for each in chairs() if each != by],
            "directive.draft",
            DRAFT,
            {"title": directive.title},
            url=reverse("directives:detail", args=[directive.pk]),
        )
    return directive


DRAFT = gettext_noop("A directive waits to be issued: %(title)s")


def _set_units(by: User, directive: Directive, units: Units) -> None:
    if not units:
        raise ValidationError({"units": _("Choose at least one unit.")})
    seen = Unit.objects.visible_to(by).filter(is_active=True, pk__in=[unit.pk for unit in units])
    if seen.count() != len(units):
        raise ValidationError({"units": _("Choose units that you see.")})
    directive.units.exclude(unit__in=list(units)).delete()
    for unit, due in units.items():
        DirectiveUnit.objects.update_or_create(directive=directive, unit=unit, defaults={"due_at": due})


@transaction.atomic
def edit_draft(by: User, pk: int, version: int | None, *, units: Units, **fields: Any) -> Directive:
    """Change a draft: title, text, basis, sign, due_at and its units."""
    directive = _held(by, pk, version, "sessions.prepare", DirectiveState.DRAFT)
    before = _plain(directive)
    for name in ("title", "text", "basis", "sign", "due_at"):
        if name in fields:
            setattr(directive, name, fields[name])
    _set_units(by, directive, units)
    return _keep(by, directive, "edit", before)


@transaction.atomic
def discard(by: User, pk: int, version: int | None) -> None:
    """Throw a draft away; the audit trail keeps its text."""
    directive = _held(by, pk, version, "sessions.prepare", DirectiveState.DRAFT)
    record(by, "directive.discard", directive, before=_plain(directive))
    directive.delete()


def issue(by: User, pk: int, version: int | None, *, number: int | None = None) -> Directive:
    """Sign and issue a draft: it gets its number (the next of its sign and year, unless given), each unit its task."""
    try:
        with transaction.atomic():
            directive = _held(by, pk, version, "directives.issue", DirectiveState.DRAFT)
            before, now = _plain(directive), timezone.now()
            directive.year = timezone.localtime(now).year
            directive.number = number or _next_number(directive)
            directive.state, directive.issued_at, directive.signer = DirectiveState.ISSUED, now, by
            _keep(by, directive, "issue", before)
            rows = list(directive.units.select_related("unit"))
            if not rows:
                raise ValidationError(_("A directive needs at least one unit."))
            for row in rows:
                _demand_ahead(row.due_at or directive.due_at)
            for row in rows:
                _give(by, directive, row)
    except IntegrityError:
        raise ValidationError({"number": _("There is a directive with this number already.")}) from None
    return directive


def _next_number(directive: Directive) -> int:
    taken = Directive.objects.filter(year=directive.year, sign=directive.sign)
    return (taken.aggregate(last=Max("number"))["last"] or 0) + 1


def _give(by: User, directive: Directive, row: DirectiveUnit) -> None:
    create_task(
        by,
        unit=row.unit,
        title=directive.title,
        text=directive.text,
        due_at=row.due_at or directive.due_at,
        directive=directive,
    )


@transaction.atomic
def amend_due(
    by: User, pk: int, version: int | None, *, due_at: datetime, reason: str, unit: Unit | None = None
) -> Directive:
    """Another due time: of one unit, or of the directive and all units without one of their own."""
    directive = _held(by, pk, version, "directives.issue", DirectiveState.ISSUED)
    _demand_reason(reason)
    _demand_ahead(due_at)
    before = _plain(directive)
    rows = directive.units.filter(removed_at=None)
    if unit is None:
        old, directive.due_at = directive.due_at, due_at
        moved = [row.unit_id for row in rows if row.due_at is None]
    else:
        row = rows.get(unit=unit)
        old, row.due_at = row.due_at or directive.due_at, due_at
        row.save()
        moved = [unit.pk]
    _amend(by, directive, AmendmentKind.DUE, unit, reason, old, due_at)
    for task in directive.tasks.select_for_update(of=("self",)).filter(unit__in=moved, state__in=OPEN):
        checking.move(by, task, due_at, reason)
    return _keep(by, directive, "amend", before)


@transaction.atomic
def add_unit(
    by: User, pk: int, version: int | None, *, unit: Unit, reason: str, due_at: datetime | None = None
) -> Directive:
    """Tell one more unit; it gets its task at once."""
    directive = _held(by, pk, version, "directives.issue", DirectiveState.ISSUED)
    _demand_reason(reason)
    _demand_ahead(due_at or directive.due_at)
    before = _plain(directive)
    row = directive.units.filter(unit=unit).first()
    if row is not None and row.removed_at is None:
        raise ValidationError({"unit": _("The directive tells this unit already.")})
    row = row or DirectiveUnit(directive=directive, unit=unit)
    row.due_at, row.removed_at = due_at, None
    row.save()
    _amend(by, directive, AmendmentKind.UNIT_ADDED, unit, reason, None, due_at or directive.due_at)
    _give(by, directive, row)
    return _keep(by, directive, "amend", before)


@transaction.atomic
def remove_unit(by: User, pk: int, version: int | None, *, unit: Unit, reason: str) -> Directive:
    """Tell a unit no longer; its task, if not over, is cancelled with the reason."""
    directive = _held(by, pk, version, "directives.issue", DirectiveState.ISSUED)
    _demand_reason(reason)
    before = _plain(directive)
    row = directive.units.get(unit=unit, removed_at=None)
    if directive.units.filter(removed_at=None).count() == 1:
        raise ValidationError({"unit": _("It is the last unit: withdraw the directive instead.")})
    row.removed_at = timezone.now()
    row.save()
    _amend(by, directive, AmendmentKind.UNIT_REMOVED, unit, reason, row.due_at or directive.due_at, None)
    for task in directive.tasks.select_for_update(of=("self",)).filter(unit=unit, state__in=OPEN):
        checking.end(by, task, reason)
    return _keep(by, directive, "amend", before)


def _amend(
    by: User,
    directive: Directive,
    kind: AmendmentKind,
    unit: Unit | None,
    reason: str,
    old: datetime | None,
    new: datetime | None,
) -> None:
    Amendment.objects.create(
        directive=directive, kind=kind, unit=unit, reason=reason.strip(), by=by, old_due_at=old, new_due_at=new
    )


@transaction.atomic
def close(by: User, pk: int, version: int | None) -> Directive:
    """All of it is carried out."""
    directive = _held(by, pk, version, "directives.issue", DirectiveState.ISSUED)
    if directive.tasks.filter(state__in=OPEN).exists():
        raise ValidationError(_("Some units have not done it yet."))
    before = _plain(directive)
    directive.state, directive.closed_at = DirectiveState.CLOSED, timezone.now()
    return _keep(by, directive, "close", before)


@transaction.atomic
def withdraw(by: User, pk: int, version: int | None, *, reason: str) -> Directive:
    """Nobody has to do it any more: tasks that are not over are cancelled with the reason."""
    directive = _held(by, pk, version, "directives.issue", DirectiveState.ISSUED)
    _demand_reason(reason)
    before = _plain(directive)
    directive.state, directive.closed_at = DirectiveState.WITHDRAWN, timezone.now()
    directive.end_reason = reason.strip()[:500]
    for task in directive.tasks.select_for_update(of=("self",)).filter(state__in=OPEN):
        checking.end(by, task, reason)
    return _keep(by, directive, "withdraw", before)


def _demand_reason(reason: str) -> None:
    if not reason.strip():
        raise ValidationError({"reason": _("Give the reason.")})


def _demand_ahead(due_at: datetime) -> None:
    if due_at <= timezone.now():
        raise ValidationError({"due_at": _("The due time has passed already.")})
