"""Writes findings into alerts and entities, within a transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
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
_encode = msgspec.msgpack.Encoder().encode
_decode_alert = msgspec.msgpack.Decoder(Alert).decode
_decode_tactics = msgspec.msgpack.Decoder(dict[str, int]).decode


@dataclass(slots=True)
class _Open:
    """An alert while findings are added. `n`: its row, None before it has one."""

    n: int | None
    alert: Alert
    group: bytes
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
        known = _known(connection, [sighting.finding.id for sighting in sightings])
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
                chosen = _Open(None, begin(sighting), group, 0, sighting.level, frozenset())
                candidates.insert(0, chosen)
            chosen.findings.append((finding.id, sighting.time))
            if join(chosen.alert, sighting):
                chosen.samples.append(_encode(finding))
        changed = [each for candidates in by_group.values() for each in candidates if each.findings]
        for each in changed:
            self._save(connection, each)
        self._weigh(connection, changed)
        return [each.alert for each in changed]

    def _candidates(self, connection: sqlite3.Connection, group: bytes, time: int) -> list[_Open]:
        """The alerts of a group that findings about a time may join, the latest first."""
        rows = connection.execute(
            "SELECT n, body FROM alerts WHERE grp = ? AND last >= ? AND status != 'closed' ORDER BY last DESC LIMIT ?",
            (group, time - self._window.longest - self._window.gap, _MOST_CANDIDATES),
        )
        return [_opened(n, _decode_alert(body), group) for n, body in rows.fetchall()]

    def supersede(self, connection: sqlite3.Connection, ids: Sequence[str]) -> list[Alert]:
        """Take findings back; the alerts changed by it."""
        opened: dict[int, _Open] = {}
        for finding in ids:
            row = connection.execute(
                "UPDATE findings SET superseded = 1 WHERE id = ? AND superseded = 0 RETURNING alert",
                (bytes.fromhex(finding),),
            ).fetchone()
            if row is None:
                continue
            n = int(row[0])
            if n not in opened:
                group, body = connection.execute("SELECT grp, body FROM alerts WHERE n = ?", (n,)).fetchone()
                opened[n] = _opened(n, _decode_alert(body), group)
            alert = opened[n].alert
            alert.count -= 1
            alert.superseded += 1
        for each in opened.values():
            self._save(connection, each)
        self._weigh(connection, opened.values())
        return [each.alert for each in opened.values()]

    def set_status(self, connection: sqlite3.Connection, alert_id: str, status: str) -> Alert:
        """Set an alert's status. Raises UsageError."""
        if status not in STATUSES:
            raise UsageError(f"{status!r} is no status of an alert", "", f"Use one of: {', '.join(STATUSES)}")
        row = connection.execute("SELECT n, grp, body FROM alerts WHERE id = ?", (alert_id,)).fetchone()
        if row is None:
            raise UsageError(f"There is no alert {alert_id!r}")
        opened = _opened(row[0], _decode_alert(row[2]), row[1])
        opened.alert.status = status
        self._save(connection, opened)
        return opened.alert

    @staticmethod
    def _save(connection: sqlite3.Connection, each: _Open) -> None:
        alert = each.alert
        columns = (LEVELS.index(alert.level), alert.status, alert.first, alert.last, alert.updated, _encode(alert))
        if each.n is None:
            each.n = connection.execute(
                "INSERT INTO alerts (level, status, first, last, updated, body, id, grp, rule, unit, tactics)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (*columns, alert.id, each.group, alert.rule_id, alert.unit, _encode(tactics_of(alert.tags))),
            ).lastrowid
        else:
            connection.execute(
                "UPDATE alerts SET level = ?, status = ?, first = ?, last = ?, updated = ?, body = ? WHERE n = ?",
                (*columns, each.n),
            )
        connection.executemany(
            "INSERT INTO findings (id, alert, time) VALUES (?, ?, ?)",
            [(bytes.fromhex(finding), each.n, time) for finding, time in each.findings],
        )
        connection.executemany(
            "INSERT INTO samples (alert, finding) VALUES (?, ?)", [(each.n, sample) for sample in each.samples]
        )

    def _weigh(self, connection: sqlite3.Connection, changed: Iterable[_Open]) -> None:
        """Add what alerts gained to their entities, each entity written once."""
        entities: dict[tuple[str, str, str], _Weighed] = {}
        for each in changed:
            alert = each.alert
            assert each.n is not None
            gained = step_of(alert.level, 0, alert.count) - step_of(each.level, 0, each.before)
            if not gained and len(alert.entities) == len(each.known):
                continue
            names = tactics_of(alert.tags)
            for entity in alert.entities:
                key = entity.kind, entity.value, scope(entity, alert.unit)
                weighed = entities.get(key)
                if weighed is None:
                    weighed = entities[key] = _Weighed.read(connection, key)
                # An entity that the alert did not have before takes on all of its weight.
                step = gained if entity in each.known else step_of(alert.level, 0, alert.count)
                if entity.kind not in RISKY:
                    step = 0.0
                _add_to_alert(connection, each.n, weighed.n, step, alert.last, self._model)
                weighed.weight = add_step(weighed.weight, step, alert.last, self._model)
                for name in names if step > 0 else ():
                    weighed.tactics[name] = max(weighed.tactics.get(name, 0), alert.last)
        for weighed in entities.values():
            weighed.write(connection, self._model)


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


def _add_to_alert(
    connection: sqlite3.Connection, alert: int, entity: int, step: float, at: int, model: RiskModel
) -> None:
    row = connection.execute(
        "SELECT weight, at FROM alert_entities WHERE alert = ? AND entity = ?", (alert, entity)
    ).fetchone()
    weight = add_step(Weight(*row) if row else Weight(), step, at, model)
    connection.execute(
        "INSERT OR REPLACE INTO alert_entities VALUES (?, ?, ?, ?)", (alert, entity, weight.value, weight.at)
    )


def _opened(n: int, alert: Alert, group: bytes) -> _Open:
    return _Open(n, alert, group, alert.count, alert.level, frozenset(alert.entities))


def _known(connection: sqlite3.Connection, ids: Sequence[str]) -> set[str]:
    """Those of the ids that are stored."""
    found: set[str] = set()
    for start in range(0, len(ids), 500):
        part = [bytes.fromhex(each) for each in ids[start : start + 500]]
        marks = ",".join("?" * len(part))
        rows = connection.execute(f"SELECT id FROM findings WHERE id IN ({marks})", part)  # noqa: S608 - marks only
        found.update(row[0].hex() for row in rows)
    return found
