"""What must be done to events of one kind: the rules that can match them, compiled together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from khien.engine.clauses import Clause, clauses
from khien.engine.literals import regex_literals
from khien.engine.matcher import NOTHING, Matcher, Signatures
from khien.engine.row import Check, Row, all_contained, any_contained, check_of, contained
from khien.engine.values import holds
from khien.events.batch import MISSING, EventKind, Value
from khien.rules.folding import FALSE, fold, tests_of
from khien.rules.model import (
    STAR,
    And,
    Const,
    FieldRef,
    Keyword,
    KeywordRegex,
    Named,
    Node,
    Not,
    Or,
    Regex,
    Rule,
    Test,
    Text,
)

Masks = tuple[int, int, int]
# From the indexed tests passed to whether a condition holds, or what is left of it.
Partial = Callable[[frozenset[int]], bool | Check]
_CLAUSES = 3
_RARE = 4
_BLIND = 1_000
_NARROW = 1_400
"""Fields with fewer tests are indexed whole: their values recur, or their tests are few."""


@dataclass(frozen=True, slots=True)
class Folded:
    """A rule for events of one kind: what is left of its conditions (any of them may hold)."""

    rule: Rule
    conditions: tuple[Node, ...]
    constants: frozenset[Test]
    """Tests that hold for every event of the kind."""


@dataclass(slots=True, eq=False)
class Compiled:
    """A rule of a plan."""

    place: int
    """Its place among the plan's rules."""
    rule: Rule
    condition: Node
    constants: frozenset[Test]
    """Tests that hold for every event of the kind."""
    partial: Partial | None = None
    """The condition by indexed tests alone, compiled when the rule is first a candidate."""


@dataclass(frozen=True, slots=True)
class Settled:
    """What the indexed tests say about all events of one signature.

    `passed`: the indexed tests that they pass. `certain`: the rules that they match. `open`: rules
    that the rest of their tests decide, with what is left of the condition.
    """

    passed: frozenset[int]
    certain: tuple[Compiled, ...]
    open: tuple[tuple[Compiled, Check], ...]

    def __bool__(self) -> bool:
        return bool(self.certain or self.open)


class Vocabulary:
    """The tests of all plans of a detector, numbered, and the matchers that plans share."""

    def __init__(self) -> None:
        self.numbers: dict[Test, int] = {}
        self._signatures: dict[frozenset[int], Signatures] = {}

    def number(self, test: Test) -> int:
        """The number of a test; equal tests have one."""
        return self.numbers.setdefault(test, len(self.numbers))

    def signatures(self, tests: Iterable[Test]) -> Signatures:
        """The signatures of values by these tests of one field; one object for equal sets."""
        numbered = {self.number(test): test for test in tests}
        key = frozenset(numbered)
        known = self._signatures.get(key)
        if known is None:
            known = self._signatures[key] = Signatures(Matcher(numbered.items()))
        return known


class Column:
    """One indexed field of a plan: its values' signatures, and what each says about the rules.

    The masks of a signature have a bit a rule: bit r of the n-th mask is set when the value passes
    one of the tests in the n-th necessary clause of rule r.
    """

    __slots__ = ("_masked", "_test_masks", "masks", "signatures")

    def __init__(self, signatures: Signatures, test_masks: dict[int, Masks]) -> None:
        self.signatures = signatures
        self.masks: dict[int, Masks] = {}
        self._test_masks = test_masks
        self._masked = frozenset(test_masks)

    def mask(self, signature: int) -> Masks:
        """The masks of a signature, computed once."""
        first = second = third = 0
        for test in self.signatures.sets[signature] & self._masked:
            one, two, three = self._test_masks[test]
            first |= one
            second |= two
            third |= three
        self.masks[signature] = first, second, third
        return first, second, third


