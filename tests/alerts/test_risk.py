"""Risk: alerts of an entity weigh by level, fade, and are multiplied by distinct tactics."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khien.alerts.risk import HOUR, Contribution, RiskModel, Weight, add_step, assess, faded, multiplier, rank, step_of

MODEL = RiskModel()
DAY = 24 * HOUR


def test_a_weight_halves_in_a_day() -> None:
    weight = add_step(Weight(), step_of("high", 0, 1), 0, MODEL)
    assert [faded(weight, at, MODEL) for at in (0, DAY, 3 * DAY)] == [40, 20, 5]


def test_each_doubling_of_the_count_adds_a_quarter() -> None:
    assert [step_of("medium", 0, count) for count in (1, 2, 3, 4, 1024)] == [15, 18.75, 18.75, 22.5, 52.5]
    assert step_of("medium", 2, 0) == -18.75


def test_tactics_multiply_while_they_are_recent() -> None:
    seen = {"execution": 0, "persistence": 0, "impact": 3 * DAY}
    assert multiplier(seen, 0, MODEL) == 2.0
    assert multiplier(seen, 4 * DAY + 1, MODEL) == 1.0
    assert multiplier({str(n): 0 for n in range(20)}, 0, MODEL) == 4.0
    assert multiplier({}, 0, MODEL) == 1.0


def test_the_explanation_adds_up() -> None:
    parts = [Contribution("a", "A", "low", 1, 0, (), 5.0), Contribution("b", "B", "high", 1, 0, (), 40.0)]
    risk = assess(parts, 47.0, {"execution": 0, "impact": 0}, 0, MODEL)
    assert [each.alert_id for each in risk.contributions] == ["b", "a"]
    assert risk.score == pytest.approx(risk.multiplier * (sum(each.value for each in parts) + risk.others)) == 70.5


STEPS = st.lists(st.tuples(st.floats(1, 80), st.integers(0, 9 * DAY)), min_size=1, max_size=20)


@given(STEPS, st.randoms())
def test_the_order_of_steps_does_not_matter(steps: list[tuple[float, int]], dice: object) -> None:
    def total(order: list[tuple[float, int]]) -> float:
        weight = Weight()
        for step, when in order:
            weight = add_step(weight, step, when, MODEL)
        return faded(weight, 10 * DAY, MODEL)

    expected = sum(step * 2 ** (-(10 * DAY - when) / DAY) for step, when in steps)
    assert total(steps) == pytest.approx(expected) == pytest.approx(total(steps[::-1]))


@given(STEPS, STEPS, st.integers(9 * DAY, 30 * DAY))
def test_the_rank_orders_entities_whatever_the_time(
    one: list[tuple[float, int]], other: list[tuple[float, int]], now: int
) -> None:
    weights = []
    for steps in (one, other):
        weight = Weight()
        for step, when in steps:
            weight = add_step(weight, step, when, MODEL)
        weights.append(weight)
    first, second = (faded(weight, now, MODEL) for weight in weights)
    if first > second * 1.000001:
        assert rank(weights[0], 1, MODEL) > rank(weights[1], 1, MODEL)
