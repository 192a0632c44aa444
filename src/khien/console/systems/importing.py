"""Systems as a table: what an import reads and an export writes are the same columns."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy

from khien.console.accounts.models import User
from khien.console.spreadsheets.importers import Column, Importer, Known, text, truth, unit, whole
from khien.console.systems import identifiers
from khien.console.systems.models import InformationSystem
from khien.console.systems.services import create_system, edit_system
from khien.console.units.importing import code


def level(value: Any, known: Known) -> int:
    """A security level, 1 to 5. Raises ValueError."""
    number = whole(value, known)
    if number not in range(1, 6):
        raise ValueError(_("A security level is a number from 1 to 5."))
    return number


def _lines(check: Callable[[str], object]) -> Callable[[Any, Known], str]:
    def parse(value: Any, _known: Known) -> str:
        said = "\n".join(part.strip() for part in re.split(r"[\n;]", text(value)) if part.strip())
        try:
            check(said)
        except ValidationError as error:
            raise ValueError(" ".join(error.messages)) from None
        return said

    return parse


def _joined(system: InformationSystem, name: str) -> str:
    return "\n".join(line.strip() for line in getattr(system, name).splitlines() if line.strip())


class SystemImporter(Importer):
    """Makes and changes systems."""

    name = "systems"
    title = gettext_lazy("Systems")
    icon = "server-2"
    capability = "systems.manage"
    key = "code"
    model = InformationSystem
    related = ("unit",)
    next_url = "systems:list"
    columns: ClassVar = (
        Column("code", gettext_lazy("Code"), code, required=True, example="his-benh-vien"),
        Column("name", pgettext_lazy("thing", "Name"), text, required=True, example="Quản lý bệnh viện"),
        Column(
            "unit",
            gettext_lazy("Unit"),
            unit,
            required=True,
            hint=gettext_lazy("Code or name of the unit."),
            example="so-y-te",
        ),
        Column("level", gettext_lazy("Security level"), level, required=True, hint="1 – 5", example="3"),
        Column("description", gettext_lazy("Description"), text),
        Column(
            "hostnames",
            gettext_lazy("Host names"),
            _lines(identifiers.hostnames),
            hint=gettext_lazy("One a line or parted by semicolons; * stands for any text."),
            example="syt-sv*; his.syt.example",
        ),
        Column(
            "address_ranges",
            gettext_lazy("Address ranges"),
            _lines(identifiers.networks),
            hint=gettext_lazy("CIDR, one a line or parted by semicolons."),
            example="10.1.0.0/16; 10.2.5.7",
        ),
        Column("is_active", gettext_lazy("Active"), truth, default=True, example="Có"),
    )

    def current(self, thing: InformationSystem) -> dict[str, Any]:
        return {
            "code": thing.code,
            "name": thing.name,
            "unit": thing.unit,
            "level": thing.level,
            "description": thing.description.replace("\r\n", "\n").strip(),
            "hostnames": _joined(thing, "hostnames"),
            "address_ranges": _joined(thing, "address_ranges"),
            "is_active": thing.is_active,
        }

    def check(self, known: Known, thing: InformationSystem | None, values: Mapping[str, Any]) -> dict[str, str]:
        return {
            column: _("This is longer than %(most)s characters.") % {"most": most}
            for column, most in (("name", 200), ("code", 60))
            if len(values.get(column) or "") > most
        }

    def apply(self, by: User, thing: InformationSystem | None, values: Mapping[str, Any], changed: set[str]) -> None:
        if thing is None:
            create_system(by, **values)
        else:
            edit_system(by, thing.pk, None, **{name: values[name] for name in changed})


IMPORTERS = (SystemImporter(),)
EXPORT_COLUMNS = (
    (gettext_lazy("Code"), "code"),
    (pgettext_lazy("thing", "Name"), "name"),
    (gettext_lazy("Unit"), "unit.code"),
    (gettext_lazy("Security level"), "level"),
    (gettext_lazy("Description"), "description"),
    (gettext_lazy("Host names"), lambda system: _joined(system, "hostnames")),
    (gettext_lazy("Address ranges"), lambda system: _joined(system, "address_ranges")),
    (gettext_lazy("Active"), "is_active"),
)
