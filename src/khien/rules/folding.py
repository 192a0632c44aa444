"""Conditions simplified by what is already known about some of their tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from khien.rules.model import And, Const, Named, Node, Not, Or, Test

TRUE = Const(True)
FALSE = Const(False)


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


def tests_of(node: Node) -> Iterator[Test]:
    """Every test in the condition, repeats included."""
    if isinstance(node, And | Or):
        for item in node.items:
            yield from tests_of(item)
    elif isinstance(node, Not | Named):
        yield from tests_of(node.item)
    elif not isinstance(node, Const):
        yield node
