"""What can be imported: an importer for each kind of list names its columns and writes its rows."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time
from importlib import import_module
from typing import Any, ClassVar

from django.db import models
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import override

from khien.console.accounts.models import User
from khien.console.units.models import Unit
from khien.console.units.naming import fold
from khien.console.units.scoping import scope_ids

_MODULES = (
    "khien.console.units.importing",
    "khien.console.systems.importing",
    "khien.console.spreadsheets.users",
    "khien.console.spreadsheets.tasks",
)


@dataclass(slots=True)
class Known:
    """What cells are looked up in: the person, the units that person sees, and the keys of the file itself."""

    user: User
    units: dict[str, Unit] = field(default_factory=dict)
    keys: set[str] = field(default_factory=set)
    lists: dict[str, dict[str, Any]] = field(default_factory=dict)

    def lookup(self, name: str, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """A further list to look cells up in, made once a file."""
        if name not in self.lists:
            self.lists[name] = make()
        return self.lists[name]

    @classmethod
    def of(cls, user: User) -> Known:
        """The units by code, name and short name; a name that two have says neither."""
        found: dict[str, Unit] = {}
        twice: set[str] = set()
        units = list(Unit.objects.visible_to(user).filter(is_active=True).select_related("kind", "parent"))
        for unit in units:
            for name in {fold(unit.name), fold(unit.short_name)} - {""}:
                if found.setdefault(name, unit) != unit:
                    twice.add(name)
        for name in twice:
            del found[name]
        found |= {fold(unit.code): unit for unit in units}
        return cls(user, found)


Parse = Callable[[Any, Known], Any]


def text(value: Any, _known: Known | None = None) -> str:
    """A cell as text; a whole number has no ".0"."""
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip()


def whole(value: Any, _known: Known) -> int:
    """A cell as a whole number. Raises ValueError."""
    try:
        return int(text(value))
    except ValueError:
        raise ValueError(_("“%(value)s” is not a whole number.") % {"value": text(value)[:40]}) from None


def truth(value: Any, _known: Known) -> bool:
    """A cell that says yes or no in either language. Raises ValueError."""
    said = fold(text(value))
    if said in ("yes", "co", "true", "1", "x"):
        return True
    if said in ("no", "khong", "false", "0", ""):
        return False
    raise ValueError(_("“%(value)s” is neither yes nor no.") % {"value": text(value)[:40]})


def unit(value: Any, known: Known) -> Unit:
    """The unit of a code or a name. Raises ValueError."""
    found = known.units.get(fold(text(value)))
    if found is None:
        raise ValueError(_("There is no unit with the code or name “%(value)s”.") % {"value": text(value)[:60]})
    return found


def end_of_day(value: Any, _known: Known) -> datetime:
    """A time in local time; a day alone is its end. Raises ValueError."""
    if isinstance(value, datetime):
        moment = value
    elif isinstance(value, date):
        moment = datetime.combine(value, time())
    else:
        moment = _moment(text(value))
    if moment.time() == time():
        moment = moment.replace(hour=17)
    return timezone.make_aware(moment) if timezone.is_naive(moment) else moment


def _moment(said: str) -> datetime:
    for form in ("%d/%m/%Y %H:%M", "%d/%m/%Y", "%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d"):
        try:
            return datetime.strptime(said, form)
        except ValueError:
            continue
    raise ValueError(_("“%(value)s” is not a day such as 24/11/2026.") % {"value": said[:40]})


def shown(value: Any) -> str:
    """A value as a preview shows it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return _("Yes") if value else _("No")
    if isinstance(value, datetime):
        return timezone.localtime(value).strftime("%d/%m/%Y %H:%M")
    if isinstance(value, Unit):
        return f"{value.name} ({value.code})"
    return str(value)


@dataclass(frozen=True, slots=True)
class Column:
    """A column. `key`: what the importer calls it; `hint` and `example` stand in the file to fill in."""

    key: str
    label: Promise
    parse: Parse = text
    required: bool = False
    hint: Promise | str = ""
    example: str = ""
    default: Any = ""

    def names(self) -> set[str]:
        """What a header may call it: its label in each language, or its key."""
        found = {fold(self.key)}
        for language in ("vi", "en"):
            with override(language):
                found.add(fold(str(self.label)))
        return found


class Importer(ABC):
    """Writes rows of one kind. `key`: the column that says which thing a row is about; "" where all rows are new.

    `model`: what the rows are of, with a field of the key's name; `related`: what is read along with each.
    """

    name: ClassVar[str]
    title: ClassVar[Promise]
    icon: ClassVar[str] = "table-import"
    capability: ClassVar[str]
    columns: ClassVar[tuple[Column, ...]]
    key: ClassVar[str] = ""
    model: ClassVar[type[models.Model]]
    related: ClassVar[tuple[str, ...]] = ()
    next_url: ClassVar[str] = "home"

    def may(self, user: User) -> bool:
        """Whether a person may import this."""
        return user.may(self.capability)

    def existing(self, user: User, keys: set[str]) -> dict[str, Any]:
        """The things a person sees that have these keys (folded)."""
        if not self.key:
            return {}
        seen = self.model._default_manager.visible_to(user)  # type: ignore[attr-defined]
        rows = seen.filter(**{f"{self.key}__in": keys}).select_related(*self.related)
        return {fold(getattr(row, self.key)): row for row in rows}

    def taken(self, user: User, keys: set[str]) -> set[str]:
        """Keys of these (folded) that things have, whoever sees them."""
        if not self.key:
            return set()
        rows = self.model._default_manager.filter(**{f"{self.key}__in": keys})
        return {fold(each) for each in rows.values_list(self.key, flat=True)}

    def current(self, thing: Any) -> dict[str, Any]:
        """A thing's values by column; of a kind whose rows are all new there is no such thing."""
        return {}

    def check(self, known: Known, thing: Any | None, values: Mapping[str, Any]) -> dict[str, str]:
        """What is wrong with a row whose cells are right, by column."""
        return {}

    def ordered(self, rows: Iterable[Any]) -> list[Any]:
        """Rows in the order to be written; each has `values`."""
        return list(rows)

    @abstractmethod
    def apply(self, by: User, thing: Any | None, values: Mapping[str, Any], changed: set[str]) -> None:
        """Write a row by its app's services. `thing`: None for a new one."""


def sees_all(user: User) -> bool:
    """Whether a person sees all units."""
    return scope_ids(user) is None


def importers() -> dict[str, Importer]:
    """All importers by name."""
    found = [each for module in _MODULES for each in import_module(module).IMPORTERS]
    return {each.name: each for each in found}
