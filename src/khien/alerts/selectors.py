"""Reads alerts, their findings, and entities with their risk."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from khien.alerts.database import Database
from khien.alerts.entities import Entity
from khien.alerts.grouping import STATUSES, Alert
from khien.alerts.live_finding import LiveFinding
from khien.alerts.recording import hour_of
from khien.alerts.risk import Contribution, Risk, RiskModel, Weight, assess, faded
from khien.findings.finding import LEVELS

_MOST_LISTED = 1_000
_MOST_CONTRIBUTIONS = 200
_decode_alert = msgspec.msgpack.Decoder(Alert).decode
_decode_finding = msgspec.msgpack.Decoder(LiveFinding).decode
_decode_tactics = msgspec.msgpack.Decoder(dict[str, int]).decode
_decode_names = msgspec.msgpack.Decoder(tuple[str, ...]).decode


class AlertQuery(msgspec.Struct, frozen=True):
    """What alerts to list, the latest first; empty fields ask for nothing.

    `level`: the least severe. `since` (included) and `until` (not included): microseconds UTC, of the last
    finding. `units`: None for all. `after`: the `next` of the page before.
    """

    status: str = ""
    level: str = ""
    since: int | None = None
    until: int | None = None
    units: tuple[str, ...] | None = None
    rule_id: str = ""
    entity: Entity | None = None
    after: tuple[int, int] | None = None
    most: int = 50


class AlertPage(msgspec.Struct, frozen=True):
    """A page of a list. `next`: where the following page begins, None after the last."""

    alerts: tuple[Alert, ...]
    next: tuple[int, int] | None


class AlertDetail(msgspec.Struct, frozen=True):
    """An alert with the findings kept of it: the first ones, then variants."""

    alert: Alert
    sample: tuple[LiveFinding, ...]


class AlertChange(msgspec.Struct, frozen=True):
    """An alert as it is now, and the number of its latest change."""

    number: int
    detail: AlertDetail


class EntityRisk(msgspec.Struct, frozen=True):
    """An entity and its risk. `unit` is "" for entities that are the same everywhere."""

    entity: Entity
    unit: str
    risk: Risk


class AlertSelectors:
    """The reading side of the store. Every method sees one consistent state and raises AlertStoreError."""

    def __init__(self, database: Database, model: RiskModel) -> None:
        self._database = database
        self._model = model

    def alerts(self, query: AlertQuery) -> AlertPage:
        """A page of alerts by the time of their last finding, the latest first."""
        where, values = _conditions(query)
        most = max(1, min(query.most, _MOST_LISTED))
        sql = f"SELECT a.last, a.n, a.body FROM alerts a WHERE {where} ORDER BY a.last DESC, a.n DESC LIMIT ?"  # noqa: S608
        with self._database.reading() as connection:
            rows = connection.execute(sql, (*values, most + 1)).fetchall()
        page = rows[:most]
        following = (page[-1][0], page[-1][1]) if len(rows) > most else None
        return AlertPage(tuple(_decode_alert(row[2]) for row in page), following)

    def alert(self, alert_id: str) -> AlertDetail | None:
        """An alert with its sample, None when there is none of that id."""
        with self._database.reading() as connection:
            row = connection.execute("SELECT n, body FROM alerts WHERE id = ?", (alert_id,)).fetchone()
            if row is None:
                return None
            samples = connection.execute("SELECT finding FROM samples WHERE alert = ? ORDER BY n", (row[0],)).fetchall()
        return AlertDetail(_decode_alert(row[1]), tuple(_decode_finding(sample[0]) for sample in samples))

    def changes(self, after: int, most: int = 500) -> list[AlertChange]:
        """Alerts begun or changed after the change of a number, in the order of their latest changes.

        Each comes once, as it is now: a reader that goes on after the last number it got misses nothing.
        """
        sql = "SELECT change, n, body FROM alerts WHERE change > ? ORDER BY change LIMIT ?"
        found = []
        with self._database.reading() as connection:
            for number, n, body in connection.execute(sql, (after, most)).fetchall():
                rows = connection.execute("SELECT finding FROM samples WHERE alert = ? ORDER BY n", (n,)).fetchall()
                sample = tuple(_decode_finding(row[0]) for row in rows)
                found.append(AlertChange(number, AlertDetail(_decode_alert(body), sample)))
        return found

    def last_change(self) -> int:
        """The number of the last change, 0 before the first."""
        with self._database.reading() as connection:
            row = connection.execute("SELECT value FROM counters WHERE name = 'change'").fetchone()
        return int(row[0]) if row else 0

    def counts(self, units: Sequence[str] | None = None) -> dict[str, dict[str, int]]:
        """How many alerts: status to level to number; all statuses and levels are there."""
        found = {status: dict.fromkeys(LEVELS, 0) for status in STATUSES}
        where = "1" if units is None else f"unit IN ({','.join('?' * len(units))})"
        sql = f"SELECT status, level, count(*) FROM alerts WHERE {where} GROUP BY status, level"  # noqa: S608
        with self._database.reading() as connection:
            for status, level, number in connection.execute(sql, tuple(units or ())):
                found[status][LEVELS[level]] = number
        return found

    def finding_count(self) -> int:
        """How many findings alerts count in all, without those superseded."""
        with self._database.reading() as connection:
            return int(connection.execute("SELECT count(*) FROM findings WHERE superseded = 0").fetchone()[0])

    def finding_alert(self, finding_id: str, time: int) -> str | None:
        """The id of the alert that a finding of an event time (microseconds UTC) went into."""
        sql = "SELECT a.id FROM findings f JOIN alerts a ON a.n = f.alert WHERE f.hour = ? AND f.id = ?"
        with self._database.reading() as connection:
            row = connection.execute(sql, (hour_of(time), bytes.fromhex(finding_id))).fetchone()
        return row[0] if row else None

    def risk(self, entity: Entity, unit: str, now: int) -> Risk:
        """The explained risk of an entity at `now` (microseconds UTC); `unit` counts for local entities only."""
        unit = unit if entity.is_local else ""
        sql = "SELECT n, weight, at, tactics FROM entities WHERE kind = ? AND value = ? AND unit = ?"
        with self._database.reading() as connection:
            row = connection.execute(sql, (entity.kind, entity.value, unit)).fetchone()
            if row is None:
                return assess((), 0.0, {}, now, self._model)
            rows = connection.execute(
                "SELECT a.weight, a.at, a.body, a.tactics FROM alert_entities e JOIN alerts a ON a.n = e.alert"
                " WHERE e.entity = ? AND a.weight > 0 ORDER BY e.alert DESC LIMIT ?",
                (row[0], _MOST_CONTRIBUTIONS),
            ).fetchall()
        contributions = []
        for weight, at, body, names in rows:
            alert = _decode_alert(body)
            value = faded(Weight(weight, at), now, self._model)
            contributions.append(
                Contribution(alert.id, alert.title, alert.level, alert.count, alert.last, _decode_names(names), value)
            )
        total = faded(Weight(row[1], row[2]), now, self._model)
        return assess(contributions, total, _decode_tactics(row[3]), now, self._model)

    def riskiest(self, now: int, *, most: int = 20, units: Sequence[str] | None = None) -> list[EntityRisk]:
        """The entities of the highest risk, without contributions. `units`: those of these units alone."""
        where = "rank IS NOT NULL" + ("" if units is None else f" AND unit IN ({','.join('?' * len(units))})")
        sql = f"SELECT kind, value, unit, weight, at, tactics FROM entities WHERE {where} ORDER BY rank DESC LIMIT ?"  # noqa: S608
        with self._database.reading() as connection:
            rows = connection.execute(sql, (*(units or ()), most)).fetchall()
        found = []
        for kind, value, unit, weight, at, seen in rows:
            total = faded(Weight(weight, at), now, self._model)
            risk = assess((), total, _decode_tactics(seen), now, self._model)
            found.append(EntityRisk(Entity(kind, value), unit, risk))
        return sorted(found, key=lambda each: -each.risk.score)


def _conditions(query: AlertQuery) -> tuple[str, list[object]]:
    """The WHERE part of a list and its values."""
    parts: list[str] = ["1"]
    values: list[object] = []

    def add(part: str, *given: object) -> None:
        parts.append(part)
        values.extend(given)

    if query.status:
        add("a.status = ?", query.status)
    if query.level:
        # A list of levels, not a comparison: the index by status and level is used for each.
        wanted = range(LEVELS.index(query.level), len(LEVELS))
        add(f"a.level IN ({','.join('?' * len(wanted))})", *wanted)
    if query.since is not None:
        add("a.last >= ?", query.since)
    if query.until is not None:
        add("a.last < ?", query.until)
    if query.units is not None:
        add(f"a.unit IN ({','.join('?' * len(query.units))})", *query.units)
    if query.rule_id:
        add("a.rule = ?", query.rule_id)
    if query.entity is not None:
        add(
            "a.n IN (SELECT alert FROM alert_entities WHERE entity IN"
            " (SELECT n FROM entities WHERE kind = ? AND value = ?))",
            query.entity.kind,
            query.entity.value,
        )
    if query.after is not None:
        add("(a.last, a.n) < (?, ?)", *query.after)
    return " AND ".join(parts), values
