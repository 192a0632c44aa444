"""People as a table: new ones are invited, known ones changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, override

from khien.console.accounts.invitations import invite
from khien.console.accounts.models import User
from khien.console.accounts.people import change_person
from khien.console.accounts.roles import Role
from khien.console.spreadsheets.importers import Column, Importer, Known, text, unit
from khien.console.units.importing import email
from khien.console.units.naming import fold


class _RoleName(str):
    """A role that shows itself by its label."""

    def __str__(self) -> str:
        return str(Role(str.__str__(self)).label)


def _roles() -> dict[str, str]:
    found = {}
    for language in ("vi", "en"):
        with override(language):
            found |= {fold(str(each.label)): each.value for each in Role}
    return found | {fold(each.value): each.value for each in Role}


def role(value: Any, known: Known) -> _RoleName:
    """A role by its name in either language. Raises ValueError."""
    found = known.lookup("roles", _roles).get(fold(text(value)))
    if found is None:
        said = {"value": text(value)[:40], "roles": ", ".join(str(each.label) for each in Role)}
        raise ValueError(_("There is no role “%(value)s”. Roles: %(roles)s.") % said)
    return _RoleName(found)


class UserImporter(Importer):
    """Invites and changes people."""

    name = "users"
    title = gettext_lazy("People")
    icon = "users"
    capability = "users.manage"
    key = "email"
    model = User
    related = ("unit",)
    next_url = "accounts:users"
    columns: ClassVar = (
        Column("email", gettext_lazy("E-mail"), email, required=True, example="an.nv@example.vn"),
        Column("name", gettext_lazy("Name"), text, required=True, example="Nguyễn Văn An"),
        Column("title", gettext_lazy("Position"), text, example="Chuyên viên"),
        Column(
            "unit",
            gettext_lazy("Unit"),
            unit,
            required=True,
            hint=gettext_lazy("Code or name of the unit."),
            example="so-y-te",
        ),
        Column("role", gettext_lazy("Role"), role, required=True, example="duty_officer"),
    )

    def current(self, thing: User) -> dict[str, Any]:
        return {
            "email": thing.email,
            "name": thing.name,
            "title": thing.title,
            "unit": thing.unit,
            "role": _RoleName(thing.role),
        }

    def check(self, known: Known, thing: User | None, values: Mapping[str, Any]) -> dict[str, str]:
        wrong = {
            column: _("This is longer than %(most)s characters.") % {"most": 120}
            for column in ("name", "title")
            if len(values.get(column) or "") > 120
        }
        if thing is not None and not thing.is_active:
            wrong["email"] = _("This account is not active: take it up again first.")
        return wrong

    def apply(self, by: User, thing: User | None, values: Mapping[str, Any], changed: set[str]) -> None:
        plain = {**values, "role": str.__str__(values["role"])}
        if thing is None:
            invite(by, plain["email"], plain["name"], plain["unit"], plain["role"], plain.get("title", ""))
        else:
            change_person(by, thing.pk, thing.version, {name: plain[name] for name in changed if name != "email"})


IMPORTERS = (UserImporter(),)
