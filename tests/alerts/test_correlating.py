"""Live correlation: the same findings as one sorted run, whatever order hits come in and whatever restarts."""

from __future__ import annotations

import random
import tempfile
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from khien.alerts.correlating import CorrelationTaken, LiveCorrelations
from khien.alerts.live_finding import correlation_finding_id
from khien.alerts.selectors import AlertQuery
from khien.alerts.sink import SqliteAlerts
from khien.engine.correlation import Correlator
from khien.engine.hit import CorrelationMatch, Hit
from khien.findings.finding import Finding
from khien.hunt.assembly import correlation_finding
from khien.rules.collection import load_sources
from khien.rules.model import Correlation

SECOND = 1_000_000
START = 1_772_323_200 * SECOND
LATENESS = 60
SHORT = 15
"""Lateness where much has to settle within a few hits."""


def rules(*bodies: dict[str, Any]) -> tuple[Correlation, ...]:
    """Correlations c0, c1, ... over base rules a, b, c with a window of ten seconds."""
    documents: list[dict[str, Any]] = [
        {
            "title": name,
            "id": name,
            "logsource": {"product": "test"},
            "detection": {"s": {"x": name}, "condition": "s"},
        }
        for name in "abc"
    ]
    for n, body in enumerate(bodies):
        correlation = {"timespan": "10s", "rules": ["a"], **body}
        if isinstance(body.get("condition"), str):
            del correlation["rules"]
        name = correlation.pop("id", f"c{n}")
        documents.append({"title": correlation.pop("title", name), "id": name, "correlation": correlation})
    loaded = load_sources([("made.yml", yaml.safe_dump_all(documents).encode())], {})
    assert not loaded.unusable, loaded.unusable
    return loaded.correlations


COUNT = {"type": "event_count", "condition": {"gte": 3}, "generate": True}
RULE_SETS: dict[str, tuple[Correlation, ...]] = {
    "event_count": rules(COUNT),
    "event_count few": rules({**COUNT, "condition": {"lte": 2}, "group-by": ["u"]}),
    "event_count group": rules({**COUNT, "rules": ["a", "b"], "group-by": ["u"]}),
    "value_count": rules({"type": "value_count", "condition": {"field": "n", "gte": 3}, "group-by": ["u"]}),
    "value_sum": rules({"type": "value_sum", "condition": {"field": "n", "gte": 12}}),
    "value_avg": rules({"type": "value_avg", "condition": {"field": "n", "gte": 5}}),
    "value_median": rules({"type": "value_median", "condition": {"field": "n", "lt": 4}}),
    "value_percentile": rules({"type": "value_percentile", "condition": {"field": "n", "gte": 7, "percentile": 90}}),
    "temporal": rules({"type": "temporal", "rules": ["a", "b", "c"], "group-by": ["u"]}),
    "temporal count": rules({"type": "temporal", "rules": ["a", "b", "c"], "condition": {"gte": 2}}),
    "temporal condition": rules({"type": "temporal", "condition": "a and (b or c)"}),
    "temporal not": rules({"type": "temporal", "condition": "a and not b", "group-by": ["u"]}),
    "temporal_ordered": rules({"type": "temporal_ordered", "rules": ["a", "b", "c"]}),
    "temporal_ordered count": rules({"type": "temporal_ordered", "rules": ["a", "b", "c"], "condition": {"gte": 2}}),
    "temporal_ordered condition": rules({"type": "temporal_ordered", "condition": "a and (b or c)"}),
    "temporal_ordered not": rules({"type": "temporal_ordered", "condition": "a and c and not b"}),
    "chain": rules(
        {**COUNT, "condition": {"gte": 2}, "group-by": ["u"]},
        {"type": "temporal_ordered", "rules": ["c0", "b"], "timespan": "20s"},
    ),
    "chain before": rules(
        {"type": "temporal", "rules": ["c1", "a"], "timespan": "20s"},
        {**COUNT, "condition": {"gte": 2}, "rules": ["a", "b"], "generate": False},
    ),
    "chain of not": rules(
        {"type": "temporal", "condition": "a and not b", "group-by": ["u"]},
        {"type": "event_count", "rules": ["c0", "c"], "condition": {"gte": 2}, "timespan": "30s"},
        {"type": "temporal", "condition": "c1 and not b", "timespan": "5s"},
    ),
}

Wanted = set[tuple[str, str, int]]


