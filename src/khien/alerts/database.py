"""The SQLite file of alerts: its tables, and connections that several processes may use at once."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from khien.errors import KhienError

VERSION = 2
_BUSY_SECONDS = 30.0
_T = TypeVar("_T")

# Findings are filed by the hour of their event time before their id, so that what is written lies close together.
_TABLES = """
CREATE TABLE positions (lane INTEGER PRIMARY KEY, position INTEGER NOT NULL);
CREATE TABLE findings (
    hour INTEGER NOT NULL, id BLOB NOT NULL, alert INTEGER NOT NULL, superseded INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (hour, id)
) WITHOUT ROWID;
CREATE INDEX findings_by_alert ON findings (alert);
CREATE TABLE alerts (
    n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, grp BLOB NOT NULL, rule TEXT NOT NULL, unit TEXT NOT NULL,
    level INTEGER NOT NULL, status TEXT NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL,
    updated INTEGER NOT NULL, weight REAL NOT NULL, at INTEGER NOT NULL, tactics BLOB NOT NULL, body BLOB NOT NULL,
    change INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX alerts_by_change ON alerts (change);
CREATE INDEX alerts_by_group ON alerts (grp, last);
CREATE INDEX alerts_by_time ON alerts (last, n);
CREATE INDEX alerts_by_status ON alerts (status, level, last, n);
CREATE INDEX alerts_by_unit ON alerts (unit, last, n);
CREATE TABLE samples (n INTEGER PRIMARY KEY, alert INTEGER NOT NULL, finding BLOB NOT NULL);
CREATE INDEX samples_by_alert ON samples (alert);
CREATE TABLE entities (
    n INTEGER PRIMARY KEY, kind TEXT NOT NULL, value TEXT NOT NULL, unit TEXT NOT NULL,
    weight REAL NOT NULL, at INTEGER NOT NULL, rank REAL, tactics BLOB NOT NULL, UNIQUE (kind, value, unit)
);
CREATE INDEX entities_by_rank ON entities (rank) WHERE rank IS NOT NULL;
CREATE TABLE alert_entities (
    alert INTEGER NOT NULL, entity INTEGER NOT NULL, PRIMARY KEY (alert, entity)
) WITHOUT ROWID;
CREATE INDEX alerts_by_entity ON alert_entities (entity, alert);
CREATE TABLE hits (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, time INTEGER NOT NULL, rule TEXT NOT NULL, body BLOB NOT NULL
);
CREATE INDEX hits_by_rule ON hits (rule, time);
CREATE TABLE correlations (
    id TEXT PRIMARY KEY, fingerprint TEXT NOT NULL, since INTEGER NOT NULL, start INTEGER NOT NULL
);
CREATE TABLE correlated (
    id BLOB PRIMARY KEY, correlation TEXT NOT NULL, grp TEXT NOT NULL, time INTEGER NOT NULL, decided INTEGER NOT NULL,
    seq INTEGER NOT NULL, state INTEGER NOT NULL, hit BLOB NOT NULL
) WITHOUT ROWID;
CREATE INDEX correlated_by_state ON correlated (state, decided);
CREATE INDEX correlated_by_rule ON correlated (correlation, decided);
CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
"""
# What brings a file of a version to the next one.
_MIGRATIONS = {
    1: """
ALTER TABLE alerts ADD COLUMN change INTEGER NOT NULL DEFAULT 0;
UPDATE alerts SET change = n;
CREATE INDEX alerts_by_change ON alerts (change);
INSERT OR REPLACE INTO counters SELECT 'change', coalesce(max(n), 0) FROM alerts;
"""
}


class AlertStoreError(KhienError):
    """The store of alerts cannot be opened, read or written."""


class Database:
    """One connection to the file; each process and thread opens its own."""

    def __init__(self, path: Path, *, readonly: bool = False) -> None:
        self.path = path
        try:
            if readonly:
                self._connection = sqlite3.connect(
                    f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=_BUSY_SECONDS, isolation_level=None
                )
            else:
                self._connection = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None)
                self._prepare()
        except sqlite3.Error as error:
            raise self._error("cannot be opened", error) from error

    def _prepare(self) -> None:
        run = self._connection.execute
        self._insist(lambda: run("PRAGMA journal_mode = WAL"))
        run("PRAGMA synchronous = FULL")
        run("PRAGMA cache_size = -65536")
        run("PRAGMA temp_store = MEMORY")
        run("PRAGMA journal_size_limit = 67108864")
        if run("PRAGMA user_version").fetchone()[0] == VERSION:
            return
        run("BEGIN IMMEDIATE")
        try:
            version = run("PRAGMA user_version").fetchone()[0]
            before = version
            if version == 0:
                self._run_all(_TABLES)
                version = VERSION
            while version in _MIGRATIONS:
                self._run_all(_MIGRATIONS[version])
                version += 1
            if version != before:
                run(f"PRAGMA user_version = {version}")
            run("COMMIT")
        except BaseException:
            run("ROLLBACK")
            raise
        if version != VERSION:
            raise AlertStoreError(
                f"The store of alerts has version {version}, this Khiên writes {VERSION}",
                str(self.path),
                "Use the Khiên that wrote it, or another file",
            )

    def _run_all(self, statements: str) -> None:
        for statement in statements.split(";\n"):
            if statement.strip():
                self._connection.execute(statement)

    def _insist(self, act: Callable[[], _T]) -> _T:
        """Changing the journal mode does not wait for a busy file by itself."""
        deadline = time.monotonic() + _BUSY_SECONDS
        while True:
            try:
                return act()
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or time.monotonic() > deadline:
                    raise
                time.sleep(0.02)

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction that holds the only right to write; all of it is durable, or none. Raises AlertStoreError."""
        connection = self._connection
        try:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
        except sqlite3.Error as error:
            raise self._error("cannot be written", error) from error

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """One consistent view of the file. Raises AlertStoreError."""
        connection = self._connection
        try:
            connection.execute("BEGIN")
            try:
                yield connection
            finally:
                connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise self._error("cannot be read", error) from error

    def close(self) -> None:
        """Give the file up."""
        self._connection.close()

    def _error(self, what: str, error: sqlite3.Error) -> AlertStoreError:
        return AlertStoreError(
            f"The store of alerts {what}: {error}", str(self.path), "Check the disk's space and the file's rights"
        )
