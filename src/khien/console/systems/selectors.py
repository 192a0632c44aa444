"""Reading the register of systems."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable

from django.db import transaction
from django.db.models import Count, Max, Sum

from khien.console.systems.models import InformationSystem
from khien.console.systems.routing import Table, Target, name_key
from khien.console.units.models import Unit

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
