"""Deletes old closed alerts, a few at a time."""

from __future__ import annotations

from khien.alerts.database import Database

_AT_ONCE = 200


def retain_alerts(database: Database, before: int, most: int) -> int:
    """Delete closed alerts whose last finding is older than `before` (microseconds UTC); how many there were.

    Entities that no alert names any more go with them.
    """
    deleted = 0
    while deleted < most:
        with database.writing() as connection:
            rows = connection.execute(
                "SELECT n FROM alerts WHERE status = 'closed' AND last < ? LIMIT ?",
                (before, min(_AT_ONCE, most - deleted)),
            ).fetchall()
            for (n,) in rows:
                named = connection.execute("SELECT entity FROM alert_entities WHERE alert = ?", (n,)).fetchall()
                for table in ("findings", "samples", "alert_entities"):
                    connection.execute(f"DELETE FROM {table} WHERE alert = ?", (n,))  # noqa: S608 - our own names
                connection.execute("DELETE FROM alerts WHERE n = ?", (n,))
                connection.executemany(
                    "DELETE FROM entities WHERE n = ?1 AND NOT EXISTS (SELECT 1 FROM alert_entities WHERE entity = ?1)",
                    named,
                )
        deleted += len(rows)
        if len(rows) < _AT_ONCE:
            break
    return deleted
