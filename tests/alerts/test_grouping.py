"""Findings of one rule about one entity within a window are one alert."""

from __future__ import annotations

from typing import ClassVar

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.recordings import SECOND, finding, moment
from khien.alerts.entities import Entity, Extractor
from khien.alerts.grouping import Alert, GroupingWindow, begin, fits, group_key, join, sight
from khien.alerts.live_finding import LiveFinding, correlation_finding_id, finding_id

EXTRACTOR = Extractor.load()
HOUR = 3600


def alert_of(*findings: LiveFinding) -> Alert:
    sightings = [sight(each, EXTRACTOR) for each in findings]
    alert = begin(sightings[0])
    for sighting in sightings:
        join(alert, sighting)
    return alert


def test_ids_are_the_same_for_the_same_work_and_others_for_other_work() -> None:
    ids = {
        finding_id(*key) for key in (("r", 0, 1, 2), ("r", 0, 12, 2), ("r", 0, 1, 22), ("r", 1, 1, 2), ("s", 0, 1, 2))
    }
    assert len(ids) == 5
    assert finding_id("r", 0, 1, 2) == finding_id("r", 0, 1, 2)
    assert correlation_finding_id("c", "{}", 5) != correlation_finding_id("c", "{}", 6)
    assert alert_of(finding(1)).id == alert_of(finding(1)).id != alert_of(finding(2)).id


class TestWindow:
    window: ClassVar[GroupingWindow] = GroupingWindow()

    @pytest.mark.parametrize(("at", "joins"), [(HOUR, True), (HOUR + 1, False), (-HOUR, True), (-HOUR - 1, False)])
    def test_a_finding_joins_within_an_hour(self, at: float, joins: bool) -> None:
        assert fits(alert_of(finding(1, 0)), moment(at), self.window) is joins

    def test_an_alert_spans_a_day_at_most(self) -> None:
        alert = alert_of(*(finding(n, n * HOUR) for n in range(25)))
        assert alert.last - alert.first == 24 * HOUR * SECOND
        assert not fits(alert, moment(24 * HOUR + 1), self.window)
        assert fits(alert, moment(5 * HOUR + 1), self.window)

    def test_none_joins_a_closed_alert(self) -> None:
        alert = alert_of(finding(1))
        alert.status = "closed"
        assert not fits(alert, moment(0), self.window)


class TestAlert:
    def test_it_has_what_its_findings_have(self) -> None:
        alert = alert_of(
            finding(1, 5, level="low", event={"User": "An"}),
            finding(2, 3, level="high", source="zeek", event={"src_ip": "10.0.0.1"}),
        )
        assert (alert.count, alert.first, alert.last) == (2, moment(3), moment(5))
        assert (alert.level, alert.levels) == ("high", {"low": 1, "high": 1})
        assert alert.sources == ("winlog", "zeek")
        assert alert.entities == (Entity("host", "web01"), Entity("user", "an"), Entity("ip", "10.0.0.1"))

    def test_a_finding_without_a_time_or_with_a_clock_ahead_has_the_time_it_was_received(self) -> None:
        ahead = msgspec.structs.replace(finding(1, 7200), received=moment(1))
        assert sight(ahead, EXTRACTOR).time == moment(1)
        none = msgspec.structs.replace(
            finding(1), record=finding(1).record.replace(b"2026-03-01T00:00:00.000000Z", b"")
        )
        assert sight(none, EXTRACTOR).time == moment(1)

    def test_values_that_differ_in_digits_are_one_variant(self) -> None:
        variants = [
            sight(finding(1, matched={"CommandLine": line}), EXTRACTOR).variant
            for line in ("ping 1", "ping 22", "pong 1")
        ]
        assert variants[0] == variants[1] != variants[2]


@given(st.lists(st.tuples(st.integers(0, 4 * HOUR), st.integers(0, 12)), min_size=1, max_size=60))
def test_an_alert_counts_all_and_shows_at_most_ten(steps: list[tuple[int, int]]) -> None:
    findings = [finding(n, at, matched={"x": "v" * variant}) for n, (at, variant) in enumerate(steps)]
    sightings = [sight(each, EXTRACTOR) for each in findings]
    alert = begin(sightings[0])
    shown = [sighting.variant for sighting in sightings if join(alert, sighting)]
    assert alert.count == len(steps) == sum(alert.levels.values())
    assert (alert.first, alert.last) == (moment(min(steps)[0]), moment(max(steps)[0]))
    assert tuple(shown) == alert.variants
    assert len(shown) <= 10
    # A variant that is not shown came when ten were.
    assert len(shown) == 10 or {sighting.variant for sighting in sightings} == set(shown)
    assert len({group_key(sighting) for sighting in sightings}) == 1
