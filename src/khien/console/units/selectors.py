"""Reading units: the tree with its counts, choices for forms, search."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from django.db.models import Count, QuerySet

from khien.console.accounts.models import User
from khien.console.alerts.models import Status
from khien.console.alerts.tally import totals
from khien.console.audit.models import Entry
from khien.console.directives.models import Task, TaskState
from khien.console.systems.models import InformationSystem
from khien.console.units.folding import saying
from khien.console.units.models import Unit
from khien.console.units.naming import words_of

OPEN_TASKS = (TaskState.SENT, TaskState.ACCEPTED, TaskState.FINISHED)
COUNTS = ("people", "systems", "tasks", "alerts")


@dataclass(slots=True)
class Node:
    """A line of the tree. `counts`: of the unit and all below it; None where the role may not know."""

    unit: Unit
    depth: int
    parent_id: int | None
    has_children: bool = False
    matches: bool = True
    counts: dict[str, int | None] = field(default_factory=dict)


def tree(user: User, *, text: str = "", kind: str = "", inactive: bool = False) -> list[Node]:
    """The units a person sees, each below the one it is part of; filtered, with what lies above each match.

    A bounded number of queries, whatever the number of units.
    """
    rows = Unit.objects.visible_to(user).select_related("kind")
    units = list(rows if inactive else rows.filter(is_active=True))
    counts = _counts(user, units)
    words = words_of(text)
    wanted = {
        unit.pk for unit in units if (not kind or unit.kind.code == kind) and all(word in unit.folded for word in words)
    }
    kept = {int(step) for unit in units if unit.pk in wanted for step in _steps(unit)}
    nodes: list[Node] = []
    for unit, depth in in_order(units):
        if unit.pk in kept:
            while_above = nodes[-1] if nodes else None
            if while_above is not None and while_above.depth < depth:
                while_above.has_children = True
            nodes.append(Node(unit, depth, unit.parent_id, False, unit.pk in wanted, counts.get(unit.pk, {})))
    return nodes


def in_order(units: Iterable[Unit]) -> list[tuple[Unit, int]]:
    """Units with their depth, each followed by those below it; by kind, then by name. Their kinds are loaded."""
    units = list(units)
    known = {unit.pk for unit in units}
    below: dict[int | None, list[Unit]] = {}
    for unit in units:
        below.setdefault(unit.parent_id if unit.parent_id in known else None, []).append(unit)
    for siblings in below.values():
        siblings.sort(key=lambda unit: (unit.kind.position, unit.name.casefold()))
    found: list[tuple[Unit, int]] = []
    waiting = [(unit, 0) for unit in reversed(below.get(None, []))]
    while waiting:
        unit, depth = waiting.pop()
        found.append((unit, depth))
        waiting += [(child, depth + 1) for child in reversed(below.get(unit.pk, []))]
    return found


def _steps(unit: Unit) -> list[str]:
    return unit.path.strip(".").split(".") if unit.path else [str(unit.pk)]


def _counts(user: User, units: list[Unit]) -> dict[int, dict[str, int | None]]:
    """Counts by unit, those below included."""
    own: dict[str, Counter[int] | None] = {
        "people": _by_unit(User.objects.visible_to(user).filter(is_active=True)),
        "systems": _by_unit(InformationSystem.objects.visible_to(user).filter(is_active=True))
        if user.may("systems.view")
        else None,
        "tasks": _by_unit(Task.objects.visible_to(user).filter(state__in=OPEN_TASKS)),
        "alerts": open_alerts() if user.may("alerts.view") else None,
    }
    totals: dict[int, dict[str, int | None]] = {
        unit.pk: {name: None if found is None else 0 for name, found in own.items()} for unit in units
    }
    paths = {unit.pk: [int(step) for step in _steps(unit)] for unit in units}
    for name, found in own.items():
        for unit_id, count in (found or {}).items():
            for step in paths.get(unit_id, ()):
                if step in totals:
                    totals[step][name] = (totals[step][name] or 0) + count
    return totals


def open_alerts() -> Counter[int]:
    """Open alerts by unit, from the tally that is kept of them."""
    found: Counter[int] = Counter()
    for (unit_id, _level, status), count in totals().items():
        if status != Status.CLOSED:
            found[unit_id] += count
    return found


def _by_unit(rows: QuerySet) -> Counter[int]:  # type: ignore[type-arg]
    return Counter(dict(rows.order_by().values_list("unit_id").annotate(n=Count("pk"))))


def choices(user: User) -> list[tuple[Unit, int]]:
    """The active units a person may choose, with their depth."""
    return in_order(Unit.objects.visible_to(user).filter(is_active=True).select_related("kind"))


def above(user: User, unit: Unit) -> list[Unit]:
    """The units that a unit is part of, from the top, as far as the person sees them."""
    ids = [int(step) for step in _steps(unit)[:-1]]
    found = {each.pk: each for each in Unit.objects.visible_to(user).filter(pk__in=ids)}
    return [found[each] for each in ids if each in found]


def search_units(user: User, text: str, limit: int = 5) -> list[Unit]:
    """Units whose name or code says the words, marks and case aside."""
    if not words_of(text) or not user.may("units.view"):
        return []
    return list(Unit.objects.visible_to(user).filter(saying(text), is_active=True)[:limit])


def history_of(user: User, unit: Unit, limit: int = 30) -> list[Entry]:
    """What was done to a unit, latest first, for those who manage units or read the trail."""
    if not (user.may("units.manage") or user.may("audit.view")):
        return []
    rows = Entry.objects.filter(target_type="units.unit", target_id=str(unit.pk)).select_related("actor")
    return list(rows.order_by("-number")[:limit])
