"""Finding alerts: whatever index is walked, a page holds what looking at every alert would give."""

from __future__ import annotations

import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection, transaction

from console_databases import VENDOR
from khien.console.alerts import content, leads, scanning, searching
from khien.console.alerts.branches import After
from khien.console.alerts.criteria import Criteria
from khien.console.alerts.models import Alert, Tally
from khien.console.alerts.scanning import find, find_all
from khien.console.alerts.tally import ALL, Cell, cell

pytestmark = pytest.mark.django_db
START = datetime(2026, 3, 1, tzinfo=UTC)
WORDS = ("powershell", "encoded", "comsvcs", "mimikatz", "certutil", "rundll32")


@pytest.fixture
def alerts(province: Any, make_alert: Any) -> list[Alert]:
    """150 alerts with everything drawn by lot; many share a moment, so that ids have to decide."""
    lot = random.Random(7)
    made = []
    people = [None, None, province.health, province.analyst]
    for _ in range(150):
        status = lot.choice((0, 0, 1, 2))
        made.append(
            make_alert(
                unit=lot.choice((None, "so-y-te", "benh-vien", "xa-mau")),
                level=lot.randrange(5),
                host=lot.choice(("web01", "web02", "db01", "db02")),
                rule=lot.choice(("r1", "r2", "r3")),
                at=START + timedelta(minutes=lot.randrange(40)),
                status=status,
                verdict=lot.choice(("benign", "false_positive", "")) if status == 2 else "",
                owner=lot.choice(people),
                count=lot.choice((1, 1, 2, 5, 9)),
                event={"CommandLine": " ".join(lot.sample(WORDS, 2))},
            )
        )
    return made


def asked(province: Any) -> list[Criteria]:
    units = {code: unit.pk for code, unit in province.units.items()}
    own = frozenset((units["so-y-te"], units["benh-vien"]))
    me = province.health.pk
    return [
        Criteria(),
        Criteria({"status": frozenset((0,))}),
        Criteria({"status": frozenset((0, 1)), "level": frozenset((3, 4))}),
        Criteria({"unit_id": own}),
        Criteria({"unit_id": own, "status": frozenset((2,)), "level": frozenset((0,))}),
        Criteria({"unit_id": frozenset((None,))}),
        Criteria({"unit_id": frozenset((None, units["xa-mau"])), "status": frozenset((0,))}),
        Criteria({"owner_id": frozenset((me,)), "status": frozenset((0, 1))}),
        Criteria({"owner_id": frozenset((None,)), "status": frozenset((0, 1))}),
        Criteria({"owner_id": frozenset((None, me))}),
        Criteria({"rule_id": frozenset(("r1", "r3")), "level": frozenset((4,))}),
        Criteria({"entity_value": frozenset(("web01",)), "unit_id": own}),
        Criteria({"verdict": frozenset(("benign",))}),
        Criteria({"verdict": frozenset(("",))}),
        Criteria({"status": frozenset((0,))}, without=(("level", frozenset((0, 1))), ("unit_id", frozenset((None,))))),
        Criteria(without=(("unit_id", own), ("owner_id", frozenset((me, None))))),
        Criteria(since=START + timedelta(minutes=10), until=START + timedelta(minutes=20)),
        Criteria(prefix="web"),
        Criteria({"level": frozenset((2,))}, prefix="db0", since=START + timedelta(minutes=5)),
        Criteria({"rule_id": frozenset()}),
    ]


def plainly(found: Criteria) -> list[Alert]:
    """By looking at every alert."""
    return [alert for alert in Alert.objects.all() if found.matches(alert.__dict__)]


KEYS = {
    "last": lambda alert: (alert.last_at, alert.id),
    "level": lambda alert: (alert.level, alert.last_at, alert.id),
    "count": lambda alert: (alert.count, alert.last_at, alert.id),
}


@pytest.mark.parametrize(("sort", "gathered"), [("last", 20_000), ("level", 20_000), ("count", 20_000), ("count", 5)])
def test_pages_hold_everything_once_in_order(
    alerts: list[Alert], province: Any, monkeypatch: pytest.MonkeyPatch, sort: str, gathered: int
) -> None:
    monkeypatch.setattr(scanning, "GATHERED", gathered)
    for found in asked(province):
        expected = [alert.pk for alert in sorted(plainly(found), key=KEYS[sort], reverse=True)]
        got: list[int] = []
        after = None
        while True:
            page = find(found, sort, after, 7)
            got += page.ids
            if not page.more:
                break
            last = Alert.objects.get(pk=page.ids[-1])
            after = After(last.last_at, last.pk, last.level, last.count)
        assert got == expected, found


