"""Where the live flow hands its findings: the `AlertSink` protocol, and its implementation in one SQLite file."""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from khien.alerts.database import Database
from khien.alerts.entities import Extractor
from khien.alerts.grouping import Alert, GroupingWindow, Sighting, sight
from khien.alerts.live_finding import LiveFinding
from khien.alerts.recording import Recorder
from khien.alerts.retention import retain_alerts
from khien.alerts.risk import RiskModel
from khien.alerts.selectors import AlertSelectors
from khien.engine.hit import Hit

_encode_hit = msgspec.msgpack.Encoder().encode


class AlertSink(Protocol):
    """Takes findings of several lanes, each lane's in the order of its positions."""

    def take(self, lane: int, position: int, findings: Sequence[LiveFinding], hits: Sequence[Hit] = ()) -> list[Alert]:
        """Store what a lane's work up to `position` found; the alerts begun or changed by it, each once.

        All of it and the lane's position become durable together. Nothing happens, and the result is
        empty, when the position is not beyond the stored one. `hits`: matches of rules that
        correlations are made of.
        """

    def position(self, lane: int) -> int:
        """The last position taken of a lane, -1 before the first."""

    def close(self) -> None:
        """Give up files and connections."""


class SqliteAlerts(AlertSelectors):
    """Alerts, entities with their risk, and hits for live correlation in one file.

    Safe for several processes, each with an object of its own: a transaction waits for its turn up to
    30 s. An object serves one thread. All methods raise AlertStoreError when the file cannot be used.
    `readonly`: for looking only; the file has to exist.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        window: GroupingWindow | None = None,
        model: RiskModel | None = None,
        extractor: Extractor | None = None,
        readonly: bool = False,
    ) -> None:
        model = model or RiskModel()
        self.database = Database(Path(path), readonly=readonly)
        super().__init__(self.database, model)
        self._extractor = extractor or Extractor.load()
        self._recorder = Recorder(window or GroupingWindow(), model)
        self.unreadable = 0
        """Findings whose record could not be decoded; they are counted and left out."""

    def take(self, lane: int, position: int, findings: Sequence[LiveFinding], hits: Sequence[Hit] = ()) -> list[Alert]:
        """Store the work of a lane up to a position, once (see `AlertSink.take`)."""
        if position <= self.position(lane):
            return []
        sightings = self.sightings(findings)
        rows = [(hit.time, hit.rule_id, _encode_hit(hit)) for hit in hits]
        with self.database.writing() as connection:
            if position <= _position(connection, lane):
                return []
            alerts = self._recorder.add(connection, sightings)
            connection.executemany("INSERT INTO hits (time, rule, body) VALUES (?, ?, ?)", rows)
            connection.execute("INSERT OR REPLACE INTO positions VALUES (?, ?)", (lane, position))
        return alerts

    def sightings(self, findings: Iterable[LiveFinding]) -> list[Sighting]:
        """Findings with what grouping reads of them; those that are no finding records are counted and left out."""
        found = []
        for finding in findings:
            try:
                found.append(sight(finding, self._extractor))
            except (msgspec.DecodeError, RecursionError):
                self.unreadable += 1
        return found

    def add(self, connection: sqlite3.Connection, sightings: Sequence[Sighting]) -> list[Alert]:
        """Store findings within a transaction of `database.writing()`; those whose id is known are passed over."""
        return self._recorder.add(connection, sightings)

    def supersede(self, connection: sqlite3.Connection, findings: Sequence[tuple[str, int]]) -> list[Alert]:
        """Take findings back, by id and event time, within a transaction: their alerts no longer count them."""
        return self._recorder.supersede(connection, findings)

    def position(self, lane: int) -> int:
        """The last position taken of a lane, -1 before the first."""
        with self.database.reading() as connection:
            return _position(connection, lane)

    def identity(self) -> int:
        """A number that tells this file, and copies of it, from any other; made up when it is first asked for."""
        sql = "SELECT value FROM counters WHERE name = 'identity'"
        with self.database.reading() as connection:
            row = connection.execute(sql).fetchone()
        if row is None:
            with self.database.writing() as connection:
                made = secrets.randbits(62)
                connection.execute("INSERT OR IGNORE INTO counters VALUES ('identity', ?)", (made,))
                row = connection.execute(sql).fetchone()
        return int(row[0])

    def set_status(self, alert_id: str, status: str) -> Alert:
        """Set an alert's status: new, acknowledged or closed. Findings after it was closed begin a new alert.

        Raises UsageError for another status or an unknown id.
        """
        with self.database.writing() as connection:
            return self._recorder.set_status(connection, alert_id, status)

    def set_statuses(self, statuses: Mapping[str, str]) -> int:
        """Set the status of many alerts by id, all or none; how many there were. Unknown ids are passed over.

        Raises UsageError for what is no status.
        """
        with self.database.writing() as connection:
            marks = ",".join("?" * len(statuses))
            sql = f"SELECT id FROM alerts WHERE id IN ({marks})"  # noqa: S608 - marks only
            known = [row[0] for row in connection.execute(sql, tuple(statuses)).fetchall()]
            for alert_id in known:
                self._recorder.set_status(connection, alert_id, statuses[alert_id])
        return len(known)

    def retain(self, before: int, *, most: int = 10_000) -> int:
        """Delete closed alerts whose last finding is older than `before` (microseconds UTC), and how many there were.

        At most `most` are deleted, in short transactions that let writers through; call again for the rest.
        """
        return retain_alerts(self.database, before, most)

    def close(self) -> None:
        """Give the file up."""
        self.database.close()


def _position(connection: sqlite3.Connection, lane: int) -> int:
    row = connection.execute("SELECT position FROM positions WHERE lane = ?", (lane,)).fetchone()
    return int(row[0]) if row else -1