class Plan:
    """The rules for one kind of events.

    Each rule has necessary clauses: sets of tests of which a match passes one each. The tests of
    the rarest clauses are indexed: decided for every value, all together and once a value. An
    event's signature is the tuple of its indexed columns' signatures. What it says about the rules
    is worked out once a signature: most are out, some certain, and of a few the rest of the tests is
    left to decide, event by event.

    `read`: the Sigma fields to read; `indexed`: the positions among them of the columns.
    """

    def __init__(self, rules: Sequence[Folded], vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary
        used: Counter[Test] = Counter()
        for each in rules:
            used.update(dict.fromkeys(test for node in each.conditions for test in tests_of(node)).keys())
        self.keywords = tuple(test for test in used if isinstance(test, Keyword | KeywordRegex))
        self.read = tuple(dict.fromkeys(name for test in used for name in _fields(test)))
        self.positions = {name: at for at, name in enumerate(self.read)}
        self.tests = frozenset(used)
        self._checks: dict[Test, Check] = {}
        # Comparisons of two fields that are part of a signature: that they may hold.
        self.references = {
            test: vocabulary.number(test) for test in used if isinstance(test, FieldRef) and test.how == "equals"
        }
        nodes = [Or(each.conditions) if len(each.conditions) > 1 else each.conditions[0] for each in rules]
        index = self._choose(nodes, used)
        self._numbers = {test: vocabulary.number(test) for test in index}
        self._compile_columns(index)
        self.rules = [Compiled(at, each.rule, nodes[at], each.constants) for at, each in enumerate(rules)]

    def _choose(self, nodes: Sequence[Node], used: Counter[Test]) -> list[Test]:
        """The tests to index, and the masks that say which clauses of which rules they belong to."""
        tests = list(used)
        places = {test: at for at, test in enumerate(tests)}

        sizes = Counter(test.field for test in tests if not isinstance(test, Keyword | KeywordRegex))

        def is_narrow(test: Test) -> bool:
            return not isinstance(test, Keyword | KeywordRegex) and sizes[test.field] < _NARROW

        def weigh(test: Test) -> Clause | None:
            if isinstance(test, FieldRef):
                return None
            last_resort = _BLIND if _is_blind(test) and not is_narrow(test) else 0
            return used[test] + _commonness(test) + last_resort, frozenset({places[test]})

        found = [clauses(node, weigh, _CLAUSES) for node in nodes]
        index = {test for each in found if each for test in each[0][1]}
        index |= {
            places[test] for test in tests if not isinstance(test, FieldRef) and (is_narrow(test) or _is_rare(test))
        }
        number = self.vocabulary.number
        self.test_masks: dict[int, Masks] = {}
        free = [0, 0, 0]  # rules without an n-th clause
        for at, each in enumerate(found):
            worthwhile = each[:1] + [clause for clause in each[1:] if clause[1] <= index]
            for nth in range(_CLAUSES):
                if nth >= len(worthwhile):
                    free[nth] |= 1 << at
                    continue
                for place in worthwhile[nth][1]:
                    index.add(place)
                    masks = list(self.test_masks.get(number(tests[place]), (0, 0, 0)))
                    masks[nth] |= 1 << at
                    self.test_masks[number(tests[place])] = (masks[0], masks[1], masks[2])
        self.free: Masks = (free[0], free[1], free[2])
        return [tests[place] for place in sorted(index)]

    def _compile_columns(self, index: Iterable[Test]) -> None:
        by_field: dict[str, list[Test]] = {}
        keywords: list[Keyword | KeywordRegex] = []
        for test in index:
            if isinstance(test, Keyword | KeywordRegex):
                keywords.append(test)
            else:
                by_field.setdefault(test.field, []).append(test)
        vocabulary = self.vocabulary
        self.columns = [Column(vocabulary.signatures(mine), self.test_masks) for mine in by_field.values()]
        self.indexed = tuple(self.positions[name] for name in by_field)
        self.text = Column(vocabulary.signatures(keywords), self.test_masks) if keywords else None
        self.all_columns = [*self.columns, self.text] if self.text is not None else self.columns

    def settle(self, signature: tuple[int, ...]) -> Settled:
        """What is known of events of a signature."""
        candidates = self._candidates(signature)
        if not candidates:
            return Settled(NOTHING, (), ())
        maybe = signature[len(self.all_columns) :]
        passed = NOTHING.union(
            *(column.signatures.sets[number] for column, number in zip(self.all_columns, signature, strict=False)),
            [number for number, held in zip(self.references.values(), maybe, strict=True) if held],
        )
        certain = []
        undecided = []
        while candidates:
            lowest = candidates & -candidates
            candidates ^= lowest
            compiled = self.rules[lowest.bit_length() - 1]
            if compiled.partial is None:
                compiled.partial = self._partial(compiled.condition)
            left = compiled.partial(passed)
            if left is True:
                certain.append(compiled)
            elif left is not False:
                undecided.append((compiled, left))
        return Settled(passed, tuple(certain), tuple(undecided))

    def _candidates(self, signature: tuple[int, ...]) -> int:
        """A bit for each rule that an event of this signature may match."""
        first, second, third = self.free
        for column, number in zip(self.all_columns, signature, strict=False):
            one, two, three = column.masks.get(number) or column.mask(number)
            first |= one
            second |= two
            third |= three
        return first & second & third

    def number(self, test: Test) -> int | None:
        """The number of an indexed test; None for any other."""
        return self._numbers.get(test)

    def is_indexed(self, test: Test) -> bool:
        """Whether a signature tells if the test holds."""
        return test in self._numbers

    def check(self, test: Test) -> Check:
        """A function from a row to whether a test of the plan holds."""
        known = self._checks.get(test)
        if known is None:
            number = self._numbers.get(test)
            known = check_of(test, self.positions) if number is None else _indexed(number)
            self._checks[test] = known
        return known

    def _partial(self, node: Node) -> Partial:
        if isinstance(node, Named):
            return self._partial(node.item)
        if isinstance(node, Const):
            value = node.value
            return lambda passed: value
        if isinstance(node, Not):
            return _negation(self._partial(node.item))
        if isinstance(node, And | Or):
            return self._junction(node)
        number = self._numbers.get(node)
        if number is not None:
            return lambda passed: number in passed
        check = self.check(node)
        maybe = self.references.get(node) if isinstance(node, FieldRef) else None
        if maybe is not None:
            return lambda passed: check if maybe in passed else False
        return lambda passed: check

    def _junction(self, node: And | Or) -> Partial:
        """An AND or OR: indexed tests by one set operation, then what is compound; plain literals together."""
        both = isinstance(node, And)
        numbers: set[int] = set()
        literals: dict[str, list[tuple[Test, str]]] = {}
        compound: list[Partial] = []
        checks: list[Check] = []
        for item in node.items:
            if isinstance(item, And | Or | Not | Const | Named | FieldRef):
                compound.append(self._partial(item))
            elif item in self._numbers:
                numbers.add(self._numbers[item])
            elif (found := contained(item)) is not None:
                literals.setdefault(found[0], []).append((item, found[1]))
            else:
                checks.append(self.check(item))
        combine = all_contained if both else any_contained
        for name, pairs in literals.items():
            tests, texts = tuple(test for test, _ in pairs), tuple(text for _, text in pairs)
            checks.append(combine(tests, texts, self.positions[name]))
        build = _conjunction if both else _disjunction
        return build(frozenset(numbers), tuple(compound), tuple(checks))


def _indexed(number: int) -> Check:
    return lambda row: number in row.passed


def _negation(inner: Partial) -> Partial:
    def partial(passed: frozenset[int]) -> bool | Check:
        left = inner(passed)
        if isinstance(left, bool):
            return not left
        check = left
        return lambda row: not check(row)

    return partial


def _conjunction(numbers: frozenset[int], compound: tuple[Partial, ...], checks: tuple[Check, ...]) -> Partial:
    def partial(passed: frozenset[int]) -> bool | Check:
        if not numbers <= passed:
            return False
        left = checks
        for each in compound:
            held = each(passed)
            if held is False:
                return False
            if held is not True:
                left = (*left, held)
        return _all(left) if left else True

    return partial


def _disjunction(numbers: frozenset[int], compound: tuple[Partial, ...], checks: tuple[Check, ...]) -> Partial:
    def partial(passed: frozenset[int]) -> bool | Check:
        if not numbers.isdisjoint(passed):
            return True
        left = checks
        for each in compound:
            held = each(passed)
            if held is True:
                return True
            if held is not False:
                left = (*left, held)
        return _any(left) if left else False

    return partial


def _all(checks: tuple[Check, ...]) -> Check:
    if len(checks) == 1:
        return checks[0]

    def check(row: Row) -> bool:
        for each in checks:
            if not each(row):
                return False
        return True

    return check


def _any(checks: tuple[Check, ...]) -> Check:
    if len(checks) == 1:
        return checks[0]

    def check(row: Row) -> bool:
        for each in checks:
            if each(row):
                return True
        return False

    return check


def _fields(test: Test) -> tuple[str, ...]:
    if isinstance(test, Keyword | KeywordRegex):
        return ()
    return (test.field, test.other) if isinstance(test, FieldRef) else (test.field,)


def fold_rules(kind: EventKind, rules: Iterable[Rule]) -> tuple[Folded, ...]:
    """The rules that can match events of a kind, with tests on the kind's constants worked in."""
    constants = {name: value for name, value in kind.constants.items() if value is not MISSING}
    folded = (_fold_rule(rule, kind, constants) for rule in rules)
    return tuple(each for each in folded if each.conditions)


def _fold_rule(rule: Rule, kind: EventKind, constants: Mapping[str, Value]) -> Folded:
    true: set[Test] = set()
    aliases = kind.aliases

    def decide(test: Test) -> bool | None:
        if isinstance(test, Keyword | KeywordRegex | FieldRef):
            return None
        field = test.field
        if field in aliases:
            field = next((name for name in aliases[field] if name in constants), "")
        if field not in constants:
            return None
        known = _holds(test, constants[field])
        if known:
            true.add(test)
        return known

    conditions = tuple(node for condition in rule.conditions if (node := fold(condition, decide)) != FALSE)
    return Folded(rule, conditions, frozenset(true))


def _holds(test: Test, value: Value) -> bool:
    if type(test) is Text and len(test.parts) == 1 and not test.cased and type(value) in (str, int):
        text = test.parts[0]
        if isinstance(text, str):  # nearly always; `holds` compiles an expression
            return text.lower() == str(value).lower()
    return holds(test, value)


def _commonness(test: Test) -> float:
    """A guess at how common a test's values are: short literals occur in many texts."""
    return 8 / (2 + _sharpness(test))


def _is_rare(test: Test) -> bool:
    """Whether a test has a literal to look for that few texts hold by chance."""
    if isinstance(test, Regex):
        return not _is_blind(test)
    if not isinstance(test, Text):
        return False
    return _sharpness(test) >= _RARE or (len(test.parts) > 0 and STAR not in (test.parts[0], test.parts[-1]))


def _is_blind(test: Test) -> bool:
    """Whether a test is an expression without a literal to look for."""
    return isinstance(test, Regex | KeywordRegex) and regex_literals(test.pattern, test.flags) is None


def _sharpness(test: Test) -> int:
    """The longest literal of a test: longer ones are rarer."""
    parts = getattr(test, "parts", ())
    return max((len(part) for part in parts if isinstance(part, str)), default=0)
