"""What is left of the rules by a person's choice of level, exclusions and period."""

from __future__ import annotations

from pathlib import Path

import pytest

from hunt.hunting import correlation, event, hunt, load, names, rule, write
from khien.hunt.assembly import Period
from khien.hunt.plans import HuntOptions, HuntPlan

MINUTE = 60_000_000
START = 1772413200_000_000  # 2026-03-02T01:00:00Z
COUNT = {"type": "event_count", "rules": ["base"], "timespan": "10m", "condition": {"gte": 2}}
RULES = load(
    rule("low", level="low"),
    rule("info", level="informational"),
    rule("critical", level="critical"),
    rule("base", level="informational"),
    correlation("burst", COUNT),
    correlation("upper", {**COUNT, "rules": ["burst"], "condition": {"gte": 1}}, level="critical"),
)


@pytest.mark.parametrize(
    ("level", "reported"),
    [
        ("informational", {"low", "info", "critical", "base", "burst", "upper"}),
        ("low", {"low", "critical", "burst", "upper"}),
        ("high", {"critical", "burst", "upper"}),
        ("critical", {"critical", "upper"}),
    ],
)
def test_a_level_keeps_its_rules_and_what_their_correlations_are_made_of(level: str, reported: set[str]) -> None:
    plan = HuntPlan(RULES, HuntOptions(level=level))
    assert plan.reported == {f"id-{name}" for name in reported}
    assert "id-base" in {each.id for each in plan.ruleset.rules}
    assert [each.id for each in plan.correlations] == ["id-burst", "id-upper"]
    assert {"id-base", "id-burst"} <= plan.suppressed


def test_rules_that_nothing_needs_are_not_looked_for() -> None:
    assert {each.id for each in HuntPlan(RULES, HuntOptions(level="high")).ruleset.rules} == {"id-base", "id-critical"}


def test_an_excluded_rule_is_out_with_the_correlations_made_of_it() -> None:
    plan = HuntPlan(RULES, HuntOptions(exclude=frozenset({"id-base", "id-low"})))
    assert "id-low" not in {each.id for each in plan.ruleset.rules}
    assert "id-burst" not in {each.id for each in plan.correlations}


def test_a_plan_tells_which_fields_correlations_read() -> None:
    rules = load(rule("base"), correlation("burst", {**COUNT, "group-by": ["User", "Computer"]}))
    assert HuntPlan(rules, HuntOptions()).wanted == {"id-base": {"User", "Computer"}}


def test_the_period_includes_both_its_ends_and_leaves_out_what_has_no_time(tmp_path: Path) -> None:
    untimed = {key: value for key, value in event("low nothing").items() if key != "TimeCreated"}
    log = write(tmp_path / "log.json", *(event(f"low {at}", at) for at in (0, 60, 120, 180)), untimed)

    def found(**period: int) -> list[str]:
        lines, _ = hunt(RULES, log, period=Period(**period))
        return [finding["matched"][0]["value"] for finding in lines.findings]

    assert found() == ["low 0", "low 60", "low 120", "low 180", "low nothing"]
    assert found(since=START + MINUTE) == ["low 60", "low 120", "low 180"]
    assert found(until=START + MINUTE) == ["low 0", "low 60"]
    assert found(since=START + MINUTE, until=START + 2 * MINUTE) == ["low 60", "low 120"]


def test_the_period_holds_for_the_hits_of_correlations_too(tmp_path: Path) -> None:
    log = write(tmp_path / "log.json", *(event("base", at) for at in (0, 60, 300)))
    assert names(hunt(RULES, log)[0]) == ["burst", "upper"] or names(hunt(RULES, log)[0]) == ["upper"]
    assert names(hunt(RULES, log, period=Period(since=START + MINUTE))[0]) == ["upper"]
    assert names(hunt(RULES, log, period=Period(since=START + 2 * MINUTE))[0]) == []
