"""Writing the register of systems."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from khien.console.accounts.access import demand
from khien.console.accounts.models import User
from khien.console.audit.services import hold_trail, record
from khien.console.concurrency import locked
from khien.console.systems import identifiers
from khien.console.systems.models import InformationSystem
from khien.console.units.codes import free_code
from khien.console.units.models import Unit

FIELDS = ("code", "name", "unit", "level", "description", "hostnames", "address_ranges", "is_active")


def state_of(system: InformationSystem) -> dict[str, Any]:
    """What the audit trail keeps of a system."""
    return {name: getattr(system, name) for name in FIELDS if name != "unit"} | {"unit": system.unit.code}


def create_system(by: User, *, name: str, unit: Unit, code: str = "", **fields: Any) -> InformationSystem:
    """A new system of a unit one sees. Without a code it gets one made of its name. Raises ValidationError."""
    demand(by, "systems.manage")
    with transaction.atomic():
        hold_trail()  # the code stays free, and the unit active
        system = InformationSystem(
            name=name, unit=_unit(by, unit), code=code or free_code(name, InformationSystem, "system"), **fields
        )
        _check(system)
        system.save()
        record(by, "system.create", system, after=state_of(system))
    return system


def edit_system(by: User, pk: int, version: int | None, **fields: Any) -> InformationSystem:
    """Change a system. `fields`: of FIELDS. Raises Changed, ValidationError."""
    demand(by, "systems.manage")
    with transaction.atomic():
        system = locked(InformationSystem, pk, version, by=by)
        before = state_of(system)
        if "unit" in fields and fields["unit"].pk != system.unit_id:
            fields["unit"] = _unit(by, fields["unit"])
        for name in FIELDS:
            if name in fields:
                setattr(system, name, fields[name])
        system.code = system.code or free_code(system.name, InformationSystem, "system")
        _check(system)
        system.version += 1
        system.save()
        after = state_of(system)
        changed = [name for name in after if after[name] != before[name]]
        record(
            by,
            "system.edit",
            system,
            before={name: before[name] for name in changed},
            after={name: after[name] for name in changed},
        )
    return system


def _unit(by: User, unit: Unit) -> Unit:
    found = Unit.objects.visible_to(by).filter(pk=unit.pk, is_active=True).first()
    if found is None:
        raise ValidationError({"unit": _("Choose an active unit that you see.")})
    return found


def _check(system: InformationSystem) -> None:
    """The fields, and each line of names and ranges. Raises ValidationError by field."""
    wrong: dict[str, Any] = {}
    try:
        system.full_clean(exclude=["unit"])
    except ValidationError as error:
        wrong.update(error.update_error_dict({}))
    for name, parse in (("hostnames", identifiers.hostnames), ("address_ranges", identifiers.networks)):
        try:
            parse(getattr(system, name))
        except ValidationError as error:
            wrong[name] = error.messages
    if wrong:
        raise ValidationError(wrong)
