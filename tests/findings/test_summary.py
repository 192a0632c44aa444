"""Counting by rule."""

from __future__ import annotations

from findings.made import finding, summary
from khien.findings.summary import MOST_HOSTS, Tallies


def test_a_rule_is_counted_with_hosts_first_and_last_time() -> None:
    tallies = Tallies()
    for time, host in (("2026-03-02T05:00:00.000000Z", "b"), ("2026-03-02T04:00:00.000000Z", "a"), ("", "b")):
        tallies.add(finding(time=time, host=host))
    (tally,) = tallies.ordered()
    assert (tally.count, tally.first, tally.last) == (3, "2026-03-02T04:00:00.000000Z", "2026-03-02T05:00:00.000000Z")
    assert tally.hosts == {"b": 2, "a": 1}


def test_the_most_severe_and_then_the_most_frequent_come_first() -> None:
    tallies = Tallies()
    for rule, level in (("a", "low"), ("b", "high"), ("c", "high"), ("c", "high"), ("d", "critical")):
        tallies.add(finding(rule_id=rule, title=rule, level=level))
    assert [tally.rule_id for tally in tallies.ordered()] == ["d", "c", "b", "a"]
    assert tallies.by_level() == {"critical": 1, "high": 3, "medium": 0, "low": 1, "informational": 0}


def test_hosts_are_kept_in_bounded_number() -> None:
    tallies = Tallies()
    for number in range(MOST_HOSTS + 5):
        tallies.add(finding(host=f"may-{number}"))
    (tally,) = tallies.ordered()
    assert len(tally.hosts) == MOST_HOSTS
    assert tally.more_hosts


def test_a_hunt_that_took_no_time_has_no_rate() -> None:
    assert summary(seconds=0).rate == 0
    assert summary(events=10, seconds=2).rate == 5
