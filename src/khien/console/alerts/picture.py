"""The histogram over the queue, and its groups: exact, from the tally or from all that match when these are few."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection
from django.db.models import Q, Sum
from django.utils import timezone

from khien.console.alerts import scanning, tally
from khien.console.alerts.criteria import Criteria
from khien.console.alerts.models import Level, SeenRule, Tally
from khien.console.units.models import Unit

BARS = 60
USUAL_DAYS = 7
MOST = 10_000
MOST_GROUPED = 5_000
MOST_GROUPS = 200
_TALLIED = {"unit_id", "level", "status"}


@dataclass(frozen=True, slots=True)
class Bar:
    """Alerts whose last finding lies in a span of time. `place`: its number from the left."""

    start: datetime
    end: datetime
    n: int
    severe: int
    place: int
    height: float
    severe_height: float


@dataclass(frozen=True, slots=True)
class Histogram:
    """Bars from `start` to `end`, the highest 100 high."""

    start: datetime
    end: datetime
    bars: tuple[Bar, ...]
    total: int
    most: int


@dataclass(frozen=True, slots=True)
class Group:
    """Alerts with something in common. `value`: what to filter by for them."""

    label: str
    value: str
    n: int
    level: int
    last_at: datetime | None

    @property
    def word(self) -> str:
        """The highest level's word."""
        return Level(self.level).word


def is_tallied(found: Criteria) -> bool:
    """Whether the tally alone answers: units, levels, states and times, nothing else."""
    return (
        set(found.among) <= _TALLIED
        and all(column in _TALLIED for column, _ in found.without)
        and not (found.prefix or found.texts)
    )


def total(found: Criteria) -> int | None:
    """How many match, when the tally says it without looking at alerts."""
    if not is_tallied(found) or found.since is not None or found.until is not None:
        return None
    return sum(n for (unit, level, status), n in tally.totals().items() if _fits(found, unit, level, status))


def histogram(found: Criteria, counted: int, *, now: datetime | None = None) -> Histogram | None:
    """Over the time asked for, or the last week. None: more match than can be looked at, and the tally cannot say.

    `counted`: how many match, as far as that is known.
    """
    now = now or timezone.now()
    if found.is_empty or found.texts:
        return None
    if is_tallied(found):
        start = found.since or min(now, found.until or now) - timedelta(days=USUAL_DAYS)
        hours = _tallied_hours(found, start, found.until or now)
    elif counted <= MOST:
        hours = _counted_hours(found)
        if not hours:
            return None
        start = found.since or datetime.fromtimestamp(min(hour for hour, _, _ in hours) * 3600, UTC)
    else:
        return None
    return _bars(hours, start, found.until or now)


def groups(found: Criteria, by: str) -> tuple[list[Group], bool]:
    """The largest groups among the newest 5,000 that match, and whether there are more alerts than those."""
    if found.is_empty:
        return [], False
    column = {"rule": "rule_id", "entity": "entity_value", "unit": "unit_id", "level": "level", "day": _day()}[by]
    source = {"rule": "rule_id", "entity": "entity_value", "unit": "unit_id", "level": "level", "day": "last_at"}[by]
    if found.texts:
        ids = scanning.find_all(found, 2_000)
        reached = len(ids) == 2_000
        marks = ", ".join(["%s"] * len(ids)) or "NULL"
        inner, values = f"SELECT last_at, id, level, {source} AS shared FROM alerts_alert WHERE id IN ({marks})", ids  # noqa: S608
    else:
        inner, values = scanning.latest(found, f"last_at, id, level, {source} AS shared", MOST_GROUPED)
        reached = False
    key = "shared" if by != "day" else column
    sql = (
        f"SELECT {key}, count(*), max(level), max(last_at) FROM ({inner}) AS newest"  # noqa: S608
        f" GROUP BY 1 ORDER BY 2 DESC, 4 DESC LIMIT {MOST_GROUPS}"
    )
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        rows = cursor.fetchall()
    reached = reached or len(rows) == MOST_GROUPS or sum(row[1] for row in rows) >= MOST_GROUPED
    return _named(rows, by), reached


