"""Conditions simplified by what is already known about some of their tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeGuard, get_args

from khien.rules.model import And, Const, Named, Node, Not, Or, Test

TRUE = Const(True)
FALSE = Const(False)
_TESTS = frozenset(get_args(Test))


def is_test(node: Node) -> TypeGuard[Test]:
    """Whether a node is a single test."""
    return type(node) in _TESTS


def fold(node: Node, decide: Callable[[Test], bool | None]) -> Node:
    """The condition with decided tests (`decide` gives True or False) worked in; names are dropped."""
    if is_test(node):  # conditions hold thousands
        known = decide(node)
        return node if known is None else (TRUE if known else FALSE)
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
    return node


def tests_of(node: Node) -> list[Test]:
    """Every test in the condition, repeats included."""
    found: list[Test] = []
    _collect(node, found)
    return found


def _collect(node: Node, found: list[Test]) -> None:
    if isinstance(node, And | Or):
        for item in node.items:
            if is_test(item):
                found.append(item)
            else:
                _collect(item, found)
    elif isinstance(node, Not | Named):
        _collect(node.item, found)
    elif is_test(node):
        found.append(node)
