"""Writing units: making, changing, moving, closing down. Nothing is deleted: what happened keeps its unit."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.db.models import F, Value
from django.db.models.functions import Concat, Substr
from django.utils.translation import gettext as _

from khien.console.accounts.access import demand
from khien.console.accounts.models import User
from khien.console.audit.services import hold_trail, record
from khien.console.concurrency import locked
from khien.console.units.codes import free_code
from khien.console.units.models import Unit, UnitKind
from khien.console.units.scoping import scope_ids

FIELDS = ("code", "name", "short_name", "kind", "address", "email", "phone")
LONGEST_PATH = 200


def state_of(unit: Unit) -> dict[str, Any]:
    """What the audit trail keeps of a unit."""
    return {
        "code": unit.code,
        "name": unit.name,
        "short_name": unit.short_name,
        "kind": unit.kind.code,
        "parent": unit.parent.code if unit.parent else "",
        "address": unit.address,
        "email": unit.email,
        "phone": unit.phone,
        "is_active": unit.is_active,
    }


def create_unit(by: User, *, name: str, kind: UnitKind, parent: Unit | None, code: str = "", **fields: str) -> Unit:
    """A new unit below `parent`. Without a code it gets one made of its name. Raises ValidationError."""
    demand(by, "units.manage")
    with transaction.atomic():
        hold_trail()  # the code stays free, and the unit above where and what it is
        parent = _place_for(by, parent)
        _may_give(by, kind)
        unit = Unit(name=name, kind=kind, parent=parent, code=code or free_code(name, Unit, "unit"), **fields)
        unit.full_clean(exclude=["parent", "kind"])
        unit.save()
        unit.path = _path(unit)
        unit.save(update_fields=["path"])
        by.__dict__.pop("_scope_ids", None)  # the new one is below, and seen at once
        record(by, "unit.create", unit, after=state_of(unit))
    return unit


def edit_unit(by: User, pk: int, version: int | None, **fields: Any) -> Unit:
    """Change what a unit is called and how it is reached. `fields`: of FIELDS. Raises Changed, ValidationError."""
    demand(by, "units.manage")
    with transaction.atomic():
        unit = locked(Unit, pk, version, by=by)
        before = state_of(unit)
        if fields.get("kind", unit.kind) != unit.kind:
            _may_give(by, fields["kind"])
            _may_give(by, unit.kind)
        for name in FIELDS:
            if name in fields:
                setattr(unit, name, fields[name])
        unit.code = unit.code or free_code(unit.name, Unit, "unit")
        _save(by, "unit.edit", unit, before)
    return unit


def move_unit(by: User, pk: int, version: int | None, parent: Unit | None) -> Unit:
    """Put a unit, with all below it, under another. Raises Changed, and ValidationError when that is below itself."""
    demand(by, "units.manage")
    with transaction.atomic():
        hold_trail()
        rows = Unit.objects.order_by("id").select_for_update(no_key=True)
        list(rows.values_list("id", flat=True))  # one move at a time
        unit = locked(Unit, pk, version, by=by)
        before = state_of(unit)
        if scope_ids(by) is not None and unit.pk == by.unit_id:
            raise ValidationError(_("You cannot move your own unit; ask the unit above it."))
        parent = _place_for(by, parent)
        if parent is not None and parent.path.startswith(unit.path):
            raise ValidationError(_("A unit cannot be part of itself or of a unit below it."))
        old = unit.path
        unit.parent = parent
        new = _path(unit)
        longest = max(len(each) for each in Unit.objects.filter(path__startswith=old).values_list("path", flat=True))
        if longest - len(old) + len(new) > LONGEST_PATH:
            raise ValidationError(_("The tree would become too deep."))
        Unit.objects.filter(path__startswith=old).exclude(pk=unit.pk).update(
            path=Concat(Value(new), Substr(F("path"), len(old) + 1)), version=F("version") + 1
        )
        unit.path = new
        _save(by, "unit.move", unit, before)
    return unit


def deactivate_unit(by: User, pk: int, version: int | None, reason: str) -> Unit:
    """Close a unit down: it is offered nowhere any more and keeps its history. Units below it come first."""
    demand(by, "units.manage")
    with transaction.atomic():
        unit = locked(Unit, pk, version, by=by)
        before = state_of(unit)
        if not reason.strip():
            raise ValidationError(_("Say why the unit is closed down, such as the decision's number."))
        below = unit.children.filter(is_active=True).count()
        if below:
            raise ValidationError(_("Units below it are still active: %(count)s.") % {"count": below})
        people = unit.users.filter(is_active=True).count()
        if people:
            raise ValidationError(
                _("It still has active people: %(count)s. Move or deactivate them first.") % {"count": people}
            )
        unit.is_active = False
        _save(by, "unit.deactivate", unit, before, reason=reason.strip())
    return unit


def reactivate_unit(by: User, pk: int, version: int | None) -> Unit:
    """Take a unit up again. The one above it must be active."""
    demand(by, "units.manage")
    with transaction.atomic():
        unit = locked(Unit, pk, version, by=by)
        before = state_of(unit)
        if unit.parent is not None and not unit.parent.is_active:
            raise ValidationError(_("The unit above it is not active."))
        unit.is_active = True
        _save(by, "unit.reactivate", unit, before)
    return unit


def save_kind(by: User, pk: int | None, version: int | None, **fields: Any) -> UnitKind:
    """Make or change a kind of units; only people who see all units may. Raises Changed, ValidationError."""
    demand(by, "units.manage")
    _sees_all(by)
    names = ("code", "name_vi", "name_en", "oversees", "position")
    with transaction.atomic():
        kind = locked_kind(pk, version)
        before = {name: getattr(kind, name) for name in names} if kind.pk else None
        for name in names:
            if name in fields:
                setattr(kind, name, fields[name])
        kind.full_clean()
        kind.version += 1 if kind.pk else 0
        kind.save()
        after = {name: getattr(kind, name) for name in names}
        record(by, "unit_kind.edit" if before else "unit_kind.create", kind, before=before, after=after)
    return kind


def locked_kind(pk: int | None, version: int | None) -> UnitKind:
    """A kind held until the end of the transaction, or a new one."""
    if pk:
        return locked(UnitKind, pk, version)
    hold_trail()
    return UnitKind()


def _save(by: User, action: str, unit: Unit, before: dict[str, Any], **more: str) -> None:
    unit.full_clean(exclude=["parent", "kind"])
    unit.version += 1
    unit.save()
    after = state_of(unit)
    changed = [name for name in after if after[name] != before[name]]
    record(
        by,
        action,
        unit,
        before={name: before[name] for name in changed},
        after={**{name: after[name] for name in changed}, **more},
    )


def _place_for(by: User, parent: Unit | None) -> Unit | None:
    """The unit to be put under, read again, if the person may put something there."""
    if parent is None:
        _sees_all(by)
        return None
    unit = Unit.objects.visible_to(by).filter(pk=parent.pk).first()
    if unit is None or not unit.is_active:
        raise ValidationError(_("There is no such active unit to be part of."))
    return unit


def _may_give(by: User, kind: UnitKind) -> None:
    """Who does not see all units cannot give anybody that sight."""
    if kind.oversees:
        _sees_all(by)


def _sees_all(by: User) -> None:
    if scope_ids(by) is not None:
        raise PermissionDenied


def _path(unit: Unit) -> str:
    path = f"{unit.parent.path if unit.parent else ''}{unit.pk}."
    if len(path) > LONGEST_PATH:
        raise ValidationError(_("The tree would become too deep."))
    return path
