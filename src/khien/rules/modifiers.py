"""Sigma modifiers: from `field|modifier|...: values` to field tests."""

from __future__ import annotations

import ipaddress
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from math import isfinite
from typing import Any

import re2

from khien.errors import RuleError
from khien.events.text import value_text
from khien.rules import patterns, spellings
from khien.rules.model import (
    STAR,
    And,
    Cidr,
    Compare,
    Const,
    Exists,
    FieldRef,
    Keyword,
    KeywordRegex,
    Node,
    Not,
    Null,
    Or,
    Parts,
    Regex,
    Text,
)

COMPARISONS = ("lt", "lte", "gt", "gte")
TIME_PARTS = ("minute", "hour", "day", "week", "month", "year")
_PLACES: dict[str, Callable[[Parts], Parts]] = {
    "contains": patterns.contains,
    "startswith": patterns.startswith,
    "endswith": patterns.endswith,
}
_FLAGS = {"i": "i", "ignorecase": "i", "m": "m", "multiline": "m", "s": "s", "dotall": "s"}
_ANY_KIND = frozenset({"all", "neq"})
# What a value is, by the modifier that says so, and which other modifiers then have a meaning.
_KINDS: tuple[tuple[frozenset[str], frozenset[str]], ...] = (
    (frozenset({"exists"}), frozenset()),
    (frozenset({"cidr"}), frozenset()),
    (frozenset({"fieldref"}), frozenset({"cased", *_PLACES})),
    (frozenset({"re"}), frozenset({"expand", *_FLAGS, *_PLACES})),
    (frozenset({*COMPARISONS, *TIME_PARTS}), frozenset({*COMPARISONS, *TIME_PARTS})),
)
_TEXT = frozenset({"cased", "windash", "base64", "base64offset", "expand", *spellings.WIDE, *_PLACES})
KNOWN = _ANY_KIND | _TEXT | frozenset(_FLAGS) | {name for kind, _ in _KINDS for name in kind}


@dataclass(frozen=True, slots=True)
class Key:
    """The key of a detection item, split: `field` is "" for keywords."""

    field: str
    modifiers: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> Key:
        """Split `field|modifier|...`; raises RuleError for unknown modifiers."""
        field, *modifiers = text.split("|")
        for modifier in modifiers:
            if modifier not in KNOWN:
                raise RuleError(
                    f"unknown modifier '{modifier}' in '{text}'", remedy=f"Known: {', '.join(sorted(KNOWN))}"
                )
        key = cls(field, tuple(modifiers))
        key._check()
        return key

    def _check(self) -> None:
        """Refuse modifiers that say nothing together, which would be dropped without a word."""
        mine = frozenset(self.modifiers)
        for kind, others in _KINDS:
            if found := kind & mine:
                allowed = kind | others | _ANY_KIND
                break
        else:
            found, allowed = frozenset({"a text"}), _TEXT | _ANY_KIND
        if extra := [modifier for modifier in self.modifiers if modifier not in allowed]:
            if extra[0] in _FLAGS:
                raise RuleError(f"'{self}' has flags of a regular expression without 're'")
            name = next((m for m in self.modifiers if m in found), "a text")
            raise RuleError(f"'{self}' has '{extra[0]}' beside '{name}', which has no meaning")
        for alternatives in (COMPARISONS, TIME_PARTS):
            if len([m for m in self.modifiers if m in alternatives]) > 1:
                raise RuleError(f"'{self}' compares in two ways", remedy="Write a map such as {gt: 100, lte: 200}")

    def has(self, modifier: str) -> bool:
        """Tell whether the key has the modifier."""
        return modifier in self.modifiers

    def __str__(self) -> str:
        return "|".join((self.field, *self.modifiers))


def scalar_text(value: Any) -> str:
    """The text of a YAML scalar: what the text of an equal value in an event is."""
    return value_text(value) or ""


