"""Findings taken into a SQLite file: once each, by several processes, whatever dies in between."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import sqlite3
import time
from pathlib import Path

import pytest

from alerts.recordings import SECOND, finding, moment
from khien.alerts.entities import Entity
from khien.alerts.selectors import AlertQuery
from khien.alerts.sink import AlertSink, SqliteAlerts
from khien.engine.hit import Hit
from khien.errors import KhienError, UsageError

LANES, PARCELS, PER_PARCEL = 3, 40, 5


@pytest.fixture
def store(tmp_path: Path) -> SqliteAlerts:
    return SqliteAlerts(tmp_path / "alerts.db")


def test_it_is_a_sink(store: SqliteAlerts) -> None:
    sink: AlertSink = store
    assert sink.position(0) == -1


class TestTaking:
    def test_findings_of_a_rule_and_host_become_one_alert(self, store: SqliteAlerts) -> None:
        (alert,) = store.take(0, 1, [finding(1, 0), finding(2, 10), finding(3, 5)])
        assert (alert.count, alert.first, alert.last, alert.level) == (3, moment(0), moment(10), "high")
        assert alert.entity == Entity("host", "web01")
        assert alert.sources == ("winlog",)
        (again,) = store.take(0, 2, [finding(4, 20)])
        assert (again.id, again.count, again.last) == (alert.id, 4, moment(20))
        assert store.alerts(AlertQuery()).alerts == (again,)

    def test_hosts_rules_and_units_are_apart(self, store: SqliteAlerts) -> None:
        findings = [finding(1), finding(2, host="web02"), finding(3, rule="r2"), finding(4, unit="health")]
        assert len(store.take(0, 1, findings)) == 4

    def test_a_position_not_beyond_the_stored_one_is_skipped(self, store: SqliteAlerts) -> None:
        assert store.take(0, 5, [finding(1)])
        assert store.take(0, 5, [finding(2)]) == []
        assert store.take(0, 4, [finding(3)]) == []
        assert store.take(1, 4, [finding(4, host="other", lane=1)])
        assert (store.position(0), store.position(1), store.finding_count()) == (5, 4, 2)

    def test_a_finding_that_is_known_by_its_id_is_not_counted_again(self, store: SqliteAlerts) -> None:
        store.take(0, 1, [finding(1), finding(1)])
        assert store.take(1, 1, [finding(1)]) == []
        assert store.alerts(AlertQuery()).alerts[0].count == 1

    def test_a_record_that_is_none_is_counted_and_left_out(self, store: SqliteAlerts) -> None:
        broken = finding(1).__class__("00" * 16, b"{", "s", "u", 1, 1)
        assert len(store.take(0, 1, [broken, finding(2)])) == 1
        assert (store.unreadable, store.position(0)) == (1, 1)

    def test_hits_are_stored_with_the_findings(self, store: SqliteAlerts) -> None:
        store.take(0, 1, [], [Hit(7, "a", {"user": "An"})])
        store.take(0, 1, [], [Hit(8, "a", {})])
        with store.database.reading() as connection:
            assert connection.execute("SELECT seq, time, rule FROM hits").fetchall() == [(1, 7, "a")]

    def test_what_was_taken_is_there_after_opening_anew(self, tmp_path: Path, store: SqliteAlerts) -> None:
        (alert,) = store.take(0, 1, [finding(1)])
        store.close()
        again = SqliteAlerts(tmp_path / "alerts.db", readonly=True)
        assert again.position(0) == 1
        assert again.alerts(AlertQuery()).alerts == (alert,)


class TestReading:
    def test_lists_by_status_level_unit_entity_and_time_in_pages(self, store: SqliteAlerts) -> None:
        levels = ("low", "medium", "high", "critical")
        store.take(0, 1, [finding(n, n, host=f"h{n}", level=levels[n % 4], unit=f"u{n % 2}") for n in range(20)])

        def hosts(query: AlertQuery) -> list[str]:
            return [alert.entity.value for alert in store.alerts(query).alerts]

        assert hosts(AlertQuery(most=3)) == ["h19", "h18", "h17"]
        page = store.alerts(AlertQuery(most=12))
        assert page.next is not None
        assert hosts(AlertQuery(most=12, after=page.next)) == [f"h{n}" for n in range(7, -1, -1)]
        assert store.alerts(AlertQuery(most=12, after=page.next)).next is None
        assert hosts(AlertQuery(level="critical")) == ["h19", "h15", "h11", "h7", "h3"]
        assert hosts(AlertQuery(units=("u1",), level="high", since=moment(11), until=moment(19))) == ["h15", "h11"]
        assert hosts(AlertQuery(units=())) == []
        assert hosts(AlertQuery(entity=Entity("host", "h4"))) == ["h4"]
        assert hosts(AlertQuery(rule_id="r2")) == []
        store.set_status(store.alerts(AlertQuery(entity=Entity("host", "h4"))).alerts[0].id, "acknowledged")
        assert hosts(AlertQuery(status="acknowledged")) == ["h4"]
        assert store.counts()["new"] == {"informational": 0, "low": 4, "medium": 5, "high": 5, "critical": 5}
        assert store.counts(["u0"])["acknowledged"]["low"] == 1

    def test_the_detail_has_the_first_findings_and_rare_variants(self, store: SqliteAlerts) -> None:
        findings = [finding(n, n, matched={"CommandLine": f"ping {n}"}) for n in range(30)]
        findings += [finding(30, 30, matched={"CommandLine": "mimikatz"}), finding(31, 31, matched={"Image": "x"})]
        (alert,) = store.take(0, 1, findings)
        detail = store.alert(alert.id)
        assert detail is not None
        assert [sample.id for sample in detail.sample] == [findings[n].id for n in (0, 1, 2, 3, 4, 30, 31)]
        assert detail.sample[0] == findings[0]
        assert store.alert("none") is None
        assert store.finding_alert(findings[20].id, moment(20)) == alert.id

    def test_risk_adds_up_and_is_explained(self, store: SqliteAlerts) -> None:
        store.take(0, 1, [finding(1, 0, tags=("attack.execution",)), finding(2, 1), finding(3, 2)])
        store.take(0, 2, [finding(4, 3, rule="r2", level="critical", tags=("attack.credential-access",))])
        host = Entity("host", "web01")
        risk = store.risk(host, "dept", moment(3))
        assert risk.multiplier == 1.5
        assert risk.tactics == ("credential-access", "execution")
        assert [each.title for each in risk.contributions] == ["Rule r2", "Rule r1"]
        assert risk.score == pytest.approx(1.5 * sum(each.value for each in risk.contributions))
        assert store.risk(host, "dept", moment(3 + 86_400)).score == pytest.approx(risk.score / 2)
        (riskiest,) = store.riskiest(moment(3))
        assert (riskiest.entity, riskiest.unit) == (host, "dept")
        assert riskiest.risk.score == pytest.approx(risk.score)
        assert store.risk(host, "health", moment(3)).score == 0

    def test_a_public_address_is_one_entity_for_all_units(self, store: SqliteAlerts) -> None:
        event = {"IpAddress": "8.8.4.4"}
        store.take(0, 1, [finding(1, unit="a", event=event), finding(2, unit="b", event=event)])
        assert store.risk(Entity("ip", "8.8.4.4"), "", moment(0)).score == pytest.approx(80)


class TestStatus:
    def test_findings_after_closing_begin_a_new_alert(self, store: SqliteAlerts) -> None:
        (alert,) = store.take(0, 1, [finding(1)])
        assert store.set_status(alert.id, "closed").status == "closed"
        (other,) = store.take(0, 2, [finding(2, 5)])
        assert other.id != alert.id

    def test_unknown_alerts_and_statuses_are_refused(self, store: SqliteAlerts) -> None:
        (alert,) = store.take(0, 1, [finding(1)])
        with pytest.raises(UsageError):
            store.set_status(alert.id, "ignored")
        with pytest.raises(UsageError):
            store.set_status("none", "closed")

    def test_old_closed_alerts_are_deleted_with_all_that_belongs_to_them(self, store: SqliteAlerts) -> None:
        alerts = store.take(0, 1, [finding(n, n, host=f"h{n}", event={"User": f"u{n}"}) for n in range(4)])
        for alert in alerts[:3]:
            store.set_status(alert.id, "closed")
        assert store.retain(moment(2)) == 2
        assert [alert.entity.value for alert in store.alerts(AlertQuery()).alerts] == ["h3", "h2"]
        with store.database.reading() as connection:
            left = [
                connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
                for table in ("findings", "samples", "entities", "alert_entities")
            ]
        assert left == [2, 2, 4, 4]

    def test_superseded_findings_are_no_longer_counted(self, store: SqliteAlerts) -> None:
        findings = [finding(1), finding(2)]
        store.take(0, 1, findings)
        for _ in range(2):
            with store.database.writing() as connection:
                store.supersede(connection, [(findings[0].id, moment(0)), ("00" * 16, moment(0))])
        (alert,) = store.alerts(AlertQuery()).alerts
        assert (alert.count, alert.superseded, store.finding_count()) == (1, 1, 1)
        assert store.risk(alert.entity, "dept", moment(0)).score == pytest.approx(40)


def test_a_file_keeps_its_identity_and_another_has_another(tmp_path: Path, store: SqliteAlerts) -> None:
    first = store.identity()
    assert SqliteAlerts(store.database.path).identity() == first
    assert SqliteAlerts(tmp_path / "other.db").identity() != first


def test_a_file_of_another_version_is_refused_with_a_remedy(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "alerts.db") as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(KhienError, match="version 99"):
        SqliteAlerts(tmp_path / "alerts.db")
    with pytest.raises(KhienError, match="cannot be opened"):
        SqliteAlerts(tmp_path / "none" / "alerts.db")


def work(path: Path, lane: int) -> None:
    """A worker: goes on from the lane's position to its end."""
    store = SqliteAlerts(path)
    for position in range(store.position(lane) + 1, PARCELS):
        numbers = range(position * PER_PARCEL, (position + 1) * PER_PARCEL)
        store.take(
            lane,
            position,
            [finding(n, n, host=f"h{n % 3}", lane=lane, event={"src_ip": f"10.0.0.{n % 9}"}) for n in numbers],
            [Hit(n, "a", {"lane": lane}) for n in numbers],
        )


