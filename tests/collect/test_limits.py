"""Rates: the mean over time is the rate, whatever the size of the batches."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as some

from khien.collect.limits import Bucket, Places, SourceRate
from khien.collect.settings import Source


@given(some.lists(some.tuples(some.floats(0, 3), some.integers(1, 5000)), max_size=80), some.integers(1, 1000))
def test_never_more_than_burst_rate_and_one_batch(batches: list[tuple[float, int]], rate: int) -> None:
    now = 0.0
    bucket = Bucket(rate, lambda: now)
    taken = 0
    for pause, size in batches:
        now += pause
        if not bucket.wait():
            taken += size
            bucket.take(size)
        assert taken <= rate * (2 + now) + 5000


def test_after_the_time_it_was_told_to_wait_a_sender_is_let_in() -> None:
    now = 0.0
    rate = SourceRate(Source("a", "http", events_per_second=100, bytes_per_second=1000), lambda: now)
    assert rate.retry_after() == 0
    rate.take(500, 10)
    assert rate.retry_after() == 3
    now = 3.01
    assert rate.retry_after() == 0
    rate.take(1, 5000)
    assert rate.retry_after() == 3


def test_no_rate_lets_all_in() -> None:
    rate = SourceRate(Source("a", "http"))
    rate.take(10**9, 10**12)
    assert rate.retry_after() == 0


def test_places_are_given_back() -> None:
    places = Places()
    assert [places.enter("a", 2) for _ in range(3)] == [True, True, False]
    assert places.enter("b", 2)
    places.leave("a")
    assert places.enter("a", 2)