def identity(match: CorrelationMatch) -> tuple[str, str, int]:
    return match.correlation_id, msgspec.json.encode(match.group).decode(), match.time


def sorted_run(correlations: tuple[Correlation, ...], hits: list[Hit]) -> Wanted:
    """What a hunt finds; hits of the same time in order of arrival."""
    correlator = Correlator(correlations)
    found = [match for hit in sorted(hits, key=lambda hit: hit.time) for match in correlator.add(hit)]
    return {identity(match) for match in found + correlator.flush()}


def live(store: SqliteAlerts, correlations: tuple[Correlation, ...], lateness: int = LATENESS) -> LiveCorrelations:
    return LiveCorrelations(store, correlations, described, lateness=lateness * SECOND)


TIMES: dict[str, int] = {}
"""When each finding came true, by its id."""


def described(rule: Correlation, match: CorrelationMatch) -> Finding:
    TIMES[correlation_finding_id(*identity(match))] = match.time
    return correlation_finding(rule, match)


def settled(store: SqliteAlerts) -> Wanted:
    with store.database.reading() as connection:
        return set(connection.execute("SELECT correlation, grp, time FROM correlated WHERE state = 1"))


def standing(store: SqliteAlerts) -> set[str]:
    """Ids of findings that were reported and not superseded."""
    with store.database.reading() as connection:
        return {row[0].hex() for row in connection.execute("SELECT id FROM findings WHERE superseded = 0")}


def ids(wanted: Wanted, silent: frozenset[str]) -> set[str]:
    return {correlation_finding_id(*each) for each in wanted if each[0] not in silent}


@st.composite
def arrivals(draw: st.DrawFn) -> list[tuple[Hit, float, int]]:
    """Hits in the order of their arrival, how late they come, and what happens after each.

    0: nothing, 1: the parcel ends, 2: and is correlated, 3: then a restart, 4: a restart before that.
    """
    at, hits = 0.0, []
    steps = st.tuples(
        st.sampled_from((0, 0, 1, 1, 2, 3, 5, 9, 11, 25)),
        st.sampled_from("aaabbc"),
        st.sampled_from("xxy"),
        st.integers(0, 9),
        st.sampled_from((0, 0, 0, 1, 4, 6, 8, 14)),
        st.sampled_from((0, 0, 1, 2, 2, 2, 3, 4)),
    )
    for number, (gap, rule, user, value, late, then) in enumerate(draw(st.lists(steps, max_size=40))):
        at += gap
        hits.append((Hit(START + int(at * SECOND), rule, {"u": user, "n": value}, "log", number), at + late, then))
    return sorted(hits, key=lambda each: each[1])


@pytest.mark.parametrize("name", RULE_SETS)
@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(came=arrivals())
def test_restarts_batches_and_late_hits_change_nothing(name: str, came: list[tuple[Hit, float, int]]) -> None:
    correlations = RULE_SETS[name]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "alerts.db"
        store = SqliteAlerts(path)
        correlating = live(store, correlations, SHORT)
        parcel: list[Hit] = []
        for number, (hit, received, then) in enumerate(came):
            parcel.append(hit)
            if then == 0:
                continue
            store.take(0, number, [], parcel)
            parcel = []
            if then == 4:
                store.close()
                store = SqliteAlerts(path)
                correlating = live(store, correlations, SHORT)
            if then >= 2:
                correlating.advance(START + int(received * SECOND))
            if then == 3:
                store.close()
                store = SqliteAlerts(path)
                correlating = live(store, correlations, SHORT)
        store.take(0, len(came), [], parcel)
        end = START + int(max((received for _, received, _ in came), default=0) * SECOND)
        # So early that what came true is not pruned yet, so late that it is settled.
        correlating._pruned = 2**62
        correlating.advance(end + (SHORT + 60) * SECOND)
        wanted = sorted_run(correlations, [hit for hit, _, _ in came])
        assert standing(store) == ids(wanted, Correlator(correlations).suppressed)
        assert settled(store) <= wanted
        assert correlating.stats.late == 0
        store.close()


def hit(at: float, rule: str = "a", **values: Any) -> Hit:
    return Hit(START + int(at * SECOND), rule, values, "log", int(at))