def item_node(key: Key, values: Any, placeholders: patterns.Placeholders) -> Node:
    """Turn one detection item into tests: OR over its values, AND with `all`, negated with `neq`."""
    listed = values if isinstance(values, list) else [values]
    if not listed:
        raise RuleError(f"'{key}' has an empty list of values", remedy="Give a value, or null")
    nodes = [_value_node(key, value, placeholders) for value in listed]
    joined = join(And if key.has("all") else Or, nodes)
    return Not(joined) if key.has("neq") else joined


def join(kind: type[And] | type[Or], nodes: list[Node]) -> Node:
    """One node of many, equal ones once, without needless nesting."""
    flat: dict[Node, None] = {}
    for node in nodes:
        for inner in node.items if type(node) is kind else (node,):
            flat[inner] = None
    return next(iter(flat)) if len(flat) == 1 else kind(tuple(flat))


def _value_node(key: Key, value: Any, placeholders: patterns.Placeholders) -> Node:
    modifiers = frozenset(key.modifiers)
    if isinstance(value, dict):
        return _range(key, value)
    if isinstance(value, list):
        raise RuleError(f"'{key}' has a list inside a list", remedy="Write one list of values")
    if value is not None and not isinstance(value, str | bool | int | float | date):
        raise RuleError(f"'{key}' has a value that is neither text nor number nor true or false")
    if "exists" in modifiers:
        if not isinstance(value, bool):
            raise RuleError(f"'{key}' wants true or false")
        _need_field(key)
        return Exists(key.field) if value else Not(Exists(key.field))
    if "fieldref" in modifiers:
        return _fieldref(key, value)
    if modifiers.intersection((*COMPARISONS, *TIME_PARTS)):
        return _compare(key, value)
    if value is None:
        _need_field(key)
        if extra := [modifier for modifier in key.modifiers if modifier not in _ANY_KIND]:
            raise RuleError(
                f"'{key}' has null, on which '{extra[0]}' has no meaning", remedy="Write a key for null alone"
            )
        return Null(key.field)
    if "cidr" in modifiers:
        return _cidr(key, value)
    if "re" in modifiers:
        return _regexes(key, scalar_text(value), placeholders)
    return _text(key, value, placeholders)


def _need_field(key: Key) -> None:
    if not key.field:
        raise RuleError(f"'{key}' needs a field name" + (" before the modifiers" if key.modifiers else " for null"))


def _text(key: Key, value: Any, placeholders: patterns.Placeholders) -> Node:
    if key.has("expand"):
        choices = patterns.expand_placeholders(scalar_text(value), placeholders)
        if not choices:  # a placeholder that is not given
            return Const(False)
    else:
        choices = [patterns.parse_text(value) if isinstance(value, str) else (scalar_text(value),)]
    octets = encoded = False
    for modifier in key.modifiers:
        choices = [new for parts in choices for new in _apply(modifier, parts, key, octets)]
        octets = modifier in spellings.WIDE or (octets and not modifier.startswith("base64"))
        encoded = encoded or octets or modifier.startswith("base64")
    if not choices:
        raise RuleError(f"'{key}' has a value that is too short to be found", remedy="Give at least two letters")
    if not encoded:
        choices = [form for parts in choices for form in spellings.letter_forms(parts)]
    cased = key.has("cased")
    if key.field:
        return join(Or, [Text(key.field, parts, cased) for parts in choices])
    keywords = [_bare(parts) for parts in choices]
    if () in keywords:
        raise RuleError("a keyword is empty: every event has it")
    return join(Or, [Keyword(parts, cased) for parts in keywords])


def _bare(parts: Parts) -> Parts:
    """A keyword is looked for anywhere: stars at its ends say nothing."""
    start = 1 if parts[:1] == (STAR,) else 0
    end = len(parts) - 1 if len(parts) > start and parts[-1] == STAR else len(parts)
    return parts[start:end]


def _apply(modifier: str, parts: Parts, key: Key, octets: bool) -> list[Parts]:
    if modifier in _PLACES:
        return [_PLACES[modifier](parts)]
    if modifier == "windash":
        return [patterns.windash(parts)]
    if modifier in spellings.WIDE:
        encoding = spellings.WIDE[modifier]
        return [patterns.normal(p if isinstance(p, int) else spellings.widened(p, encoding) for p in parts)]
    if modifier == "base64":
        return [(spellings.base64_text(_octets(parts, key, octets)),)]
    if modifier == "base64offset":
        return [(text,) for text in spellings.base64_offsets(_octets(parts, key, octets))]
    return [parts]