def expect_all_once(path: Path) -> None:
    store = SqliteAlerts(path)
    assert [store.position(lane) for lane in range(LANES)] == [PARCELS - 1] * LANES
    assert store.finding_count() == LANES * PARCELS * PER_PARCEL
    alerts = store.alerts(AlertQuery()).alerts
    assert [alert.count for alert in alerts] == [
        sum(n % 3 == alert.last // SECOND % 3 for n in range(PARCELS * PER_PARCEL)) * LANES for alert in alerts
    ]
    assert len(alerts) == 3
    with store.database.reading() as connection:
        assert connection.execute("SELECT count(*), count(DISTINCT body) FROM hits").fetchone() == (600, 600)
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


@pytest.mark.slow
def test_several_processes_write_at_once(tmp_path: Path) -> None:
    path = tmp_path / "alerts.db"
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=work, args=(path, lane)) for lane in range(LANES)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
        assert worker.exitcode == 0
    expect_all_once(path)


@pytest.mark.slow
def test_killed_workers_lose_and_double_nothing(tmp_path: Path) -> None:
    path = tmp_path / "alerts.db"
    SqliteAlerts(path).close()
    context = multiprocessing.get_context("fork")
    dice = random.Random(11)
    running: dict[int, multiprocessing.process.BaseProcess] = {}
    kills = 0
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for lane in range(LANES):
            worker = running.get(lane)
            if worker is None or (worker.exitcode is not None and worker.exitcode != 0):
                running[lane] = context.Process(target=work, args=(path, lane))
                running[lane].start()
        if kills < 8:
            time.sleep(dice.uniform(0.005, 0.06))
            victim = running[dice.randrange(LANES)]
            if victim.exitcode is None and victim.pid is not None:
                os.kill(victim.pid, signal.SIGKILL)
                victim.join()
                kills += 1
        for worker in running.values():
            worker.join(0.05)
        if all(worker.exitcode == 0 for worker in running.values()):
            break
    assert kills
    expect_all_once(path)
