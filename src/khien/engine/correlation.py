"""STUB"""
from __future__ import annotations
from collections.abc import Sequence
from khien.engine.hit import CorrelationMatch, Hit
from khien.rules.model import Correlation


class Correlator:
    def __init__(self, correlations: Sequence[Correlation]) -> None:
        self.base_rules: frozenset[str] = frozenset()
        self.suppressed: frozenset[str] = frozenset()

    def fields(self, rule_id: str) -> frozenset[str]:
        return frozenset()

    def add(self, hit: Hit) -> list[CorrelationMatch]:
        return []

    def flush(self) -> list[CorrelationMatch]:
        return []
