"""Which tests made a condition true."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from khien.engine.plan import Compiled, Plan
from khien.engine.row import NOT_TEXT, Row, contained
from khien.engine.values import holds
from khien.rules.model import And, Const, Named, Node, Not, Or, Test

# From a row to the positive tests that hold and that the condition rests on; None where it is false.
Gather = Callable[[Row], Sequence[Test] | None]
_NONE: tuple[Test, ...] = ()


class Evidence:
    """Tells why rules of a plan matched. A rule's part is compiled at its first match."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._known: dict[str, tuple[Gather, ...]] = {}

    def of(self, compiled: Compiled, row: Row) -> tuple[Test, ...]:
        """The positive tests that hold and that the rule's condition rests on, in the rule's order."""
        rule = compiled.rule
        gatherers = self._known.get(rule.id)
        if gatherers is None:
            gatherers = tuple(_gather(node, self._plan, compiled.constants) for node in rule.conditions)
            self._known[rule.id] = gatherers
        found: dict[Test, None] = {}
        for gather in gatherers:
            found.update(dict.fromkeys(gather(row) or _NONE))
        return tuple(found)


def _gather(node: Node, plan: Plan, constants: frozenset[Test]) -> Gather:
    if isinstance(node, Named):
        return _gather(node.item, plan, constants)
    if isinstance(node, Const):
        decided = _NONE if node.value else None
        return lambda row: decided
    if isinstance(node, Not):
        inner = _gather(node.item, plan, constants)
        return lambda row: _NONE if inner(row) is None else None
    if isinstance(node, And):
        return _all([_gather(item, plan, constants) for item in node.items])
    if isinstance(node, Or):
        return _any(list(_alternatives(node.items, plan, constants)))
    return _one(node, plan, constants)


def _one(test: Test, plan: Plan, constants: frozenset[Test]) -> Gather:
    alone = (test,)
    if test in constants:
        return lambda row: alone
    if test not in plan.tests:  # decided by the kind's constants: false
        return lambda row: None
    check = plan.check(test)
    return lambda row: alone if check(row) else None


def _all(parts: Sequence[Gather]) -> Gather:
    def gather(row: Row) -> Sequence[Test] | None:
        found: list[Test] = []
        for part in parts:
            held = part(row)
            if held is None:
                return None
            found += held
        return found

    return gather


def _any(parts: Sequence[Gather]) -> Gather:
    def gather(row: Row) -> Sequence[Test] | None:
        found: list[Test] | None = None
        for part in parts:
            held = part(row)
            if held is not None:
                found = [*found, *held] if found else list(held)
        return found

    return gather


def _alternatives(items: Sequence[Node], plan: Plan, constants: frozenset[Test]) -> Iterable[Gather]:
    """The items of an OR; neighbouring literals sought in one field are looked for together."""
    run: list[tuple[Test, str]] = []
    field = ""
    for item in items:
        literal = None
        if not isinstance(item, And | Or | Not | Const | Named) and item in plan.tests:
            literal = contained(item)
        if run and (literal is None or literal[0] != field):
            yield _literals(run, plan.positions[field])
            run = []
        if literal is None:
            yield _gather(item, plan, constants)
        else:
            field = literal[0]
            run.append((item, literal[1]))  # type: ignore[arg-type]  # a literal is a test's
    if run:
        yield _literals(run, plan.positions[field])


def _literals(run: Sequence[tuple[Test, str]], at: int) -> Gather:
    def gather(row: Row) -> Sequence[Test] | None:
        text = row.lower(at)
        if text is NOT_TEXT:
            found = [test for test, _ in run if holds(test, row.values[at])]
        else:
            found = [test for test, literal in run if literal in text]
        return found or None

    return gather
