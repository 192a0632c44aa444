"""What a hunt came to: its figures, and findings counted by rule in bounded memory."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from khien.errors import Problem
from khien.findings.finding import LEVELS, Finding

MOST_HOSTS = 1_000
"""Hosts kept by name for each rule; more are not counted one by one."""


@dataclass(frozen=True, slots=True)
class HuntSummary:
    """The closing figures of a hunt.

    `size` in bytes read, `seconds` of wall time; `paths` what was hunted through as a person gave it; `finished` when
    (RFC 3339, "" if nobody says).
    """

    files: int
    size: int
    events: int
    findings: int
    seconds: float
    rules: int
    correlations: int
    unusable: int
    problems: tuple[Problem, ...] = ()
    paths: tuple[str, ...] = ()
    finished: str = ""

    @property
    def rate(self) -> float:
        """Events a second."""
        return self.events / self.seconds if self.seconds > 0 else 0.0


@dataclass(slots=True)
class RuleTally:
    """The findings of one rule. Times are RFC 3339 in UTC, "" when no event had one."""

    rule_id: str
    title: str
    level: str
    tags: tuple[str, ...]
    count: int = 0
    first: str = ""
    last: str = ""
    hosts: Counter[str] = field(default_factory=Counter)
    more_hosts: bool = False

    def add(self, finding: Finding) -> None:
        """Count a finding."""
        self.count += 1
        if finding.time:
            if not self.first or finding.time < self.first:
                self.first = finding.time
            if finding.time > self.last:
                self.last = finding.time
        if finding.host:
            if finding.host in self.hosts or len(self.hosts) < MOST_HOSTS:
                self.hosts[finding.host] += 1
            else:
                self.more_hosts = True


class Tallies:
    """Findings counted by rule."""

    def __init__(self) -> None:
        self.rules: dict[str, RuleTally] = {}

    def add(self, finding: Finding) -> None:
        """Count a finding."""
        tally = self.rules.get(finding.rule_id)
        if tally is None:
            tally = self.rules[finding.rule_id] = RuleTally(
                finding.rule_id, finding.title, finding.level, tuple(finding.tags)
            )
        tally.add(finding)

    def ordered(self) -> list[RuleTally]:
        """The most severe first, then the most frequent."""
        return sorted(self.rules.values(), key=lambda t: (-LEVELS.index(t.level), -t.count, t.title))

    def by_level(self) -> dict[str, int]:
        """Findings of each level, the most severe first."""
        counts = dict.fromkeys(reversed(LEVELS), 0)
        for tally in self.rules.values():
            counts[tally.level] += tally.count
        return counts
