"""What a condition needs at least: sets of tests of which a match passes one each."""

from __future__ import annotations

from collections.abc import Callable

from khien.rules.folding import is_test
from khien.rules.model import And, Named, Node, Or, Rule, Test, Text

Clause = tuple[float, frozenset[int]]


def clauses(node: Node, weigh: Callable[[Test], Clause | None], most: int) -> list[Clause]:
    """Up to `most` necessary clauses of a folded condition, the rarest first.

    A clause is (weight, numbers of tests): where the condition holds, at least one of the tests
    does. `weigh` gives the clause of a single test, None for a test that makes no good one. An
    empty list: the condition may hold though no such test does.
    """
    if is_test(node):
        weighed = weigh(node)
        return [weighed] if weighed is not None else []
    if isinstance(node, Named):
        return clauses(node.item, weigh, most)
    if isinstance(node, And):
        found = {clause[1]: clause for item in node.items for clause in clauses(item, weigh, most)}
        return sorted(found.values(), key=lambda clause: clause[0])[:most]
    if isinstance(node, Or):
        branches = [clauses(item, weigh, most) for item in node.items]
        return [
            (sum(weight for weight, _ in each), frozenset[int]().union(*(tests for _, tests in each)))
            for each in zip(*branches, strict=False)
        ]
    return []


def required_texts(rule: Rule, field: str) -> frozenset[str] | None:
    """The lower-case texts of which a field must have one for the rule to match; None: any text may do."""
    found = [_texts(condition, field) for condition in rule.conditions]
    known = [texts for texts in found if texts is not None]
    return frozenset[str]().union(*known) if len(known) == len(found) else None


def _texts(node: Node, field: str) -> frozenset[str] | None:
    if type(node) is Text:
        if node.field != field or len(node.parts) != 1:
            return None
        part = node.parts[0]
        return frozenset({part.lower()}) if isinstance(part, str) else None
    if isinstance(node, Named):
        return _texts(node.item, field)
    if isinstance(node, And):
        known = [texts for item in node.items if (texts := _texts(item, field)) is not None]
        return min(known, key=len) if known else None
    if isinstance(node, Or):
        found = [_texts(item, field) for item in node.items]
        if any(texts is None for texts in found):
            return None
        return frozenset[str]().union(*(texts for texts in found if texts is not None))
    return None
