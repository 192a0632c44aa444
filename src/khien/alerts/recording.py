"""Writes findings into alerts and entities, within a transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import msgspec

from khien.alerts.entities import Entity
from khien.alerts.grouping import STATUSES, Alert, GroupingWindow, Sighting, begin, fits, group_key, join
from khien.alerts.risk import RiskModel, Weight, add_step, multiplier, rank, step_of, tactics_of
from khien.errors import UsageError
from khien.findings.finding import LEVELS

RISKY = frozenset(("host", "user", "ip", "domain", "hash"))
"""Kinds of entities that have a risk: a process runs everywhere."""
_MOST_CANDIDATES = 50
_HOUR = 3_600_000_000
_encode = msgspec.msgpack.Encoder().encode
_decode_alert = msgspec.msgpack.Decoder(Alert).decode
_decode_tactics = msgspec.msgpack.Decoder(dict[str, int]).decode


@dataclass(slots=True)
class _Open:
    """An alert while findings are added. `n`: its row, None before it has one."""

    n: int | None
    alert: Alert
    group: bytes
    weight: Weight
    before: int
    level: str
    known: frozenset[Entity]
    findings: list[tuple[str, int]] = field(default_factory=list)
    samples: list[bytes] = field(default_factory=list)


def scope(entity: Entity, unit: str) -> str:
    """The unit an entity's name means something in; "" for those that are the same everywhere."""
    return unit if entity.is_local else ""


class Recorder:
    """Adds findings to the alerts of a database, and their weight to entities."""

    def __init__(self, window: GroupingWindow, model: RiskModel) -> None:
        self._window = window
        self._model = model

    def add(self, connection: sqlite3.Connection, sightings: Sequence[Sighting]) -> list[Alert]:
        """Add findings that are not known by their id yet; the alerts begun or changed."""
        known = _known(connection, sightings)
        by_group: dict[bytes, list[_Open]] = {}
        for sighting in sightings:
            finding = sighting.finding
            if finding.id in known:
                continue
            known.add(finding.id)
            group = group_key(sighting)
            candidates = by_group.get(group)
            if candidates is None:
                candidates = by_group[group] = self._candidates(connection, group, sighting.time)
            chosen = next((each for each in candidates if fits(each.alert, sighting.time, self._window)), None)
            if chosen is None:
                chosen = _Open(None, begin(sighting), group, Weight(), 0, sighting.level, frozenset())
                candidates.insert(0, chosen)
            chosen.findings.append((finding.id, sighting.time))
            if join(chosen.alert, sighting):
                chosen.samples.append(_encode(finding))
        changed = [each for candidates in by_group.values() for each in candidates if each.findings]
        return self._write(connection, changed)

    def _candidates(self, connection: sqlite3.Connection, group: bytes, time: int) -> list[_Open]:
        """The alerts of a group that findings about a time may join, the latest first."""
        rows = connection.execute(
            "SELECT n, grp, weight, at, body FROM alerts WHERE grp = ? AND last >= ? AND status != 'closed'"
            " ORDER BY last DESC LIMIT ?",
            (group, time - self._window.longest - self._window.gap, _MOST_CANDIDATES),
        )
        return [_opened(row) for row in rows.fetchall()]

    def supersede(self, connection: sqlite3.Connection, findings: Sequence[tuple[str, int]]) -> list[Alert]:
        """Take findings back, by id and event time; the alerts changed by it."""
        opened: dict[int, _Open] = {}
        for finding, time in findings:
            row = connection.execute(
                "UPDATE findings SET superseded = 1 WHERE hour = ? AND id = ? AND superseded = 0 RETURNING alert",
                (hour_of(time), bytes.fromhex(finding)),
            ).fetchone()
            if row is None:
                continue
            n = int(row[0])
            if n not in opened:
                sql = "SELECT n, grp, weight, at, body FROM alerts WHERE n = ?"
                opened[n] = _opened(connection.execute(sql, (n,)).fetchone())
            alert = opened[n].alert
            alert.count -= 1
            alert.superseded += 1
        return self._write(connection, list(opened.values()))

    def set_status(self, connection: sqlite3.Connection, alert_id: str, status: str) -> Alert:
        """Set an alert's status. Raises UsageError."""
        if status not in STATUSES:
            raise UsageError(f"{status!r} is no status of an alert", "", f"Use one of: {', '.join(STATUSES)}")
        sql = "SELECT n, grp, weight, at, body FROM alerts WHERE id = ?"
        row = connection.execute(sql, (alert_id,)).fetchone()
        if row is None:
            raise UsageError(f"There is no alert {alert_id!r}")
        opened = _opened(row)
        opened.alert.status = status
        self._save(connection, opened, next_change(connection, 1))
        return opened.alert

    def _save(self, connection: sqlite3.Connection, each: _Open, change: int) -> float:
        """Write an alert and its new findings, as a change of that number; what its weight gained."""
        alert = each.alert
        step = step_of(alert.level, 0, alert.count) - step_of(each.level, 0, each.before)
        if step:
            each.weight = add_step(each.weight, step, alert.last, self._model)
        columns = (
            LEVELS.index(alert.level),
            alert.status,
            alert.first,
            alert.last,
            alert.updated,
            each.weight.value,
            each.weight.at,
            _encode(alert),
            change,
        )
        if each.n is None:
            each.n = connection.execute(
                "INSERT INTO alerts"
                " (level, status, first, last, updated, weight, at, body, change, id, grp, rule, unit, tactics)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (*columns, alert.id, each.group, alert.rule_id, alert.unit, _encode(tactics_of(alert.tags))),
            ).lastrowid
        else:
            connection.execute(
                "UPDATE alerts"
                " SET level = ?, status = ?, first = ?, last = ?, updated = ?, weight = ?, at = ?, body = ?,"
                " change = ?"
                " WHERE n = ?",
                (*columns, each.n),
            )
        connection.executemany(
            "INSERT INTO findings (hour, id, alert) VALUES (?, ?, ?)",
            [(hour_of(time), bytes.fromhex(finding), each.n) for finding, time in each.findings],
        )
        for sample in each.samples:
            connection.execute("INSERT INTO samples (alert, finding) VALUES (?, ?)", (each.n, sample))
        return step

    def _write(self, connection: sqlite3.Connection, changed: Collection[_Open]) -> list[Alert]:
        """Write alerts, and add what they gained to their entities, each entity once."""
        entities: dict[tuple[str, str, str], _Weighed] = {}
        alerts = []
        first = next_change(connection, len(changed)) if changed else 0
        for change, each in enumerate(changed, first):
            alert = each.alert
            alerts.append(alert)
            gained = self._save(connection, each, change)
            if not gained and len(alert.entities) == len(each.known):
                continue
            names = tactics_of(alert.tags)
            for entity in alert.entities:
                key = entity.kind, entity.value, scope(entity, alert.unit)
                weighed = entities.get(key)
                if weighed is None:
                    weighed = entities[key] = _Weighed.read(connection, key)
                new = entity not in each.known
                if new:
                    connection.execute("INSERT OR IGNORE INTO alert_entities VALUES (?, ?)", (each.n, weighed.n))
                if entity.kind not in RISKY:
                    continue
                # An entity that the alert did not have before takes on all of its weight.
                step, when = (each.weight.value, each.weight.at) if new else (gained, alert.last)
                weighed.weight = add_step(weighed.weight, step, when, self._model)
                for name in names if step > 0 else ():
                    weighed.tactics[name] = max(weighed.tactics.get(name, 0), alert.last)
        for weighed in entities.values():
            weighed.write(connection, self._model)
        return alerts


