"""Which tests made a condition true."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from khien.engine.plan import Compiled, Plan
from khien.engine.row import NOT_TEXT, Row, contained
from khien.engine.values import holds
from khien.rules.folding import tests_of
from khien.rules.model import And, Const, Named, Node, Not, Or, Test

# From a row to the positive tests that hold and that the condition rests on; None where it is false.
Gather = Callable[[Row], Sequence[Test] | None]
_NONE: tuple[Test, ...] = ()
_MOST_REMEMBERED = 5_000


class Evidence:
    """Tells why rules of a plan matched. A rule's part is compiled at its first match."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._known: dict[int, tuple[tuple[Gather, ...], bool]] = {}
        # Of rules that indexed tests alone decide: what was found for each set of those passed.
        self._remembered: dict[tuple[int, frozenset[int]], tuple[Test, ...]] = {}

    def is_fixed(self, compiled: Compiled) -> bool:
        """Whether the indexed tests passed, and nothing else of an event, tell why a rule matched."""
        return self._of_rule(compiled)[1]

    def _of_rule(self, compiled: Compiled) -> tuple[tuple[Gather, ...], bool]:
        known = self._known.get(compiled.place)
        if known is None:
            known = self._known[compiled.place] = self._compile(compiled)
        return known

    def of(self, compiled: Compiled, row: Row) -> tuple[Test, ...]:
        """The positive tests that hold and that the rule's condition rests on, in the rule's order."""
        gatherers, indexed = self._of_rule(compiled)
        if not indexed:
            return _found(gatherers, row)
        key = (compiled.place, row.passed)
        tests = self._remembered.get(key)
        if tests is None:
            if len(self._remembered) >= _MOST_REMEMBERED:
                self._remembered.clear()
            tests = self._remembered[key] = _found(gatherers, row)
        return tests

    def _compile(self, compiled: Compiled) -> tuple[tuple[Gather, ...], bool]:
        plan = self._plan
        conditions = compiled.rule.conditions
        indexed = all(
            plan.number(test) is not None or test in compiled.constants or test not in compiled.tests
            for node in conditions
            for test in tests_of(node)
        )
        return tuple(_gather(node, plan, compiled) for node in conditions), indexed


def _found(gatherers: Iterable[Gather], row: Row) -> tuple[Test, ...]:
    return tuple(dict.fromkeys(test for gather in gatherers for test in gather(row) or _NONE))


def _gather(node: Node, plan: Plan, compiled: Compiled) -> Gather:
    if isinstance(node, Named):
        return _gather(node.item, plan, compiled)
    if isinstance(node, Const):
        decided = _NONE if node.value else None
        return lambda row: decided
    if isinstance(node, Not):
        inner = _gather(node.item, plan, compiled)
        return lambda row: _NONE if inner(row) is None else None
    if isinstance(node, And):
        return _all([_gather(item, plan, compiled) for item in node.items])
    if isinstance(node, Or):
        return _any(list(_alternatives(node.items, plan, compiled)))
    return _one(node, plan, compiled)


def _one(test: Test, plan: Plan, compiled: Compiled) -> Gather:
    alone = (test,)
    if test in compiled.constants:
        return lambda row: alone
    if test not in compiled.tests:  # decided by the kind's constants: it is false, or of no account
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


def _alternatives(items: Sequence[Node], plan: Plan, compiled: Compiled) -> Iterable[Gather]:
    """The items of an OR; neighbouring indexed tests, and literals sought in one field, are looked up together."""
    run: list[tuple[Test, str]] = []
    field = ""
    indexed: list[tuple[Test, int]] = []
    for item in items:
        left = not isinstance(item, And | Or | Not | Const | Named) and item in compiled.tests
        number = plan.number(item) if left else None  # type: ignore[arg-type]  # what is left is a test
        if indexed and number is None:
            yield _indexed(indexed)
            indexed = []
        if number is not None:
            if run:
                yield _literals(run, plan.positions[field])
                run = []
            indexed.append((item, number))  # type: ignore[arg-type]  # what has a number is a test
            continue
        literal = contained(item) if left else None  # type: ignore[arg-type]
        if run and (literal is None or literal[0] != field):
            yield _literals(run, plan.positions[field])
            run = []
        if literal is None:
            yield _gather(item, plan, compiled)
        else:
            field = literal[0]
            run.append((item, literal[1]))  # type: ignore[arg-type]  # a literal is a test's
    if run:
        yield _literals(run, plan.positions[field])
    if indexed:
        yield _indexed(indexed)


def _indexed(run: Sequence[tuple[Test, int]]) -> Gather:
    order = {number: at for at, (_, number) in enumerate(run)}
    numbers = frozenset(order)

    def gather(row: Row) -> Sequence[Test] | None:
        hits = numbers & row.passed
        return [run[at][0] for at in sorted(order[number] for number in hits)] if hits else None

    return gather


def _literals(run: Sequence[tuple[Test, str]], at: int) -> Gather:
    def gather(row: Row) -> Sequence[Test] | None:
        text = row.lower(at)
        if text is NOT_TEXT:
            found = [test for test, _ in run if holds(test, row.values[at])]
        else:
            found = [test for test, literal in run if literal in text]
        return found or None

    return gather