class Stream:
    """A store and its correlations; `come` takes hits and lets the clock go on."""

    def __init__(self, path: Path, correlations: tuple[Correlation, ...]) -> None:
        self.store = SqliteAlerts(path)
        self.correlating = live(self.store, correlations)
        self.position = self.store.position(0)

    def come(self, now: float, *hits: Hit) -> list[float]:
        """Event times of the findings there are now."""
        self.position += 1
        self.store.take(0, self.position, [], list(hits))
        self.correlating.advance(START + int(now * SECOND))
        return sorted((TIMES[each] - START) / SECOND for each in standing(self.store))


class TestDelay:
    def test_a_finding_comes_a_few_seconds_after_its_hit(self, tmp_path: Path) -> None:
        stream = Stream(tmp_path / "a.db", rules(COUNT))
        assert stream.come(2, hit(0), hit(1), hit(2)) == []
        assert stream.come(7) == [2]

    def test_hits_out_of_order_within_the_delay_are_put_in_order(self, tmp_path: Path) -> None:
        stream = Stream(tmp_path / "a.db", rules({"type": "temporal_ordered", "rules": ["a", "b", "c"]}))
        stream.come(3, hit(3, "c"), hit(1, "a"))
        assert stream.come(5, hit(2, "b")) == []
        assert stream.come(8) == [3]

    def test_a_late_hit_makes_a_finding_true_soon_after_it_came(self, tmp_path: Path) -> None:
        stream = Stream(tmp_path / "a.db", rules(COUNT))
        assert stream.come(10, hit(0), hit(2)) == []
        assert stream.come(18, hit(1)) == []
        assert stream.come(32) == [2]

    def test_what_a_late_hit_makes_untrue_is_superseded(self, tmp_path: Path) -> None:
        stream = Stream(tmp_path / "a.db", rules({"type": "temporal", "condition": "a and not b"}))
        assert stream.come(20, hit(0, "a")) == [0]
        assert stream.come(30, hit(5, "b")) == [0]
        assert stream.come(80) == []
        (alert,) = stream.store.alerts(AlertQuery()).alerts
        assert (alert.count, alert.superseded) == (0, 1)

    def test_the_absence_of_a_hit_is_found_without_another(self, tmp_path: Path) -> None:
        stream = Stream(tmp_path / "a.db", rules({"type": "temporal", "condition": "a and not b"}))
        assert stream.come(14, hit(0, "a")) == []
        assert stream.come(15) == [0]

    def test_later_than_the_lateness_is_counted_and_left_out(self, tmp_path: Path) -> None:
        stream = Stream(tmp_path / "a.db", rules(COUNT))
        stream.come(100, hit(99), hit(99.5))
        stream.come(101, hit(39), hit(200))
        assert stream.correlating.stats.late == 1
        assert stream.correlating.stats.early == 1
        assert stream.come(120, hit(98)) == [99.5]


class TestClock:
    @pytest.mark.parametrize("restarted", [False, True])
    def test_correlations_begin_anew_when_a_clock_that_ran_ahead_is_set_back(
        self, tmp_path: Path, restarted: bool
    ) -> None:
        year = 365 * 86_400
        stream = Stream(tmp_path / "a.db", rules(COUNT))
        stream.come(10, hit(9), hit(9.5))
        stream.come(year, hit(year - 1))
        if restarted:
            stream.store.close()
            stream = Stream(tmp_path / "a.db", rules(COUNT))
        assert stream.come(20, hit(19), hit(19)) == []
        assert stream.come(31, hit(20)) == [20]
        stream.come(90)
        assert settled(stream.store) == {("c0", "{}", START + 20 * SECOND)}
        assert stream.correlating.stats.late == 0

    def test_old_hits_are_deleted_after_it_too(self, tmp_path: Path) -> None:
        stream = Stream(tmp_path / "a.db", rules(COUNT))
        stream.come(100_000, hit(99_999))
        for second in range(0, 400, 10):
            stream.come(second, hit(second))
        with stream.store.database.reading() as connection:
            assert connection.execute("SELECT count(*) FROM hits").fetchone()[0] == 8

    def test_a_step_back_within_the_lateness_loses_nothing(self, tmp_path: Path) -> None:
        stream = Stream(tmp_path / "a.db", rules(COUNT))
        stream.come(100, hit(99), hit(99.5))
        stream.come(60, hit(60), hit(61), hit(62))
        assert stream.come(100 + LATENESS, hit(100)) == [62, 100]


