"""Units as a table: what an import reads and an export writes are the same columns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from django.core.exceptions import ValidationError
from django.core.validators import validate_email, validate_slug
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy

from khien.console.accounts.models import User
from khien.console.spreadsheets.importers import Column, Importer, Known, sees_all, text
from khien.console.units.models import Unit, UnitKind
from khien.console.units.naming import fold
from khien.console.units.services import create_unit, edit_unit, move_unit


def code(value: Any, _known: Known) -> str:
    """A code: letters, digits and dashes. Raises ValueError."""
    said = text(value).lower()
    try:
        validate_slug(said)
    except ValidationError:
        raise ValueError(_("“%(value)s” is not a code: only letters, digits and dashes.") % {"value": said}) from None
    return said


def email(value: Any, _known: Known) -> str:
    """An e-mail address in lower case. Raises ValueError."""
    said = text(value).lower()
    try:
        validate_email(said)
    except ValidationError:
        raise ValueError(_("“%(value)s” is not an e-mail address.") % {"value": said[:60]}) from None
    return said


def kind(value: Any, known: Known) -> UnitKind:
    """The kind of a code or name. Raises ValueError."""
    found = known.lookup("kinds", _kinds).get(fold(text(value)))
    if found is None:
        raise ValueError(_("There is no kind of units called “%(value)s”.") % {"value": text(value)[:60]})
    return found


def _kinds() -> dict[str, UnitKind]:
    kinds = UnitKind.objects.all()
    return {fold(name): each for each in kinds for name in (each.name_en, each.name_vi, each.code)}


def parent(value: Any, known: Known) -> str:
    """The code of a unit that is there, or stands in the same file. Raises ValueError."""
    said = fold(text(value))
    if found := known.units.get(said):
        return found.code
    if said in known.keys:
        return text(value).lower()
    raise ValueError(_("There is no unit with the code or name “%(value)s”.") % {"value": text(value)[:60]})


class UnitImporter(Importer):
    """Makes, changes and moves units."""

    name = "units"
    title = gettext_lazy("Units")
    icon = "sitemap"
    capability = "units.manage"
    key = "code"
    model = Unit
    related = ("kind", "parent")
    next_url = "units:list"
    columns: ClassVar = (
        Column("code", gettext_lazy("Code"), code, required=True, example="so-y-te"),
        Column("name", pgettext_lazy("thing", "Name"), text, required=True, example="Sở Y tế"),
        Column("short_name", gettext_lazy("Short name"), text, example="SYT"),
        Column("kind", gettext_lazy("Kind"), kind, required=True, example="department"),
        Column(
            "parent",
            gettext_lazy("Part of"),
            parent,
            hint=gettext_lazy("Code of the unit above; it may stand in the same file."),
            example="ubnd-tinh",
        ),
        Column("address", gettext_lazy("Address"), text),
        Column("email", gettext_lazy("E-mail"), email, example="vanthu@example.vn"),
        Column("phone", gettext_lazy("Phone"), text),
    )

    def current(self, thing: Unit) -> dict[str, Any]:
        return {
            "code": thing.code,
            "name": thing.name,
            "short_name": thing.short_name,
            "kind": thing.kind,
            "parent": thing.parent.code if thing.parent else "",
            "address": thing.address,
            "email": thing.email,
            "phone": thing.phone,
        }

    def check(self, known: Known, thing: Unit | None, values: Mapping[str, Any]) -> dict[str, str]:
        wrong: dict[str, str] = {}
        for column, most in (("name", 200), ("short_name", 60), ("address", 300), ("phone", 32), ("code", 60)):
            if len(values.get(column) or "") > most:
                wrong[column] = _("This is longer than %(most)s characters.") % {"most": most}
        everything = sees_all(known.user)
        if (
            not everything
            and "kind" in values
            and values["kind"].oversees
            and (thing is None or thing.kind != values["kind"])
        ):
            wrong["kind"] = _("Only people who see all units may give this kind.")
        if "parent" in values or thing is None:
            said = values.get("parent", "")
            if not said and not everything and (thing is None or thing.pk != known.user.unit_id):
                wrong["parent"] = _("Say which unit it is part of.")
            elif said and said == values["code"]:
                wrong["parent"] = _("A unit cannot be part of itself or of a unit below it.")
            elif thing is not None and said and (above := known.units.get(fold(said))):
                if above.path.startswith(thing.path):
                    wrong["parent"] = _("A unit cannot be part of itself or of a unit below it.")
        return wrong

    def ordered(self, rows: Iterable[Any]) -> list[Any]:
        """Units above first."""
        waiting = {row.values["code"]: row for row in rows}
        found: list[Any] = []
        while waiting:
            ready = [row for row in waiting.values() if row.values.get("parent", "") not in waiting]
            if not ready:
                raise ValidationError(
                    _("These units are part of each other: %(codes)s.") % {"codes": ", ".join(waiting)}
                )
            for row in ready:
                del waiting[row.values["code"]]
            found += ready
        return found

    def apply(self, by: User, thing: Unit | None, values: Mapping[str, Any], changed: set[str]) -> None:
        fields = {name: value for name, value in values.items() if name != "parent"}
        above = None
        if values.get("parent"):
            above = Unit.objects.visible_to(by).filter(code=values["parent"]).first()
            if above is None:
                raise ValidationError(_("There is no such active unit to be part of."))
        if thing is None:
            create_unit(by, parent=above, **fields)
            return
        if changed - {"parent"}:
            edit_unit(by, thing.pk, None, **fields)
        if "parent" in changed:
            move_unit(by, thing.pk, None, above)


IMPORTERS = (UnitImporter(),)
EXPORT_COLUMNS = (
    (gettext_lazy("Code"), "code"),
    (pgettext_lazy("thing", "Name"), "name"),
    (gettext_lazy("Short name"), "short_name"),
    (gettext_lazy("Kind"), lambda unit: str(unit.kind)),
    (gettext_lazy("Part of"), "parent.code"),
    (gettext_lazy("Address"), "address"),
    (gettext_lazy("E-mail"), "email"),
    (gettext_lazy("Phone"), "phone"),
)
