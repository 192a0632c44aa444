"""The live service's alerts in the console: each once, whatever dies in between, and people's decisions untouched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from django.db import DataError
from django.utils.timezone import localtime

from alerts.recordings import finding
from khien.alerts.live_finding import LiveFinding
from khien.alerts.sink import SqliteAlerts
from khien.console.alerts import content, services
from khien.console.alerts.criteria import Criteria
from khien.console.alerts.feed import AT_ONCE, Feed, _time
from khien.console.alerts.models import Alert, AlertFinding, FeedCursor, Handback, SeenRule, Status, Tally
from khien.console.alerts.scanning import find
from khien.console.alerts.tally import ALL

pytestmark = pytest.mark.django_db


@pytest.fixture
def live(tmp_path: Path) -> SqliteAlerts:
    return SqliteAlerts(tmp_path / "alerts.db")


@pytest.fixture
def feed(live: SqliteAlerts, tmp_path: Path) -> Feed:
    return Feed(tmp_path / "alerts.db")


def tallied() -> dict[tuple[int, int, int], int]:
    return {(t.unit, t.level, t.status): t.n for t in Tally.objects.exclude(unit=ALL).exclude(hour=ALL) if t.n}


def found(*texts: str) -> list[int]:
    return find(Criteria(texts=texts)).ids


def test_there_is_nothing_to_read_before_the_live_service_has_run(tmp_path: Path, province: Any) -> None:
    assert Feed(tmp_path / "none.db").step() == 0


def test_an_alert_arrives_with_its_findings_unit_and_words(live: SqliteAlerts, feed: Feed, province: Any) -> None:
    live.take(0, 1, [finding(1, unit="so-y-te", tags=("attack.t1003",), event={"CommandLine": "rundll32 comsvcs.dll"})])
    assert feed.step() == 1
    alert = Alert.objects.get()
    assert (alert.title, alert.level, alert.status, alert.count) == ("Rule r1", 3, Status.NEW, 1)
    assert alert.unit == province.units["so-y-te"]
    assert (alert.entity_kind, alert.entity_value) == ("host", "web01")
    assert alert.findings.get().record["event"] == {"CommandLine": "rundll32 comsvcs.dll"}
    assert found("comsvcs.dll") == [alert.pk]
    assert found("web01", "rundll*") == [alert.pk]
    assert SeenRule.objects.get().tags == ["attack.t1003"]
    assert tallied() == {(alert.unit_id, 3, 0): 1}
    assert feed.step() == 0


def test_an_alert_that_grows_is_brought_up_and_people_s_decisions_stay(
    live: SqliteAlerts, feed: Feed, province: Any
) -> None:
    live.take(0, 1, [finding(1, unit="so-y-te")])
    feed.step()
    services.assign(province.health, Alert.objects.get(), province.health)
    version = Alert.objects.get().version
    live.take(0, 2, [finding(2, 3600 * 0.9, unit="so-y-te", level="critical", event={"word": "later"})])
    feed.step()
    alert = Alert.objects.get()
    assert (alert.count, alert.level, alert.owner, alert.status) == (2, 4, province.health, Status.IN_PROGRESS)
    assert alert.version == version
    assert alert.findings.count() == 2
    assert found("later") == [alert.pk]
    assert tallied() == {(alert.unit_id, 4, 1): 1}


def test_findings_after_a_closing_begin_a_new_alert(live: SqliteAlerts, feed: Feed, province: Any) -> None:
    live.take(0, 1, [finding(1, unit="so-y-te")])
    feed.step()
    services.close(province.health, Alert.objects.get(), verdict="benign")
    assert Handback.objects.get().status == "closed"
    feed.step()
    assert Handback.objects.count() == 0
    assert live.counts()["closed"]["high"] == 1
    live.take(0, 2, [finding(2, 5, unit="so-y-te")])
    feed.step()
    assert sorted(Alert.objects.values_list("status", "count")) == [(Status.NEW, 1), (Status.CLOSED, 1)]


def test_a_finding_that_crosses_a_closing_is_not_hidden_in_what_is_closed(
    live: SqliteAlerts, feed: Feed, province: Any
) -> None:
    live.take(0, 1, [finding(1, unit="so-y-te")])
    feed.step()
    services.close(province.health, Alert.objects.get(), verdict="benign")
    live.take(0, 2, [finding(2, 5, unit="so-y-te", event={"word": "crossing"})])  # before the live service knows
    feed.step()
    closed, new = Alert.objects.order_by("id")
    assert (closed.status, closed.count) == (Status.CLOSED, 1)
    assert (new.status, new.count, new.live_key) == (Status.NEW, 1, closed.live_key)
    assert [each.record["event"] for each in new.findings.all()] == [{"word": "crossing"}]
    assert found("crossing") == [new.pk]
    live.take(0, 3, [finding(3, 8, unit="so-y-te")])  # the live alert is closed now: one of its own
    feed.step()
    assert Alert.objects.count() == 3
    assert sum(Alert.objects.values_list("count", flat=True)) == 3


def test_reopening_is_told_to_the_live_service(live: SqliteAlerts, feed: Feed, province: Any) -> None:
    live.take(0, 1, [finding(1, unit="so-y-te")])
    feed.step()
    alert = Alert.objects.get()
    services.close(province.health, alert, verdict="benign")
    feed.step()
    services.reopen(province.health, alert)
    feed.step()
    live.take(0, 2, [finding(2, 5, unit="so-y-te")])
    feed.step()
    assert Alert.objects.get().count == 2


def test_a_death_before_the_commit_loses_nothing_and_doubles_nothing(
    live: SqliteAlerts, feed: Feed, province: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    live.take(0, 1, [finding(n, host=f"h{n}") for n in range(5)])

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(content, "add", die)
        with pytest.raises(KeyboardInterrupt):
            feed.step()
    assert (Alert.objects.count(), AlertFinding.objects.count(), Tally.objects.count()) == (0, 0, 0)
    assert Feed(live.database.path).step() == 5
    assert Alert.objects.count() == 5
    assert FeedCursor.objects.get().value == live.last_change()


def test_an_older_file_of_the_live_service_is_taken_in_anew_without_doubles(
    live: SqliteAlerts, feed: Feed, province: Any
) -> None:
    live.take(0, 1, [finding(n, host=f"h{n}") for n in range(5)])
    feed.step()
    FeedCursor.objects.update(value=10_000)
    assert [feed.step(), feed.step()] == [0, 5]
    assert Alert.objects.count() == 5
    assert sum(tallied().values()) == 5


def test_many_alerts_come_in_parts(live: SqliteAlerts, feed: Feed, province: Any) -> None:
    live.take(0, 1, [finding(n, host=f"h{n}") for n in range(AT_ONCE + 3)])
    assert [feed.step(), feed.step(), feed.step()] == [AT_ONCE, 3, 0]
    assert Alert.objects.count() == AT_ONCE + 3


def test_events_with_characters_that_databases_refuse_arrive(live: SqliteAlerts, feed: Feed, province: Any) -> None:
    live.take(0, 1, [finding(1, event={"a": "x\0y evil", "b": "'; DROP TABLE alerts_alert; --"})])
    assert feed.step() == 1
    assert found("evil")
    assert found("drop table")


def test_an_alert_of_no_known_unit_is_seen_by_those_who_see_all(live: SqliteAlerts, feed: Feed, province: Any) -> None:
    live.take(0, 1, [finding(1, unit="somewhere")])
    feed.step()
    assert Alert.objects.get().unit is None
    assert Alert.objects.visible_to(province.analyst).count() == 1
    assert Alert.objects.visible_to(province.health).count() == 0


def raw(number: int, event: str, host: str = "web01") -> LiveFinding:
    """A finding whose event is written as it is."""
    made = finding(number, host=host, event={"here": 1}, unit="so-y-te")
    return msgspec.structs.replace(made, record=made.record.replace(b'{"here":1}', event.encode()))


@pytest.mark.parametrize(
    ("event", "kept"),
    [
        (r'{"a":"x\u0000y","\u0000k":[{"b":"\u0000"}]}', {"a": "x\ufffdy", "\ufffdk": [{"b": "\ufffd"}]}),
        (r'{"a":"C:\\u0000"}', {"a": "C:\\u0000"}),
        ('{"a":18446744073709551616,"b":-1.5}', {"a": 18446744073709551616, "b": -1.5}),
    ],
)
def test_what_databases_refuse_in_an_event_is_replaced_and_the_rest_kept(
    live: SqliteAlerts, feed: Feed, province: Any, event: str, kept: Any
) -> None:
    live.take(0, 1, [raw(1, event), raw(2, '{"plain":"neighbour"}', host="web02")])
    assert feed.step() == 2
    records = {alert.entity_value: alert.findings.get().record for alert in Alert.objects.all()}
    assert records["web01"]["event"] == kept
    assert records["web02"]["event"] == {"plain": "neighbour"}


def test_an_event_nested_without_end_is_taken_in(live: SqliteAlerts, feed: Feed, province: Any) -> None:
    live.take(0, 1, [raw(1, '{"a":' + "[" * 400 + "]" * 400 + ',"b":"kept"}')])
    assert feed.step() == 1
    assert AlertFinding.objects.get().record["event"]["b"] == "kept"
    assert found("kept")


def test_an_alert_that_does_not_fit_is_passed_over_and_the_others_come(
    live: SqliteAlerts, feed: Feed, province: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    live.take(0, 1, [finding(n, host=f"h{n}") for n in range(4)])
    add = content.words_of_finding

    def refuse(title: str, record: Any) -> list[str]:
        if record["host"] == "h2":
            raise DataError("no such text")
        return add(title, record)

    monkeypatch.setattr(content, "words_of_finding", refuse)
    assert [feed.step(), feed.step()] == [4, 0]
    assert set(Alert.objects.values_list("entity_value", flat=True)) == {"h0", "h1", "h3"}
    assert sum(tallied().values()) == 3


def test_times_that_no_clock_shows_are_brought_into_bounds(province: Any) -> None:
    for micros in (-(2**62), -1, 2**62, 253_402_300_799_000_000):
        shown = localtime(_time(micros))
        assert 1970 <= shown.year <= 9000


def test_a_file_that_was_replaced_is_read_from_its_beginning(
    live: SqliteAlerts, feed: Feed, province: Any, tmp_path: Path
) -> None:
    live.take(0, 1, [finding(1, host="old")])
    assert [feed.step(), feed.step()] == [1, 0]
    live.close()
    for path in tmp_path.glob("alerts.db*"):
        path.unlink()
    assert feed.step() == 0
    new = SqliteAlerts(tmp_path / "alerts.db")
    new.take(0, 1, [finding(n, host=f"new{n}") for n in (7, 8, 9)])  # its numbers go beyond those read of the old one
    assert feed.step() == 3
    assert Alert.objects.count() == 4
