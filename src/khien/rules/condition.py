"""The condition language: `selection and not 1 of filter_*`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from fnmatch import fnmatchcase
from itertools import combinations
from math import comb

from khien.errors import RuleError
from khien.rules.model import And, Node, Not, Or
from khien.rules.modifiers import join

_TOKEN = re.compile(r"\s*(?:(?P<paren>[()])|(?P<word>[^\s()|]+)|(?P<pipe>\|))")
_NUMBER = re.compile(r"[0-9]{1,9}\Z")
_MOST_COMBINATIONS = 500
_MOST_DEPTH = 100


def parse_condition(text: str, items: Mapping[str, Node]) -> Node:
    """Parse a condition over the named items. Raises RuleError with the position of the fault."""
    return _Parser(text, items).parse()


class _Parser:
    """Recursive descent: or < and < not < atom."""

    def __init__(self, text: str, items: Mapping[str, Node]) -> None:
        self.text = text
        self.items = items
        self.tokens: list[tuple[str, int]] = []
        at = 0
        while at < len(text.rstrip()):
            found = _TOKEN.match(text, at)
            if not found:  # pragma: no cover - the token pattern takes every character
                raise self._error("cannot be read", at)
            if found["pipe"]:
                raise RuleError(
                    "the condition has an aggregation after '|', which was removed from Sigma",
                    remedy="Write a correlation rule",
                )
            self.tokens.append((found["paren"] or found["word"], found.start()))
            at = found.end()
        self.at = 0
        self.depth = 0

    def parse(self) -> Node:
        node = self._or()
        if self.at < len(self.tokens):
            token, place = self.tokens[self.at]
            raise self._error(f"'{token}' is not expected", place)
        return node

    def _error(self, what: str, place: int) -> RuleError:
        return RuleError(f"condition '{self.text.strip()}': {what} at character {place + 1}")

    def _peek(self) -> str:
        return self.tokens[self.at][0] if self.at < len(self.tokens) else ""

    def _word(self) -> str:
        return self._peek().lower()

    def _take(self) -> tuple[str, int]:
        if self.at >= len(self.tokens):
            raise self._error("ends too early", len(self.text))
        self.at += 1
        return self.tokens[self.at - 1]

    def _or(self) -> Node:
        nodes = [self._and()]
        while self._word() == "or":
            self._take()
            nodes.append(self._and())
        return join(Or, nodes) if len(nodes) > 1 else nodes[0]

    def _and(self) -> Node:
        nodes = [self._not()]
        while self._word() == "and":
            self._take()
            nodes.append(self._not())
        return join(And, nodes) if len(nodes) > 1 else nodes[0]

    def _not(self) -> Node:
        negated = False
        while self._word() == "not":
            self._take()
            negated = not negated
        node = self._atom()
        return Not(node) if negated else node

    def _atom(self) -> Node:
        token, place = self._take()
        if token == "(":  # noqa: S105 - not a secret
            self.depth += 1
            if self.depth > _MOST_DEPTH:
                raise self._error("is nested too deeply", place)
            node = self._or()
            closing, at = self._take()
            if closing != ")":
                raise self._error("')' is missing", at)
            self.depth -= 1
            return node
        quantifier = token.lower()
        if self._word() == "of" and (quantifier in ("all", "any") or _NUMBER.match(quantifier)):
            self._take()
            pattern, at = self._take()
            return self._of(quantifier, pattern, at)
        if token == ")" or quantifier in ("and", "or"):  # noqa: S105 - not a secret
            raise self._error(f"'{token}' is not expected", place)
        if token not in self.items:
            raise self._error(f"there is no detection item '{token}'", place)
        return self.items[token]

    def _of(self, quantifier: str, pattern: str, place: int) -> Node:
        if pattern.lower() == "them":
            pattern = "*"
        glob = pattern.replace("[", "[[]").replace("?", "[?]")  # only * is a wildcard here
        names = [
            name
            for name in self.items
            if fnmatchcase(name, glob) and (pattern.startswith("_") or not name.startswith("_"))
        ]
        if not names:
            raise self._error(f"no detection item is called '{pattern}'", place)
        nodes = [self.items[name] for name in names]
        if quantifier == "all":
            return join(And, nodes)
        least = 1 if quantifier == "any" else int(quantifier)
        if least == 1:
            return join(Or, nodes)
        if not 0 < least <= len(nodes) or comb(len(nodes), least) > _MOST_COMBINATIONS:
            raise self._error(f"{least} of {len(nodes)} items is not possible", place)
        return join(Or, [join(And, list(chosen)) for chosen in combinations(nodes, least)])
