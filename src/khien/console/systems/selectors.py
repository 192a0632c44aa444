"""Reading the register of systems."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from django.db import transaction
from django.db.models import Count, Max, Sum

from khien.console.accounts.models import User
from khien.console.audit.models import Entry
from khien.console.systems import identifiers
from khien.console.systems.identifiers import Network
from khien.console.systems.models import InformationSystem, SystemQuerySet
from khien.console.systems.routing import Table, Target, name_key, parsed
from khien.console.units.folding import saying
from khien.console.units.models import Unit
from khien.console.units.naming import words_of

SECONDS_FOR_OVERLAPS = 0.5
SECONDS_BETWEEN_LOOKS = 1.0
"""How long a process may go on with a register that another one has changed."""


class _Compiled:
    """The table of this process, and the state of the register it was made of."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._table: Table | None = None
        self._state: tuple[object, ...] = ()
        self._looked = 0.0

    def table(self) -> Table:
        """The table, made anew when the register has changed."""
        table, now = self._table, time.monotonic()
        if table is not None and now - self._looked < SECONDS_BETWEEN_LOOKS:
            return table
        with self._lock:
            state = _state()
            if self._table is None or state != self._state:
                self._table, self._state = _compile(), state
            self._looked = now
            return self._table

    def look_again(self) -> None:
        """Ask the database at the next call."""
        self._looked = 0.0


_compiled = _Compiled()


def register_changed() -> None:
    """Systems or units were written by this process: look at once, and again after the commit."""
    _compiled.look_again()
    transaction.on_commit(_compiled.look_again)


def _state() -> tuple[object, ...]:
    """What is another one after each change of a system or a unit, whoever made it."""
    parts = {"n": Count("id"), "top": Max("id"), "versions": Sum("version"), "at": Max("updated_at")}
    rows = (model.objects.order_by().aggregate(**parts) for model in (InformationSystem, Unit))
    return tuple(value for row in rows for value in row.values())


def _compile() -> Table:
    table = Table()
    systems = InformationSystem.objects.filter(is_active=True).order_by("id")
    for pk, unit_id, hostnames, ranges in systems.values_list("id", "unit_id", "hostnames", "address_ranges"):
        table.add(Target(unit_id, pk), hostnames, ranges)
    units = list(Unit.objects.order_by("-is_active", "id").values_list("id", "code", "name", "short_name"))
    for place in (1, 2, 3):  # a code before a name, a name before a short name
        for unit in units:
            if unit[place]:
                table.units.setdefault(name_key(unit[place]), unit[0])
    return table


def route(hostnames: Iterable[str], addresses: Iterable[str], unit_code: str) -> tuple[int | None, int | None]:
    """The unit and the system that telemetry belongs to: (unit id or None, system id or None).

    By host names first (an exact name, else the pattern with most written out; a full name is also known by its first
    label), then by addresses (the narrowest range), else by the source's unit: its code, name or short name. Systems
    that are not active are passed over. A change elsewhere is known within a second.
    """
    return _compiled.table().route(hostnames, addresses, unit_code)


@dataclass(frozen=True, slots=True)
class Overlap:
    """A line of a system that another one says too. `system`: None when the person does not see it."""

    line: str
    system: InformationSystem | None
    theirs: str


def overlaps(user: User, system: InformationSystem, most: int = 20) -> list[Overlap]:
    """Names and ranges of a system that are also in another active one. The narrower range and the longer name win.

    Those found within half a second, where systems have thousands of lines.
    """
    until = time.monotonic() + SECONDS_FOR_OVERLAPS
    names = [identifiers.host_name(line.text) for line in identifiers.lines(system.hostnames)]
    ranges = [(line.text, net) for line in identifiers.lines(system.address_ranges) for net in parsed(line.text)]
    if not names and not ranges:
        return []
    seen = {each.pk: each for each in InformationSystem.objects.visible_to(user).filter(is_active=True)}
    found: list[Overlap] = []
    others = InformationSystem.objects.filter(is_active=True).exclude(pk=system.pk)
    for pk, theirs_names, theirs_ranges in others.values_list("id", "hostnames", "address_ranges"):
        theirs = [identifiers.host_name(line.text) for line in identifiers.lines(theirs_names)]
        both: list[tuple[str, str]] = []
        for name in names:
            if time.monotonic() > until:
                break
            both += [(name, other) for other in theirs if _same_name(name, other)]
        nets = [(line.text, net) for line in identifiers.lines(theirs_ranges) for net in parsed(line.text)]
        for text, net in ranges:
            if time.monotonic() > until:
                break
            both += _overlapping(text, net, nets)
        for mine, other in dict.fromkeys(both):
            found.append(Overlap(mine, seen.get(pk), other if pk in seen else ""))
            if len(found) >= most:
                return found
    return found


def _overlapping(text: str, net: Network, others: list[tuple[str, Network]]) -> list[tuple[str, str]]:
    return [(text, said) for said, other in others if net.version == other.version and net.overlaps(other)]


def _same_name(one: str, other: str) -> bool:
    """Whether a name is another's, or lies within its pattern. Two patterns only when they are equal."""
    if one == other:
        return True
    if "*" in other and "*" not in one:
        return fnmatchcase(one, other.replace("[", "[[]"))
    if "*" in one and "*" not in other:
        return fnmatchcase(other, one.replace("[", "[[]"))
    return False


def filtered(user: User, *, text: str = "", unit: str = "", level: str = "", state: str = "") -> SystemQuerySet:
    """The register as a list: by words in name, code, host names or ranges; unit (with those below), level, state."""
    rows: SystemQuerySet = InformationSystem.objects.visible_to(user).select_related("unit")
    rows = rows if state == "all" else rows.filter(is_active=state != "inactive")
    if unit.isdecimal() and len(unit) < 10:
        chosen = Unit.objects.visible_to(user).filter(pk=int(unit)).first()
        rows = rows.filter(unit__path__startswith=chosen.path) if chosen else rows.none()
    if level in ("1", "2", "3", "4", "5"):
        rows = rows.filter(level=int(level))
    return rows.filter(saying(text, "folded", "unit__folded"))


def search_systems(user: User, text: str, limit: int = 5) -> list[InformationSystem]:
    """Active systems whose name, code, host names or ranges say the words, marks and case aside."""
    if not words_of(text) or not user.may("systems.view"):
        return []
    return list(filtered(user, text=text)[:limit])


def history_of(user: User, system: InformationSystem, limit: int = 20) -> list[Entry]:
    """What was done to a system, latest first, for those who manage the register or read the trail."""
    if not (user.may("systems.manage") or user.may("audit.view")):
        return []
    rows = Entry.objects.filter(target_type="systems.informationsystem", target_id=str(system.pk))
    return list(rows.select_related("actor").order_by("-number")[:limit])
