"""The risk of an entity: its alerts, weighed by level, fading with time, multiplied by distinct ATT&CK tactics.

    risk(t) = multiplier(t) · Σ over alerts ( Σ over its steps  step · 2^(−(t − when) / half-life) )

An alert's first finding is a step of its level's weight; each time its count doubles adds a quarter of that, so a flood
of equal findings weighs little more than a few. `multiplier` is 1 + 0.5 for each distinct tactic beyond the first that
was seen within four half-lives, at most 4: an entity seen on several stages of an attack outranks a noisy one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import log2

import msgspec

from khien.findings.attack import tactics

HOUR = 3_600_000_000
LEVEL_WEIGHTS: Mapping[str, float] = {"informational": 1, "low": 5, "medium": 15, "high": 40, "critical": 80}
DOUBLING = 0.25
TACTIC_STEP = 0.5
MOST_MULTIPLIED = 4.0
TACTIC_HALF_LIVES = 4


class RiskModel(msgspec.Struct, frozen=True):
    """`half_life`: microseconds after which a step weighs half."""

    half_life: int = 24 * HOUR


class Weight(msgspec.Struct, array_like=True):
    """A sum of fading steps: `value` as of `at` (microseconds UTC)."""

    value: float = 0.0
    at: int = 0


class Contribution(msgspec.Struct, frozen=True):
    """What one alert adds to an entity's risk now, before the multiplier."""

    alert_id: str
    title: str
    level: str
    count: int
    last: int
    tactics: tuple[str, ...]
    value: float


class Risk(msgspec.Struct, frozen=True):
    """An entity's risk at `at` (microseconds UTC): `score` is `multiplier` times the sum of all contributions.

    `contributions`: the largest first; `others`: the sum of those not listed.
    """

    score: float
    at: int
    multiplier: float
    tactics: tuple[str, ...]
    contributions: tuple[Contribution, ...]
    others: float = 0.0


def step_of(level: str, before: int, after: int) -> float:
    """What an alert adds when its count of findings goes from `before` to `after`; negative when it shrinks."""
    return LEVEL_WEIGHTS[level] * (_size(after) - _size(before))


def _size(count: int) -> float:
    return 1 + DOUBLING * (count.bit_length() - 1) if count > 0 else 0.0


def faded(weight: Weight, now: int, model: RiskModel) -> float:
    """The value of a weight at `now`."""
    return float(weight.value * 2.0 ** (-(now - weight.at) / model.half_life))


def add_step(weight: Weight, step: float, when: int, model: RiskModel) -> Weight:
    """The sum with a step added; steps may come in any order of time."""
    if not weight.value:
        return Weight(step, when)
    at = max(weight.at, when)
    value = faded(weight, at, model) + faded(Weight(step, when), at, model)
    return Weight(max(value, 0.0), at)


def multiplier(seen: Mapping[str, int], now: int, model: RiskModel) -> float:
    """By the tactics and when each was last seen (microseconds UTC)."""
    return multiplier_of(len(recent_tactics(seen, now, model)))


def multiplier_of(distinct: int) -> float:
    """By the number of distinct tactics."""
    return min(1 + TACTIC_STEP * max(distinct - 1, 0), MOST_MULTIPLIED)


def recent_tactics(seen: Mapping[str, int], now: int, model: RiskModel) -> tuple[str, ...]:
    """The tactics that still count at `now`, by name."""
    return tuple(sorted(name for name, at in seen.items() if now - at <= TACTIC_HALF_LIVES * model.half_life))


def rank(weight: Weight, multiplied: float, model: RiskModel) -> float:
    """Orders entities by risk whatever the time: all fade alike, so their order does not change with it."""
    if weight.value <= 0:
        return float("-inf")
    return log2(weight.value * multiplied) + weight.at / model.half_life


def assess(
    contributions: Iterable[Contribution], total: float, seen: Mapping[str, int], now: int, model: RiskModel
) -> Risk:
    """The risk and its explanation. `total`: the sum of all contributions at `now`, listed or not."""
    listed = tuple(sorted(contributions, key=lambda each: (-each.value, each.alert_id)))
    names = recent_tactics(seen, now, model)
    factor = multiplier_of(len(names))
    others = max(total - sum(each.value for each in listed), 0.0)
    return Risk(total * factor, now, factor, names, listed, others)


def tactics_of(tags: Iterable[str]) -> tuple[str, ...]:
    """The ATT&CK tactics in a rule's tags."""
    return tuple(tactics(tags))