class TestRestarts:
    def test_a_lasting_attack_goes_on_as_one_finding_a_timespan(self, tmp_path: Path) -> None:
        found: list[float] = []
        for second in range(0, 200, 7):
            stream = Stream(tmp_path / "a.db", rules(COUNT))
            found = stream.come(second + 7, *(hit(second + n) for n in range(7)))
            stream.store.close()
        assert found == [2, *range(13, 200, 11)]

    def test_what_hits_looked_like_without_those_before_them_holds_nothing_back(self, tmp_path: Path) -> None:
        few = rules({"type": "value_median", "condition": {"field": "n", "gte": 7}})
        stream = Stream(tmp_path / "a.db", few)
        stream.come(81, hit(0, n=0), hit(0, n=0), hit(9, n=7))
        stream.store.close()
        assert Stream(tmp_path / "a.db", few).come(100, hit(26, n=7)) == [26]

    def test_whoever_begins_last_has_the_correlations(self, tmp_path: Path) -> None:
        first = Stream(tmp_path / "a.db", rules(COUNT))
        second = Stream(tmp_path / "a.db", rules(COUNT))
        with pytest.raises(CorrelationTaken, match="taken over"):
            first.come(1, hit(0))
        assert second.come(2) == []

    def test_work_that_could_not_be_stored_is_done_again(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        stream = Stream(tmp_path / "a.db", rules(COUNT))
        with monkeypatch.context() as patch:
            patch.setattr(stream.store, "add", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
            with pytest.raises(OSError, match="disk full"):
                stream.come(10, hit(0), hit(1), hit(2))
        assert stream.come(11) == [2]


class TestReload:
    def test_correlations_that_did_not_change_keep_their_state(self, tmp_path: Path) -> None:
        kept = {**COUNT, "id": "kept"}
        stream = Stream(tmp_path / "a.db", rules(kept, {**COUNT, "id": "changed"}))
        stream.come(10, hit(0), hit(1))
        stream.correlating.reload(
            rules({**COUNT, "id": "changed", "condition": {"gte": 2}}, {**kept, "title": "Renamed"})
        )
        stream.come(20, hit(9))
        titles = [alert.title for alert in stream.store.alerts(AlertQuery()).alerts]
        assert titles == ["Renamed"]
        stream.store.close()
        again = Stream(tmp_path / "a.db", rules({**COUNT, "id": "changed", "condition": {"gte": 2}}))
        again.come(30, hit(12))
        assert {alert.rule_id for alert in again.store.alerts(AlertQuery()).alerts} == {"kept", "changed"}

    def test_rules_may_go_and_come_back(self, tmp_path: Path) -> None:
        stream = Stream(tmp_path / "a.db", rules(COUNT))
        stream.come(10, hit(0), hit(1))
        stream.correlating.reload(())
        stream.come(12)
        stream.correlating.reload(rules(COUNT))
        assert stream.come(30, hit(3)) == []


def test_old_hits_are_deleted(tmp_path: Path) -> None:
    stream = Stream(tmp_path / "a.db", rules(COUNT))
    for second in range(0, 400, 10):
        stream.come(second, hit(second), hit(second, "b"))
    with stream.store.database.reading() as connection:
        rows = connection.execute("SELECT rule, min(time), count(*) FROM hits GROUP BY rule").fetchall()
    (rule, oldest, count) = rows[0]
    assert (rule, (oldest - START) // SECOND, count) == ("a", 320, 8)
    assert len(rows) == 1 or rows[1][2] <= 1


@pytest.mark.slow
def test_the_cost_of_a_hit_does_not_grow_with_the_window(tmp_path: Path) -> None:
    def cost(span: str, name: str) -> float:
        correlations = rules({**COUNT, "timespan": span, "condition": {"gte": 10**9}})
        stream = Stream(tmp_path / name, correlations)
        dice = random.Random(5)
        best = float("inf")
        for batch in range(12):
            hits = [hit(batch * 10 + n / 200 - dice.choice((0, 0, 0, 20)), "a") for n in range(2_000)]
            started = time.perf_counter()
            stream.come(batch * 10 + 10, *hits)
            if batch > 6:
                best = min(best, (time.perf_counter() - started) / len(hits))
        return best

    few, many = cost("1s", "few.db"), cost("1h", "many.db")
    assert many < 3 * few, f"{few * 1e6:.0f} µs a hit in a window of 1 s, {many * 1e6:.0f} µs in one of an hour"
