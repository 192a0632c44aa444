"""Sigma modifiers: from `field|modifier|...: values` to field tests."""

from __future__ import annotations

import ipaddress
import re
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from khien.errors import RuleError
from khien.rules import patterns
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
_WIDE = {"wide": "utf-16-le", "utf16le": "utf-16-le", "utf16be": "utf-16-be", "utf16": "utf-16"}
_PLACES: dict[str, Callable[[Parts], Parts]] = {
    "contains": patterns.contains,
    "startswith": patterns.startswith,
    "endswith": patterns.endswith,
}
_FLAGS = {"i": "i", "ignorecase": "i", "m": "m", "multiline": "m", "s": "s", "dotall": "s"}
KNOWN = frozenset(
    {"all", "neq", "cased", "windash", "base64", "base64offset", "expand", "exists", "re", "cidr", "fieldref"}
    | set(COMPARISONS)
    | set(TIME_PARTS)
    | set(_WIDE)
    | set(_PLACES)
    | set(_FLAGS)
)


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
        return cls(field, tuple(modifiers))

    def has(self, modifier: str) -> bool:
        """Tell whether the key has the modifier."""
        return modifier in self.modifiers

    def __str__(self) -> str:
        return "|".join((self.field, *self.modifiers))


def number_text(value: float) -> str:
    """The text that a number is compared by: integral numbers as integers."""
    if isinstance(value, int):
        return str(value)
    return str(int(value)) if value.is_integer() else repr(value)


def scalar_text(value: Any) -> str:
    """The text of a YAML scalar as a rule writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return number_text(value)
    if isinstance(value, datetime | date):
        return value.isoformat(*([" "] if isinstance(value, datetime) else []))
    return str(value)


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
    modifiers = key.modifiers
    if isinstance(value, dict):
        return _range(key, value)
    if isinstance(value, list):
        raise RuleError(f"'{key}' has a list inside a list", remedy="Write one list of values")
    if key.has("exists"):
        if not isinstance(value, bool):
            raise RuleError(f"'{key}' wants true or false")
        _need_field(key)
        return Exists(key.field) if value else Not(Exists(key.field))
    if key.has("fieldref"):
        return _fieldref(key, value)
    if any(modifier in COMPARISONS for modifier in modifiers) or any(m in TIME_PARTS for m in modifiers):
        return _compare(key, value)
    if value is None:
        if key.field == "":
            return Const(False)
        return Null(key.field)
    if key.has("cidr"):
        return _cidr(key, value)
    if key.has("re"):
        return _regex(key, scalar_text(value))
    return _text(key, value, placeholders)


def _need_field(key: Key) -> None:
    if not key.field:
        raise RuleError(f"'{key}' needs a field name before the modifiers")


def _text(key: Key, value: Any, placeholders: patterns.Placeholders) -> Node:
    if any(m in _FLAGS for m in key.modifiers):
        raise RuleError(f"'{key}' has flags of a regular expression without 're'")
    if key.has("expand"):
        choices = patterns.expand_placeholders(scalar_text(value), placeholders)
    else:
        choices = [patterns.parse_text(value) if isinstance(value, str) else (scalar_text(value),)]
    for modifier in key.modifiers:
        choices = [new for parts in choices for new in _apply(modifier, parts, key)]
    if not choices:
        return Const(False)
    cased = key.has("cased")
    if key.field == "":
        return join(Or, [Keyword(_bare(parts), cased) for parts in choices])
    return join(Or, [Text(key.field, parts, cased) for parts in choices])


def _bare(parts: Parts) -> Parts:
    """A keyword is looked for anywhere: stars at its ends say nothing."""
    start = 1 if parts[:1] == (STAR,) else 0
    end = len(parts) - 1 if len(parts) > start and parts[-1] == STAR else len(parts)
    return parts[start:end]


def _apply(modifier: str, parts: Parts, key: Key) -> list[Parts]:
    if modifier in _PLACES:
        return [_PLACES[modifier](parts)]
    if modifier == "windash":
        return [patterns.windash(parts)]
    if modifier in _WIDE:
        return [patterns.normal(p if isinstance(p, int) else _wide(p, _WIDE[modifier]) for p in parts)]
    if modifier == "base64":
        return [(b64encode(_octets(parts, key)).decode(),)]
    if modifier == "base64offset":
        return [(text,) for text in _base64_offsets(_octets(parts, key))]
    return [parts]


def _wide(text: str, encoding: str) -> str:
    """The bytes of the encoded text, one character a byte (U+0000 to U+00FF)."""
    data = text.encode(encoding, "surrogatepass")
    if encoding == "utf-16":
        data = b"\xff\xfe" + text.encode("utf-16-le", "surrogatepass")
    return data.decode("latin-1")


def _octets(parts: Parts, key: Key) -> bytes:
    text = patterns.plain_text(parts)
    if text is None:
        raise RuleError(f"'{key}' cannot encode a value with wildcards", remedy="Escape them or leave them out")
    wide = any(modifier in _WIDE for modifier in key.modifiers)
    return text.encode("latin-1") if wide else text.encode()


def _base64_offsets(data: bytes) -> list[str]:
    """The Base64 texts of data at the three places it can have in a longer text, cut to sure letters."""
    found = []
    for offset in range(3):
        text = b64encode(b" " * offset + data).decode()
        end = {0: None, 1: -3, 2: -2}[(len(data) + offset) % 3]
        found.append(text[(0, 2, 3)[offset] : end])
    return [text for text in dict.fromkeys(found) if text]


def _regex(key: Key, pattern: str) -> Node:
    flags = "".join(sorted({_FLAGS[m] for m in key.modifiers if m in _FLAGS}))
    try:
        re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        raise RuleError(f"'{key}' has a regular expression that does not parse: {error}") from error
    extra = [m for m in key.modifiers if m not in _FLAGS and m not in ("re", "all", "neq")]
    if extra:
        raise RuleError(f"'{key}' combines 're' with '{extra[0]}', which has no meaning")
    return Regex(key.field, pattern, flags) if key.field else KeywordRegex(pattern, flags)


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
    how = next((m for m in key.modifiers if m in _PLACES), "equals")
    return FieldRef(key.field, value, how, key.has("cased"))


def _number(key: Key, value: Any) -> float | int:
    if isinstance(value, bool) or value is None:
        raise RuleError(f"'{key}' wants a number, not {value!r}")
    if isinstance(value, int | float):
        return value
    try:
        return float(value) if "." in str(value) or "e" in str(value).lower() else int(str(value), 10)
    except ValueError as error:
        raise RuleError(f"'{key}' wants a number, not {value!r}") from error


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
    bounds = tuple((str(operator), _number(key, bound)) for operator, bound in value.items())
    return Compare(key.field, bounds, part)
