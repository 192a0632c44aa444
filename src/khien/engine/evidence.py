"""Which tests made a condition true."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from khien.engine.plan import Compiled
from khien.rules.model import And, Const, Named, Node, Not, Or, Test


def evidence(compiled: Compiled, passed: set[int], numbers: Mapping[Test, int]) -> tuple[Test, ...]:
    """The positive tests that hold and that the rule's condition rests on, in the rule's order."""

    def held(test: Test) -> bool:
        return test in compiled.constants or numbers.get(test, -1) in passed

    found: dict[Test, None] = {}
    for node in compiled.rule.conditions:
        if truth(node, held):
            _collect(node, held, found)
    return tuple(found)


def truth(node: Node, held: Callable[[Test], bool]) -> bool:
    """Evaluate a condition by a function that decides its tests."""
    if isinstance(node, Named):
        return truth(node.item, held)
    if isinstance(node, Not):
        return not truth(node.item, held)
    if isinstance(node, And):
        return all(truth(item, held) for item in node.items)
    if isinstance(node, Or):
        return any(truth(item, held) for item in node.items)
    if isinstance(node, Const):
        return node.value
    return held(node)


def _collect(node: Node, held: Callable[[Test], bool], found: dict[Test, None]) -> None:
    if isinstance(node, Named):
        _collect(node.item, held, found)
    elif isinstance(node, And | Or):
        for item in node.items:
            if truth(item, held):
                _collect(item, held, found)
    elif not isinstance(node, Not | Const):
        found[node] = None
