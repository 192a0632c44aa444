"""Each correlation type has its window, and a window keeps no more than it needs."""

from __future__ import annotations

from typing import Any

import pytest

from khien.engine import figures, sequences
from khien.engine.figures import exact, plain
from khien.engine.hit import Hit
from khien.engine.windows import make_window
from khien.rules.model import Correlation, RefAnd, RefNot, RuleRef

A, B = RuleRef("a"), RuleRef("b")


def made(kind: str, **more: Any) -> Correlation:
    return Correlation("c", "c", kind, ("a", "b"), 10.0, **more)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (made("event_count", bounds=(("gte", 1),)), figures.EventCount),
        (made("value_count", field=("x",)), figures.ValueCount),
        (made("value_sum", field=("x",)), figures.Total),
        (made("value_avg", field=("x",)), figures.Total),
        (made("value_median", field=("x",)), figures.Ranked),
        (made("value_percentile", field=("x",)), figures.Ranked),
        (made("temporal"), sequences.Temporal),
        (made("temporal", bounds=(("gte", 1),)), sequences.TemporalCount),
        (made("temporal", condition=RefAnd((A, B))), sequences.Temporal),
        (made("temporal", condition=RefAnd((A, RefNot(B)))), sequences.Absence),
        (made("temporal_ordered"), sequences.Ordered),
        (made("temporal_ordered", bounds=(("gte", 1),)), sequences.OrderedCount),
        (made("temporal_ordered", condition=RefAnd((A, B))), sequences.OrderedTree),
        (made("temporal_ordered", condition=RefAnd((A, RefNot(B)))), sequences.Absence),
    ],
    ids=lambda value: getattr(value, "type", getattr(value, "__name__", "")),
)
def test_every_type_has_its_window(rule: Correlation, expected: type) -> None:
    window = make_window(rule, 10)
    assert type(window) is expected
    assert window.hits() == ()
    assert window.decide(0) == ()


def test_what_has_left_the_window_is_forgotten() -> None:
    window = sequences.Absence(RefAnd((A, RefNot(B))), 10, False)
    for at in range(0, 60_000):
        window.add(Hit(at, "a", {}), ())
    assert len(window._hits["a"]) < 3_000
    count = figures.EventCount(made("event_count", bounds=(("gte", 10**9),)), 10)
    for at in range(5_000):
        count.add(Hit(at, "a", {}), ())
    assert len(count._kept) == 11


def test_numbers_are_kept_without_rounding() -> None:
    assert exact(0.1) is not None
    assert exact("0.1") == exact(0.1)
    assert exact(None) is exact("x") is exact(float("inf")) is exact(True) is None
    total = exact(0.1)
    assert total is not None
    assert plain(total * 10) == pytest.approx(1)
    assert plain(exact("3") or total) == 3
