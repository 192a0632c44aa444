"""What a person asked of a hunt, and what each worker needs for it."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import msgspec

from khien.engine.correlation import Correlator
from khien.hunt.assembly import Period
from khien.rules.collection import LEVELS
from khien.rules.model import Correlation, RuleSet


@dataclass(slots=True)
class HuntOptions:
    """`level`: the least severe level reported. `jobs`: worker processes (1: none)."""

    level: str = "low"
    exclude: frozenset[str] = frozenset()
    period: Period = field(default_factory=Period)
    jobs: int = 1
    input_format: str | None = None


class HuntPlan:
    """The rules of one hunt, narrowed to what can be reported."""

    def __init__(self, rules: RuleSet, options: HuntOptions) -> None:
        self.options = options
        least = LEVELS.index(options.level)
        excluded = options.exclude
        correlations = tuple(
            c for c in rules.correlations if c.id not in excluded and not excluded.intersection(c.rules)
        )
        levels = {rule.id: rule.level for rule in rules.rules} | {c.id: c.level for c in correlations}
        self.reported = frozenset(
            rule_id for rule_id, level in levels.items() if LEVELS.index(level) >= least and rule_id not in excluded
        )
        needed = _needed(correlations, self.reported)
        self.correlations = tuple(c for c in correlations if c.id in needed)
        self.ruleset: RuleSet = msgspec.structs.replace(
            rules,
            rules=tuple(r for r in rules.rules if r.id in self.reported or r.id in needed),
            correlations=self.correlations,
        )

    @cached_property
    def wanted(self) -> dict[str, frozenset[str]]:
        """Base rule id to the fields that correlations read of its events."""
        correlator = self.correlator()
        return {rule_id: correlator.fields(rule_id) for rule_id in correlator.base_rules}

    @cached_property
    def suppressed(self) -> frozenset[str]:
        """Ids of rules whose own findings are not reported."""
        own = frozenset(rule.id for rule in self.ruleset.rules if rule.id not in self.reported)
        return own | self.correlator().suppressed

    def correlator(self) -> Correlator:
        """A fresh state machine for the hunt's correlations."""
        return Correlator(self.correlations)


def _needed(correlations: tuple[Correlation, ...], reported: frozenset[str]) -> frozenset[str]:
    """Ids of correlations that lead to a reported one, and of the rules they are made of."""
    by_id = {c.id: c for c in correlations}
    needed: set[str] = set()
    stack = [rule_id for rule_id in by_id if rule_id in reported]
    while stack:
        rule_id = stack.pop()
        if rule_id in needed:
            continue
        needed.add(rule_id)
        if rule_id in by_id:
            stack.extend(by_id[rule_id].rules)
    return frozenset(needed)
