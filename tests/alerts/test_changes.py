"""What changed in the store of alerts since one last looked."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from alerts.recordings import finding
from khien.alerts.sink import SqliteAlerts
from khien.errors import UsageError


@pytest.fixture
def store(tmp_path: Path) -> SqliteAlerts:
    return SqliteAlerts(tmp_path / "alerts.db")


def test_nothing_has_changed_in_an_empty_store(store: SqliteAlerts) -> None:
    assert store.changes(0) == []
    assert store.last_change() == 0


def test_each_alert_begun_or_changed_comes_once_as_it_is_now_with_its_findings(store: SqliteAlerts) -> None:
    store.take(0, 1, [finding(1, host="a"), finding(2, host="b")])
    first = store.changes(0)
    assert [each.detail.alert.entity.value for each in first] == ["a", "b"]
    store.take(0, 2, [finding(3, 5, host="a"), finding(4, host="c")])
    (grown, begun) = store.changes(first[-1].number)
    assert (grown.detail.alert.entity.value, grown.detail.alert.count, len(grown.detail.sample)) == ("a", 2, 2)
    assert begun.detail.alert.entity.value == "c"
    assert begun.number == store.last_change()
    assert store.changes(begun.number) == []
    assert [each.detail.alert.entity.value for each in store.changes(0)] == ["b", "a", "c"]


def test_changes_are_read_in_portions(store: SqliteAlerts) -> None:
    store.take(0, 1, [finding(n, host=f"h{n}") for n in range(7)])
    seen, after = [], 0
    while part := store.changes(after, 3):
        seen += [each.detail.alert.entity.value for each in part]
        after = part[-1].number
    assert seen == [f"h{n}" for n in range(7)]


def test_a_status_and_a_finding_taken_back_are_changes_too(store: SqliteAlerts) -> None:
    findings = [finding(1), finding(2)]
    (alert,) = store.take(0, 1, findings)
    after = store.last_change()
    store.set_status(alert.id, "acknowledged")
    (change,) = store.changes(after)
    assert change.detail.alert.status == "acknowledged"
    with store.database.writing() as connection:
        store.supersede(connection, [(findings[0].id, change.detail.alert.first)])
    (change,) = store.changes(change.number)
    assert change.detail.alert.count == 1


def test_numbers_never_come_back_when_alerts_are_deleted(store: SqliteAlerts) -> None:
    (alert,) = store.take(0, 1, [finding(1)])
    store.set_status(alert.id, "closed")
    last = store.last_change()
    assert store.retain(alert.last + 1) == 1
    store.take(0, 2, [finding(2)])
    assert [each.number > last for each in store.changes(0)] == [True]


def test_the_status_of_many_is_set_at_once_and_unknown_ids_are_passed_over(store: SqliteAlerts) -> None:
    alerts = store.take(0, 1, [finding(n, host=f"h{n}") for n in range(3)])
    assert store.set_statuses({alert.id: "closed" for alert in alerts[:2]} | {"gone": "closed"}) == 2
    assert store.counts()["closed"]["high"] == 2
    with pytest.raises(UsageError):
        store.set_statuses({alerts[2].id: "lost"})
    assert store.counts()["new"]["high"] == 1


def test_a_file_of_the_first_version_is_brought_up(store: SqliteAlerts, tmp_path: Path) -> None:
    store.take(0, 1, [finding(n, host=f"h{n}") for n in range(3)])
    store.close()
    with sqlite3.connect(tmp_path / "alerts.db") as connection:
        connection.executescript(
            "DROP INDEX alerts_by_change; ALTER TABLE alerts DROP COLUMN change;"
            "DELETE FROM counters WHERE name = 'change'; PRAGMA user_version = 1"
        )
    again = SqliteAlerts(tmp_path / "alerts.db")
    assert [each.detail.alert.entity.value for each in again.changes(0)] == ["h0", "h1", "h2"]
    again.take(0, 2, [finding(9, 3, host="h0")])
    assert [each.detail.alert.entity.value for each in again.changes(3)] == ["h0"]