def _octets(parts: Parts, key: Key, octets: bool) -> bytes:
    text = patterns.plain_text(parts)
    if text is None:
        raise RuleError(f"'{key}' cannot encode a value with wildcards", remedy="Escape them or leave them out")
    return text.encode("latin-1") if octets else text.encode("utf-8", "surrogatepass")


def _regexes(key: Key, pattern: str, placeholders: patterns.Placeholders) -> Node:
    choices = patterns.expand_in_regex(pattern, placeholders) if key.has("expand") else [pattern]
    return join(Or, [_regex(key, choice) for choice in choices]) if choices else Const(False)


def _regex(key: Key, pattern: str) -> Node:
    flags = "".join(sorted({_FLAGS[m] for m in key.modifiers if m in _FLAGS}))
    places = [m for m in key.modifiers if m in ("startswith", "endswith")]
    if places and "m" in flags:
        raise RuleError(f"'{key}' has '{places[0]}' beside the flag 'm', which makes the ends those of lines")
    if "startswith" in places and "contains" not in key.modifiers:
        pattern = f"^(?:{pattern})"
    if "endswith" in places and "contains" not in key.modifiers:
        pattern = f"(?:{pattern})$"
    _check_regex(key, pattern)
    return Regex(key.field, pattern, flags) if key.field else KeywordRegex(pattern, flags)


def _check_regex(key: Key, pattern: str) -> None:
    """An expression must mean something to Python's `re` or to RE2."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        options = re2.Options()
        options.log_errors = False
        try:
            re2.compile(pattern, options)
        except re2.error:
            raise RuleError(f"'{key}' has a regular expression that does not parse: {error}") from error


def _cidr(key: Key, value: Any) -> Node:
    _need_field(key)
    try:
        network = ipaddress.ip_network(str(value), strict=False)
    except ValueError as error:
        raise RuleError(f"'{key}' has no valid network: {error}") from error
    return Cidr(key.field, str(network))


def _fieldref(key: Key, value: Any) -> Node:
    _need_field(key)
    if not isinstance(value, str) or not value:
        raise RuleError(f"'{key}' wants the name of another field")
    if "*" in value or "?" in value:
        raise RuleError(f"'{key}' has a field name with wildcards")
    places = {m for m in key.modifiers if m in _PLACES}
    how = "equals" if not places else "contains" if len(places) > 1 else places.pop()
    return FieldRef(key.field, value, how, key.has("cased"))


def _number(key: Key, value: Any) -> float | int:
    wanted = RuleError(f"'{key}' wants a number, not {str(value)[:40]!r}")
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise wanted
    try:
        number = value if not isinstance(value, str) else float(value) if re.search("[.eE]", value) else int(value, 10)
    except ValueError as error:
        raise wanted from error
    if not isfinite(number) or abs(number) >= 2**63:
        raise wanted
    return number


def _compare(key: Key, value: Any) -> Node:
    _need_field(key)
    operator = next((m for m in key.modifiers if m in COMPARISONS), "eq")
    part = next((m for m in key.modifiers if m in TIME_PARTS), "")
    return Compare(key.field, ((operator, _number(key, value)),), part)


def _range(key: Key, value: dict[Any, Any]) -> Node:
    _need_field(key)
    if not value or any(operator not in COMPARISONS for operator in value):
        raise RuleError(
            f"'{key}' has a map where a value stands",
            remedy="A map of values may only hold lt, lte, gt and gte",
        )
    part = next((m for m in key.modifiers if m in TIME_PARTS), "")
    if extra := [m for m in key.modifiers if m not in _ANY_KIND and m not in TIME_PARTS]:
        raise RuleError(f"'{key}' has a map of bounds, beside which '{extra[0]}' has no meaning")
    bounds = tuple((str(operator), _number(key, bound)) for operator, bound in value.items())
    return Compare(key.field, bounds, part)
