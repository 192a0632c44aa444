"""Conditions simplified by what is already known about some of their tests."""

from __future__ import annotations

from collections.abc import Callable

from khien.rules.model import And, Const, Named, Node, Not, Or, Test

TRUE = Const(True)
FALSE = Const(False)
_COMPOUND = frozenset((And, Or, Not, Named, Const))


def fold(node: Node, decide: Callable[[Test], bool | None]) -> Node:
    """The condition with decided tests (`decide` gives True or False) worked in; names are dropped."""
    if isinstance(node, Named):
        return fold(node.item, decide)
    if isinstance(node, Not):
        inner = fold(node.item, decide)
        if isinstance(inner, Const):
            return FALSE if inner.value else TRUE
        return inner.item if isinstance(inner, Not) else Not(inner)
    if isinstance(node, And | Or):
        ends = isinstance(node, Or)  # the value that decides the whole
        left: dict[Node, None] = {}
        for item in node.items:
            inner = fold(item, decide)
            if isinstance(inner, Const):
                if inner.value is ends:
                    return inner
                continue
            if isinstance(inner, type(node)):
                left.update(dict.fromkeys(inner.items))
            else:
                left[inner] = None
        if not left:
            return FALSE if ends else TRUE
        return next(iter(left)) if len(left) == 1 else type(node)(tuple(left))
    if isinstance(node, Const):
        return node
    known = decide(node)
    return node if known is None else (TRUE if known else FALSE)


def tests_of(node: Node) -> list[Test]:
    """Every test in the condition, repeats included."""
    found: list[Test] = []
    _collect(node, found)
    return found


def _collect(node: Node, found: list[Test]) -> None:
    if isinstance(node, And | Or):
        for item in node.items:
            if type(item) in _COMPOUND:
                _collect(item, found)
            else:
                found.append(item)  # type: ignore[arg-type]  # what is not compound is a test
    elif isinstance(node, Not | Named):
        _collect(node.item, found)
    elif not isinstance(node, Const):
        found.append(node)
