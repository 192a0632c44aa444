"""Which index to walk for criteria, so that little is looked at that does not match.

A lead is an index whose first columns get one value a branch; each branch is then in the order of the last finding, and
branches are merged. How many alerts lie under a lead is known from `Tally` for units, levels and states, and counted up
to a bound for the rest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

from django.db import connection

from khien.console.alerts import tally
from khien.console.alerts.criteria import OPEN, Criteria
from khien.console.alerts.models import Level, Status

SPARSE = {"sqlite": 2_000, "postgresql": 20_000}
"""So few alerts are looked at one by one; PostgreSQL looks up their content fast, SQLite does not."""
MOST_BRANCHES = 400
_COUNTED = 20_001
"""Beyond it does not matter how many there are."""
_A_BRANCH = 40
"""What a branch costs, in alerts looked at."""
_SINGLE = {
    "entity_value": ("alert_entity", ""),
    "rule_id": ("alert_rule", ""),
    "incident_id": ("alert_incident", "incident_id IS NOT NULL"),
    "system_id": ("alert_system", "system_id IS NOT NULL"),
    "verdict": ("alert_verdict", "NOT (verdict = '')"),
}


@dataclass(frozen=True, slots=True)
class Lead:
    """An index and the values of its first columns, a tuple a branch. `size`: about how many alerts lie under it.

    `extra`: the condition the index has. `done`: the columns it deals with.
    """

    index: str
    columns: tuple[str, ...]
    branches: tuple[tuple[Any, ...], ...]
    size: float
    extra: str = ""
    done: tuple[str, ...] = ()

    def cost(self, share: float, need: int) -> float:
        """Alerts looked at until `need` that match are found, when they are a `share` of all under the lead."""
        return min(self.size, need / max(share, 1e-9)) + _A_BRANCH * len(self.branches)


def choose(found: Criteria, need: int) -> Lead:
    """The lead under which `need` alerts are found with the least looked at."""
    leads, matching, _ = _weighed(found)
    return min(leads, key=lambda lead: lead.cost(min(matching / max(lead.size, 1), 1), need))


def share(found: Criteria) -> float:
    """About which share of all alerts match."""
    _, matching, in_all = _weighed(found)
    return matching / in_all


def everything() -> int:
    """How many alerts there are."""
    return sum(_totals().values())


def _weighed(found: Criteria) -> tuple[list[Lead], float, int]:
    """The leads there are, about how many alerts match, and how many there are in all."""
    totals = _totals()
    in_all = max(sum(totals.values()), 1)
    matching: float = sum(
        n
        for (unit, level, status), n in totals.items()
        if _fits(found, "unit_id", unit or None) and _fits(found, "level", level) and _fits(found, "status", status)
    )
    leads = list(_tallied(found, totals, in_all))
    for lead in _counted(found):
        # Further conditions thin out what the others find.
        matching *= min(lead.size / in_all, 1)
        leads.append(lead)
    return leads, matching, in_all


def sparse(found: Criteria) -> Lead | None:
    """A lead with few alerts under it, if there is one."""
    totals = _totals()
    leads = [*_tallied(found, totals, sum(totals.values())), *_counted(found)]
    lead = min(leads, key=lambda each: each.size)
    return lead if lead.size <= SPARSE[connection.vendor] else None


def _fits(found: Criteria, column: str, value: Any) -> bool:
    values = found.among.get(column)
    return values is None or value in values


def _tallied(found: Criteria, totals: Counter[tuple[int, int, int]], everything: int) -> Iterator[Lead]:
    yield Lead("alert_recent", (), ((),), everything)
    among = found.among
    statuses = sorted(among.get("status", Status.values))
    levels = sorted(among.get("level", Level.values))
    if "status" in among or "level" in among:
        size = sum(n for (_, level, status), n in totals.items() if level in levels and status in statuses)
        branches = tuple(product(statuses, levels))
        yield Lead("alert_state", ("status", "level"), branches, size, done=("status", "level"))
    if "unit_id" in among:
        units = among["unit_id"]
        size = sum(n for (unit, _, status), n in totals.items() if (unit or None) in units and status in statuses)
        branches = tuple(product(units, statuses))
        if len(branches) <= MOST_BRANCHES:
            yield Lead("alert_unit", ("unit_id", "status"), branches, size, done=("unit_id", "status"))
    if among.get("owner_id") == {None} and among.get("status", frozenset((Status.CLOSED,))) <= OPEN:
        condition = "owner_id IS NULL AND status < 2"
        size = sum(n for (_, _, status), n in totals.items() if status in OPEN)
        yield Lead("alert_unassigned", (), ((),), size * 0.9, condition, ("owner_id",))


def _counted(found: Criteria) -> Iterator[Lead]:
    among = found.among
    for column, (index, extra) in _SINGLE.items():
        values = among.get(column)
        if values is None or None in values or "" in values or len(values) > MOST_BRANCHES:
            continue
        branches = tuple((value,) for value in sorted(values))
        yield Lead(index, (column,), branches, _count(index, column, branches, extra), extra, (column,))
    owners = among.get("owner_id")
    if owners and None not in owners and len(owners) <= 50:
        statuses = sorted(among.get("status", Status.values))
        size = _count("alert_owner", "owner_id", tuple((owner,) for owner in owners), "owner_id IS NOT NULL")
        branches = tuple(product(sorted(owners), statuses))
        done = ("owner_id", "status")
        yield Lead("alert_owner", ("owner_id", "status"), branches, size, "owner_id IS NOT NULL", done)
    if found.prefix:
        index = "alert_entity" if connection.vendor == "sqlite" else "alert_entity_prefix"
        size = _count_prefix(found)
        if size < _COUNTED:
            yield Lead(index, (), ((),), size, "", ())


def _count(index: str, column: str, branches: tuple[tuple[Any, ...], ...], extra: str) -> int:
    """How many alerts have one of some values, counted up to a bound beyond which it does not matter."""
    values = [value for (value,) in branches]
    if not values:
        return 0
    marks = ", ".join(["%s"] * len(values))
    hint = f"INDEXED BY {index}" if connection.vendor == "sqlite" else ""
    sql = f"SELECT 1 FROM alerts_alert {hint} WHERE {column} IN ({marks}){f' AND {extra}' if extra else ''} LIMIT %s"  # noqa: S608
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM ({sql}) AS part", [*values, _COUNTED])  # noqa: S608
        return int(cursor.fetchone()[0])


def _count_prefix(found: Criteria) -> int:
    from khien.console.alerts.conditions import where

    part = where(Criteria(prefix=found.prefix))
    hint = "INDEXED BY alert_entity" if connection.vendor == "sqlite" else ""
    with connection.cursor() as cursor:
        sql = f"SELECT count(*) FROM (SELECT 1 FROM alerts_alert {hint} WHERE {part.sql} LIMIT %s) AS part"  # noqa: S608
        cursor.execute(sql, [*part.values, _COUNTED])
        return int(cursor.fetchone()[0])


def _totals() -> Counter[tuple[int, int, int]]:
    """Alerts by unit (0: none), level and status."""
    return tally.totals()
