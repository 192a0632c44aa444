"""Rules as they look to events of one kind: conditions folded by what all events of the kind share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from khien.engine.clauses import Clause, clauses
from khien.engine.literals import regex_literals
from khien.engine.matcher import Matcher, Signatures
from khien.engine.values import holds
from khien.events.batch import MISSING, EventKind, Value
from khien.rules.folding import FALSE, fold, tests_of
from khien.rules.model import STAR, FieldRef, Keyword, KeywordRegex, Node, Or, Regex, Rule, Test, Text

CLAUSES = 3
"""Necessary clauses kept of a rule."""
NARROW = 1_400
"""Fields with fewer tests are indexed whole: their values recur, or their tests are few."""
_RARE = 4
_BLIND = 1_000
_MOST_FORMS = 50_000


@dataclass(slots=True, eq=False)
class Form:
    """A rule for events of some kinds, one object for all kinds to which it looks the same.

    `condition`: what is left of its conditions (any of them may hold). `constants`: tests that hold for
    every event of the kind. `tests`: those left, by their numbers. `clauses`: the rarest necessary ones.
    """

    rule: Rule
    condition: Node
    constants: frozenset[Test]
    tests: Mapping[int, Test]
    clauses: Sequence[Clause]


class Vocabulary:
    """The tests of all rules of a detector, numbered, what is known of each, and the matchers that plans share."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self.numbers: dict[Test, int] = {}
        self._signatures: dict[frozenset[int], Signatures] = {}
        self._used: Counter[int] = Counter()
        self._tests: dict[int, list[Test]] = {}
        self._rules = rules
        for rule in rules:
            tests = self._tests[id(rule)] = [test for node in rule.conditions for test in tests_of(node)]
            self._used.update({self.number(test) for test in tests})
        sizes = Counter(test.field for test in self.numbers if not isinstance(test, Keyword | KeywordRegex))
        self._wide = {field for field, size in sizes.items() if size >= NARROW}
        self.rare = {number for test, number in self.numbers.items() if _is_rare(test)}
        """Tests with a literal to look for that few texts hold by chance."""

    def tests(self, rule: Rule) -> list[Test]:
        """Every test of a rule, repeats included."""
        return self._tests[id(rule)]

    def number(self, test: Test) -> int:
        """The number of a test; equal tests have one."""
        return self.numbers.setdefault(test, len(self.numbers))

    def signatures(self, tests: Mapping[int, Test]) -> Signatures:
        """The signatures of values by these tests of one field; one object for equal sets."""
        key = frozenset(tests)
        known = self._signatures.get(key)
        if known is None:
            known = self._signatures[key] = Signatures(Matcher(tests.items()))
        return known

    def weigh(self, test: Test) -> Clause | None:
        """A test as a necessary clause, with a guess at how common it is; None for one that makes no good clause."""
        if isinstance(test, FieldRef):
            return None
        number = self.numbers[test]
        blind = _is_blind(test) and getattr(test, "field", "") in self._wide
        return self._used[number] + 8 / (2 + _sharpness(test)) + (_BLIND if blind else 0), frozenset({number})


class Forms:
    """The forms of a rule set's rules."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._fields: dict[int, frozenset[str]] = {}
        self._known: dict[tuple[object, ...], Form | None] = {}

    def of(self, rule: Rule, kind: EventKind) -> Form | None:
        """The rule's form for events of a kind; None when it can match none of them."""
        fields = self._fields.get(id(rule))
        if fields is None:
            fields = self._fields[id(rule)] = frozenset(
                test.field
                for test in self._vocabulary.tests(rule)
                if not isinstance(test, Keyword | KeywordRegex | FieldRef)
            )
        shared = _constants(kind, fields)
        key = (id(rule), *((name, type(value), value) for name, value in shared.items()))
        try:
            return self._known[key]
        except KeyError:
            if len(self._known) >= _MOST_FORMS:
                self._known.clear()
            form = self._known[key] = self._make(rule, shared)
            return form

    def _make(self, rule: Rule, shared: Mapping[str, Value]) -> Form | None:
        true: set[Test] = set()

        def decide(test: Test) -> bool | None:
            if isinstance(test, Keyword | KeywordRegex | FieldRef) or test.field not in shared:
                return None
            known = _holds(test, shared[test.field])
            if known:
                true.add(test)
            return known

        conditions = tuple(node for condition in rule.conditions if (node := fold(condition, decide)) != FALSE)
        if not conditions:
            return None
        condition = conditions[0] if len(conditions) == 1 else Or(conditions)
        number = self._vocabulary.number
        tests = {number(test): test for test in tests_of(condition)}
        return Form(rule, condition, frozenset(true), tests, clauses(condition, self._vocabulary.weigh, CLAUSES))


def _constants(kind: EventKind, fields: frozenset[str]) -> dict[str, Value]:
    """Of some Sigma fields those whose value all events of the kind share."""
    found: dict[str, Value] = {}
    for name in fields:
        for own in kind.aliases.get(name, (name,)):
            value = kind.constants.get(own, MISSING)
            if value is not MISSING:
                found[name] = value
                break
    return found


def _holds(test: Test, value: Value) -> bool:
    if type(test) is Text and len(test.parts) == 1 and not test.cased and type(value) in (str, int):
        text = test.parts[0]
        if isinstance(text, str):  # nearly always; `holds` compiles an expression
            return text.lower() == str(value).lower()
    return holds(test, value)


def _is_rare(test: Test) -> bool:
    if not isinstance(test, Text):
        return isinstance(test, Regex) and not _is_blind(test)
    return _sharpness(test) >= _RARE or (len(test.parts) > 0 and STAR not in (test.parts[0], test.parts[-1]))


def _is_blind(test: Test) -> bool:
    """Whether a test is an expression without a literal to look for."""
    return isinstance(test, Regex | KeywordRegex) and regex_literals(test.pattern, test.flags) is None


def _sharpness(test: Test) -> int:
    """The longest literal of a test: longer ones are rarer."""
    longest = 0
    for part in getattr(test, "parts", ()):
        if isinstance(part, str) and len(part) > longest:
            longest = len(part)
    return longest
