"""Changing people's accounts: by themselves, and by those who manage them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from allauth.mfa.models import Authenticator
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from khien.console.accounts import keys, mail, sessions
from khien.console.accounts.access import demand
from khien.console.accounts.models import User
from khien.console.accounts.roles import Role, roles_with
from khien.console.audit.services import record
from khien.console.concurrency import locked
from khien.console.units.models import Unit

OWN = ("name", "phone", "language")
MANAGED = ("name", "title", "phone", "role", "unit")


def change_profile(by: User, version: int | None, values: Mapping[str, Any]) -> User:
    """One's own name, phone and language."""
    with transaction.atomic():
        person = locked(User, by.pk, version)
        _apply(by, person, {name: values[name] for name in OWN if name in values}, "profile.change")
    return person


def change_person(by: User, pk: int, version: int, values: Mapping[str, Any]) -> User:
    """Name, position, phone, role and unit of somebody. Raises Changed; ValidationError for the last administrator."""
    demand(by, "users.manage")
    with transaction.atomic():
        person = locked(User, pk, version, by=by)
        chosen = {name: values[name] for name in MANAGED if name in values}
        unit = chosen.get("unit")
        if unit is not None:
            unit = Unit.objects.visible_to(by).filter(pk=unit.pk).first()
            if unit is None:
                raise ValidationError({"unit": _("There is no such unit.")})
            if unit.pk != person.unit_id and not unit.is_active:
                raise ValidationError({"unit": _("This unit is no longer active.")})
        role = chosen.get("role", person.role)
        if role not in Role.values:
            raise ValidationError({"role": _("There is no such role.")})
        if role != person.role and person.pk == by.pk:
            raise ValidationError({"role": _("Nobody changes their own role; another administrator does.")})
        if role not in roles_with("users.manage"):
            _keep_one(person)
        _apply(by, person, chosen, "user.change")
    return person


def deactivate(by: User, pk: int, version: int) -> User:
    """Somebody cannot sign in any more: sessions end, keys are revoked; what was done stays under the name."""
    demand(by, "users.manage")
    with transaction.atomic():
        person = locked(User, pk, version, by=by)
        if not person.is_active:
            return person
        if person.pk == by.pk:
            raise ValidationError(_("Nobody deactivates their own account; another administrator does."))
        _keep_one(person)
        ended = sessions.end_all_sessions(by, person)
        revoked = keys.revoke_all(by, person)
        person.is_active = False
        person.version += 1
        person.save(update_fields=["is_active", "version"])
        after = {"is_active": False, "sessions_ended": ended, "keys_revoked": revoked}
        record(by, "user.deactivate", person, before={"is_active": True}, after=after)
    return person


def activate(by: User, pk: int, version: int) -> User:
    """Somebody may sign in again, with the password of before."""
    demand(by, "users.manage")
    with transaction.atomic():
        person = locked(User, pk, version, by=by)
        if not person.is_active:
            person.is_active = True
            person.version += 1
            person.save(update_fields=["is_active", "version"])
            record(by, "user.activate", person, before={"is_active": False}, after={"is_active": True})
    return person


def reset_factors(by: User, pk: int) -> User:
    """Take somebody's second factors away, who has lost them; all sessions end, and the person is told."""
    demand(by, "users.manage")
    with transaction.atomic():
        person = locked(User, pk, None, by=by)
        if person.pk == by.pk:
            raise ValidationError(_("Your own second factor is on your own page."))
        factors = Authenticator.objects.filter(user=person)
        types = sorted(factors.values_list("type", flat=True))
        factors.delete()
        sessions.end_all_sessions(by, person)
        record(by, "factor.reset", person, before={"types": types})
        transaction.on_commit(lambda: mail.send(person, "factors_reset", {"by": by.name}))
    return person


def _apply(by: User, person: User, values: Mapping[str, Any], action: str) -> None:
    before: dict[str, Any] = {}
    after: dict[str, Any] = {}
    for name, value in values.items():
        old = getattr(person, name)
        if old != value:
            before[name], after[name] = _shown(old), _shown(value)
            setattr(person, name, value)
    if not after:
        return
    person.full_clean(exclude=["password"])
    person.version += 1
    person.save()
    record(by, action, person, before=before, after=after)


def _shown(value: Any) -> Any:
    return str(value) if isinstance(value, Unit) else value


def _keep_one(person: User) -> None:
    """Somebody who manages people has to be left."""
    managing = roles_with("users.manage")
    if person.role not in managing or not person.is_active:
        return
    others = User.objects.select_for_update().filter(role__in=managing, is_active=True).exclude(pk=person.pk)
    if not others.exists():
        raise ValidationError(_("This is the last administrator: name another one first."))