def _named(rows: list[Any], by: str) -> list[Group]:
    names: dict[Any, tuple[str, str]] = {}
    if by == "rule":
        known = SeenRule.objects.filter(rule_id__in=[row[0] for row in rows])
        names = {rule.rule_id: (rule.title, rule.rule_id) for rule in known}
    elif by == "unit":
        names = {unit.pk: (str(unit), unit.code) for unit in Unit.objects.filter(pk__in=[row[0] for row in rows])}
        names[None] = ("", "none")
    elif by == "level":
        names = {level.value: (str(level.label), level.word) for level in Level}
    found = []
    for key, n, level, last_at in rows:
        if isinstance(last_at, str):
            last_at = datetime.fromisoformat(last_at).replace(tzinfo=UTC)
        label, value = names.get(key, (str(key or ""), str(key or "")))
        found.append(Group(label, value, n, level, last_at))
    return found


def _day() -> str:
    """SQL: the day of the last finding, in local time."""
    if connection.vendor == "sqlite":
        offset = int(timezone.localtime().utcoffset().total_seconds())  # type: ignore[union-attr]
        return f"date(shared, '{offset:+d} seconds')"
    return f"to_char(shared AT TIME ZONE '{timezone.get_current_timezone_name()}', 'YYYY-MM-DD')"


def _fits(found: Criteria, unit: int, level: int, status: int) -> bool:
    row = {"unit_id": unit or None, "level": level, "status": status}
    return all(row[column] in values for column, values in found.among.items()) and not any(
        row[column] in values for column, values in found.without
    )


def _tallied_hours(found: Criteria, start: datetime, end: datetime) -> list[tuple[int, int, int]]:
    """(hour, level, how many)."""
    rows = Tally.objects.filter(hour__gte=max(tally.hour_of(start), 0), hour__lte=tally.hour_of(end))
    units = found.among.get("unit_id")
    left_out = [values for column, values in found.without if column == "unit_id"]
    if units is None and not left_out:
        rows = rows.filter(unit=tally.ALL)
    elif units is not None:
        rows = rows.filter(unit__in=[unit or 0 for unit in units])
    else:
        rows = rows.exclude(unit=tally.ALL)
    for values in left_out:
        rows = rows.exclude(unit__in=[unit or 0 for unit in values])
    for column in ("level", "status"):
        if column in found.among:
            rows = rows.filter(**{f"{column}__in": list(found.among[column])})
    for column, values in found.without:
        if column != "unit_id":
            rows = rows.exclude(Q(**{f"{column}__in": list(values)}))
    return list(rows.values_list("hour", "level").annotate(all=Sum("n")))


def _counted_hours(found: Criteria) -> list[tuple[int, int, int]]:
    inner, values = scanning.latest(found, "last_at, id, level", MOST + 1)
    hour = (
        "CAST(strftime('%%s', last_at) AS integer) / 3600"
        if connection.vendor == "sqlite"
        else "CAST(floor(extract(epoch FROM last_at) / 3600) AS integer)"
    )
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {hour}, level, count(*) FROM ({inner}) AS newest GROUP BY 1, 2", values)  # noqa: S608
        return list(cursor.fetchall())


def _bars(hours: Iterable[tuple[int, int, int]], start: datetime, end: datetime) -> Histogram:
    first, last = tally.hour_of(start), max(tally.hour_of(end), tally.hour_of(start))
    width = max(-(-(last - first + 1) // BARS), 1)
    counts: dict[int, list[int]] = defaultdict(lambda: [0, 0])
    for hour, level, n in hours:
        if first <= hour <= last:
            each = counts[(hour - first) // width]
            each[0] += n
            each[1] += n if level >= Level.HIGH else 0
    most = max((n for n, _ in counts.values()), default=0)
    bars = []
    for place in range((last - first) // width + 1):
        n, severe = counts.get(place, (0, 0))
        begin = datetime.fromtimestamp((first + place * width) * 3600, UTC)
        bars.append(
            Bar(
                begin,
                begin + timedelta(hours=width),
                n,
                severe,
                place,
                round(max(100 * n / most, 4), 1) if n else 0,
                round(100 * severe / most, 1) if n else 0,
            )
        )
    return Histogram(
        bars[0].start, min(bars[-1].end, max(end, bars[-1].start)), tuple(bars), sum(bar.n for bar in bars), most
    )