@dataclass(slots=True)
class _Weighed:
    """An entity's row."""

    n: int
    weight: Weight
    tactics: dict[str, int]

    @classmethod
    def read(cls, connection: sqlite3.Connection, key: tuple[str, str, str]) -> _Weighed:
        row = connection.execute(
            "SELECT n, weight, at, tactics FROM entities WHERE kind = ? AND value = ? AND unit = ?", key
        ).fetchone()
        if row is not None:
            return cls(row[0], Weight(row[1], row[2]), _decode_tactics(row[3]))
        n = connection.execute(
            "INSERT INTO entities (kind, value, unit, weight, at, tactics) VALUES (?, ?, ?, 0, 0, ?)",
            (*key, _encode({})),
        ).lastrowid
        assert n is not None
        return cls(n, Weight(), {})

    def write(self, connection: sqlite3.Connection, model: RiskModel) -> None:
        place = rank(self.weight, multiplier(self.tactics, self.weight.at, model), model)
        connection.execute(
            "UPDATE entities SET weight = ?, at = ?, rank = ?, tactics = ? WHERE n = ?",
            (
                self.weight.value,
                self.weight.at,
                place if place != float("-inf") else None,
                _encode(self.tactics),
                self.n,
            ),
        )


def _opened(row: tuple[int, bytes, float, int, bytes]) -> _Open:
    n, group, weight, at, body = row
    alert = _decode_alert(body)
    return _Open(n, alert, group, Weight(weight, at), alert.count, alert.level, frozenset(alert.entities))


def _known(connection: sqlite3.Connection, sightings: Sequence[Sighting]) -> set[str]:
    """The ids of those that are stored."""
    by_hour: dict[int, list[bytes]] = {}
    for sighting in sightings:
        by_hour.setdefault(hour_of(sighting.time), []).append(bytes.fromhex(sighting.finding.id))
    found: set[str] = set()
    for hour, ids in by_hour.items():
        for start in range(0, len(ids), 500):
            part = ids[start : start + 500]
            marks = ",".join("?" * len(part))
            sql = f"SELECT id FROM findings WHERE hour = ? AND id IN ({marks})"  # noqa: S608 - marks only
            found.update(row[0].hex() for row in connection.execute(sql, (hour, *part)))
    return found


def next_change(connection: sqlite3.Connection, most: int) -> int:
    """The first of `most` numbers for changes of alerts, greater than all before, within a transaction."""
    row = connection.execute(
        "INSERT INTO counters VALUES ('change', ?1)"
        " ON CONFLICT (name) DO UPDATE SET value = value + ?1 RETURNING value",
        (most,),
    ).fetchone()
    return int(row[0]) - most + 1


def hour_of(time: int) -> int:
    """The hour under which a finding of an event time is filed."""
    return time // _HOUR