def test_every_index_gives_the_same(alerts: list[Alert], province: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = set()
    for found in asked(province)[:-1]:
        expected = [alert.pk for alert in sorted(plainly(found), key=KEYS["last"], reverse=True)]
        totals = leads._totals()
        for lead in [*leads._tallied(found, totals, 150), *leads._counted(found)]:
            seen.add(lead.index.removesuffix("_prefix"))
            with monkeypatch.context() as patch:
                patch.setattr(leads, "choose", lambda *_, lead=lead: lead)
                assert find(found, "last", None, 200).ids == expected, (found, lead)
                assert find(found, "count", None, 200).ids == [
                    alert.pk for alert in sorted(plainly(found), key=KEYS["count"], reverse=True)
                ]
                assert scanning.count(found) == len(expected)
    assert seen >= {"alert_recent", "alert_state", "alert_unit", "alert_rule", "alert_entity", "alert_owner"}
    assert seen >= {"alert_unassigned", "alert_verdict"}


def test_counting_stops_at_its_bound(alerts: list[Alert]) -> None:
    assert scanning.count(Criteria(), 20) == 21
    assert scanning.count(Criteria(), 150) == 150


@pytest.mark.parametrize(
    ("sparse", "gathered", "rare"), [(0, 20_000, 3_000), (2_000, 20_000, 3_000), (2_000, 5, -1), (0, 5, -1)]
)
def test_content_is_searched_within_the_other_conditions(
    alerts: list[Alert], province: Any, monkeypatch: pytest.MonkeyPatch, sparse: int, gathered: int, rare: int
) -> None:
    monkeypatch.setattr(leads, "SPARSE", {"sqlite": sparse, "postgresql": sparse})
    monkeypatch.setattr(searching, "RARE", rare)
    monkeypatch.setattr(searching, "GATHERED", gathered)
    monkeypatch.setattr(searching, "_FIRST", 10)
    monkeypatch.setattr(searching, "_LARGEST", 40)
    monkeypatch.setattr(searching, "_LOOKED_AT", 7)
    monkeypatch.setattr(searching, "_NARROW", 2)
    monkeypatch.setattr(searching, "_WIDE", 20)
    for found in asked(province):
        for texts in (("powershell",), ("mimikatz", "encoded"), ("power*",), ("web01 lsass",), ("nowhere",)):
            wanted = Criteria(found.among, found.without, found.since, found.until, found.prefix, texts=texts)
            expected = [
                alert.pk
                for alert in sorted(plainly(found), key=lambda alert: -alert.pk)
                if all(text.rstrip("*") in words_of(alert) for text in texts)
            ]
            got: list[int] = []
            after = None
            while True:
                page = find(wanted, after=after, most=6)
                got += page.ids
                if not page.more:
                    break
                after = After(id=page.stopped if page.stopped is not None else page.ids[-1])
            assert got == expected, wanted
            assert find_all(wanted, 1_000) == expected


def words_of(alert: Alert) -> str:
    return f"{alert.title} {alert.rule_id} {alert.entity_value} {alert.findings.get().record['event']['CommandLine']}".lower()


def test_a_phrase_stands_together_and_accents_do_not_matter(make_alert: Any) -> None:
    one = make_alert(event={"a": "Tải về tệp độc hại: C:\\Users\\an\\kế hoạch.exe"})
    make_alert(event={"a": "tệp tải về"})
    assert find(Criteria(texts=("tai ve tep",))).ids == [one.pk]
    assert find(Criteria(texts=("KẾ HOẠCH.exe",))).ids == [one.pk]
    assert find(Criteria(texts=("***",))).ids == []


def test_hostile_texts_are_only_searched(make_alert: Any) -> None:
    make_alert(event={"a": "x"})
    for text in ("' OR 1=1 --", '" NEAR(a b)', "a:b", "x' <-> 'y", "\\", "%", "NOT", "AND OR", "{x}", "^x", "\0", "😀"):
        find(Criteria(texts=(text,)))


@pytest.mark.parametrize("sparse", [0, 2_000])
def test_time_being_up_is_said_and_one_can_go_on(
    alerts: list[Alert], province: Any, monkeypatch: pytest.MonkeyPatch, sparse: int
) -> None:
    monkeypatch.setattr(leads, "SPARSE", {"sqlite": sparse, "postgresql": sparse})
    monkeypatch.setattr(searching, "RARE", -1)
    monkeypatch.setattr(searching, "SEARCH_SECONDS", 0.0)
    monkeypatch.setattr(searching, "_FIRST", 20)
    monkeypatch.setattr(searching, "_LOOKED_AT", 20)
    page = find(Criteria({"level": frozenset((4,))}, texts=("web*",)), most=5)
    assert page.more
    assert page.stopped is not None or len(page.ids) == 5


@pytest.mark.skipif(VENDOR != "postgresql", reason="SQLite has no such bound")
def test_a_search_within_a_transaction_bounds_nothing_after_it(make_alert: Any) -> None:
    alert = make_alert(event={"a": "x"})
    row = content.row_of(alert.pk, 0)
    with transaction.atomic(), connection.cursor() as cursor:
        assert searching._rest_by_index(content.match(("x",)), row + 1, 5) == [row]
        cursor.execute("SHOW statement_timeout")
        assert cursor.fetchone()[0] == "0"


def test_the_tally_and_its_sums_are_what_counting_gives(alerts: list[Alert]) -> None:
    cells = Counter(
        cell(alert.last_at, alert.unit_id, alert.level, alert.status) for alert in Alert.objects.order_by("id")
    )
    kept = {Cell(t.hour, t.unit, t.level, t.status): t.n for t in Tally.objects.all() if t.n}
    assert {each: n for each, n in kept.items() if ALL not in each[:2]} == cells
    assert sum(n for each, n in kept.items() if each.hour == ALL) == len(alerts)
    assert sum(n for each, n in kept.items() if each.unit == ALL) == len(alerts)


@pytest.mark.skipif(VENDOR != "postgresql", reason="SQLite is asked in another way")
@pytest.mark.django_db(transaction=True)
def test_what_postgresql_cannot_tell_in_time_is_given_up() -> None:
    other = connection.copy()
    try:
        other.set_autocommit(False)
        with other.cursor() as cursor:
            cursor.execute("LOCK TABLE alerts_content IN ACCESS EXCLUSIVE MODE")
        assert searching._rest_by_index("'word'", 1_000, 10) is None
        other.rollback()
        assert searching._rest_by_index("'word'", 1_000, 10) == []
    finally:
        other.close()
