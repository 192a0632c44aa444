"""Hits come back by time, with little memory."""

from __future__ import annotations

import random
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khien.engine.hit import Hit
from khien.engine.spill import HitSorter


@given(st.lists(st.integers(-5, 5), max_size=40), st.integers(1, 12))
def test_hits_come_by_time_and_equal_times_in_order_of_arrival(times: list[int], most: int) -> None:
    sorter = HitSorter(most)
    hits = [Hit(at, "r", {"n": n}, "log", n) for n, at in enumerate(times)]
    for hit in hits:
        sorter.add(hit)
    assert sorter.count == len(hits)
    assert list(sorter) == sorted(hits, key=lambda hit: hit.time)


def test_values_survive_the_disk() -> None:
    values = {"a": None, "b": ["x", 1, 2.5, True, {"c": "đ"}], "d": "y" * 600_000, "e": -(2**63), "f": 2**64 - 1}
    sorter = HitSorter(2)
    hits = [Hit(n, f"rule-{n}", values, "nhật ký.json", n) for n in range(5)]
    for hit in reversed(hits):
        sorter.add(hit)
    assert list(sorter) == hits


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_hits() -> None:
    order = list(range(60_000))
    random.Random(5).shuffle(order)
    tracemalloc.start()
    sorter = HitSorter(2_000)
    for at in order:
        sorter.add(Hit(at, "r", {"user": f"u{at}"}, "log", at))
    assert [hit.time for hit in sorter] == sorted(order)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 40 << 20
