"""A parsed search as parameterised SQL, and as what sketches and partitions can tell."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Final

from khien.lake.errors import SearchError
from khien.lake.query import field_sql
from khien.lake.reading import name
from khien.lake.schema import EVENT_SCHEMA
from khien.lake.search_language import And, Compare, Has, Is, Not, Or, Pattern, Term, Text, Within
from khien.lake.sketch import runs

_COLUMNS: Final = frozenset(EVENT_SCHEMA.names)
_MOMENTS: Final = frozenset({"time", "received"})
_UNSAFE: Final = re.compile(r"[^ -~]|[/<>&'\"\\]")
_MOST: Final = 32

Need = tuple[tuple[int, ...], ...] | None
"""Alternatives, each the sketch places that must all be marked; None: the sketch cannot tell."""


@dataclass(slots=True)
class Compiled:
    """SQL for WHERE, with `$1` ... for `values`, and what prunes: `need`."""

    sql: str
    values: list[object]
    need: Need


@dataclass(slots=True)
class _Compiler:
    values: list[object] = field(default_factory=list)

    def put(self, value: object) -> str:
        self.values.append(value)
        return f"${len(self.values)}"

    def term(self, term: Term) -> str:
        match term:
            case And(terms):
                return "(" + " AND ".join(self.term(each) for each in terms) + ")" if terms else "TRUE"
            case Or(terms):
                return "(" + " OR ".join(self.term(each) for each in terms) + ")"
            case Not(inner):
                return f"NOT coalesce({self.term(inner)}, FALSE)"
            case Text(pattern):
                in_event = f"regexp_matches(event, {self.put(_json_regex(pattern))}, 's')"
                in_raw = f"regexp_matches(raw, {self.put(_regex(pattern))}, 's')"
                return f"({in_event} OR coalesce({in_raw}, FALSE))"
            case Has(field_name):
                return self._within_event(field_name, None, f"({self._value(field_name)} IS NOT NULL)")
            case Is(field_name, pattern):
                return self._within_event(field_name, pattern, self._is(field_name, pattern))
            case Compare(field_name, operator, value):
                return self._compare(field_name, operator, value)
            case Within(field_name, network):
                test = f"regexp_full_match({self._value(field_name)}, {self.put(network_regex(network))}, 'i')"
                return self._within_event(field_name, None, test)

    def _value(self, field_name: str) -> str:
        if field_name.lower() in _COLUMNS:
            column = name(field_name.lower())
            return f"CAST({column} AS VARCHAR)" if field_name.lower() in {"time", "received", "day"} else column
        return field_sql(field_name)

    def _is(self, field_name: str, pattern: Pattern) -> str:
        value = self._value(field_name)
        if field_name.lower() in _MOMENTS:
            raise SearchError(f"{field_name} is compared, not matched", remedy=f"Write {field_name}:>=2026-11-24")
        if pattern.literal is not None:
            return f"lower({value}) = lower({self.put(pattern.literal)})"
        return f"regexp_full_match({value}, {self.put(_regex(pattern))}, 's')"

    def _within_event(self, field_name: str, pattern: Pattern | None, test: str) -> str:
        """Reading a field out of JSON is slow: look first whether its name, and its text, are in the event at all."""
        if field_name.lower() in _COLUMNS:
            return test
        last = field_name.rsplit(".", 1)[-1]
        if not last or _UNSAFE.search(last):
            return test
        begin = _UNSAFE.split(pattern.parts[0])[0] if pattern else ""
        if begin and begin[0] not in "[{":
            seen = rf'{re.escape(last)}"\s*:\s*"?{_folded(begin)}'
            return f"(regexp_matches(event, {self.put(seen)}) AND {test})"
        ended = f'{last}"'
        first = f"contains(event, {self.put(ended)})"
        pieces = pattern.pieces if pattern else ()
        known = max((piece for each in pieces for piece in _UNSAFE.split(each)), key=len, default="")
        if known:
            first += f" AND regexp_matches(event, {self.put(_folded(known))})"
        return f"({first} AND {test})"

    def _compare(self, field_name: str, operator: str, value: float | str) -> str:
        lowered = field_name.lower()
        if lowered in _MOMENTS:
            moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=int(value))
            return f"{lowered} {operator} CAST({self.put(moment.isoformat())} AS TIMESTAMPTZ)"
        read = self._value(field_name)
        if isinstance(value, float):
            test = f"(TRY_CAST({read} AS DOUBLE) {operator} {self.put(value)})"
        else:
            test = f"(lower({read}) {operator} lower({self.put(value)}))"
        return self._within_event(field_name, None, test)


def compile_term(term: Term) -> Compiled:
    """Compile a term. Raises SearchError for what the columns cannot answer."""
    compiler = _Compiler()
    return Compiled(compiler.term(term), compiler.values, _need(term))


def _need(term: Term) -> Need:
    match term:
        case And(terms):
            known = [need for need in map(_need, terms) if need is not None]
            if not known:
                return None
            made: list[tuple[int, ...]] = []
            for choice in product(*known):
                if len(made) >= _MOST:
                    return min(known, key=len)
                made.append(tuple(sorted({place for each in choice for place in each})))
            return tuple(made)
        case Or(terms):
            parts = [_need(each) for each in terms]
            alternatives: list[tuple[int, ...]] = []
            for part in parts:
                if part is None or len(alternatives) > _MOST:
                    return None
                alternatives += part
            return tuple(alternatives)
        case Text(pattern):
            return _places(pattern, "")
        case Is(field_name, pattern) if field_name.lower() not in _COLUMNS:
            return _places(pattern, field_name.rsplit(".", 1)[-1])
        case Has(field_name) if field_name.lower() not in _COLUMNS:
            return _places(Pattern(("",)), field_name.rsplit(".", 1)[-1])
        case _:
            return None


def _places(pattern: Pattern, field_name: str) -> Need:
    texts = [piece for each in pattern.pieces for piece in _UNSAFE.split(each)]
    texts += _UNSAFE.split(field_name)
    places = sorted({place for text in texts for place in runs(text)})
    return (tuple(places),) if places else None


def _regex(pattern: Pattern) -> str:
    return "".join(_folded(part) if at % 2 == 0 else _WILD[part] for at, part in enumerate(pattern.parts))


def _folded(text: str) -> str:
    """A text in any case. RE2 told to ignore case takes six times as long where a text begins with s or k: these
    letters have other forms beyond ASCII."""
    return "".join(map(_char, text))


def _char(char: str) -> str:
    if char.isascii():
        return f"[{char.lower()}{char.upper()}]" if char.isalpha() else re.escape(char)
    return f"(?i:{re.escape(char)})"


_WILD: Final = {"*": ".*", "?": "."}


def _json_regex(pattern: Pattern) -> str:
    """The pattern as it may stand inside JSON text, however its characters are escaped."""
    return "".join(
        "".join(map(_json_char, part)) if at % 2 == 0 else _WILD[part] for at, part in enumerate(pattern.parts)
    )


def _json_char(char: str) -> str:
    code = ord(char)
    if char in '"\\':
        return re.escape("\\" + char)
    if char == "/":
        return r"\\?/"
    if char in "\n\r\t\b\f":
        return re.escape("\\" + {"\n": "n", "\r": "r", "\t": "t", "\b": "b", "\f": "f"}[char])
    if code > 0xFFFF:
        high, low = 0xD800 + ((code - 0x10000) >> 10), 0xDC00 + ((code - 0x10000) & 0x3FF)
        return rf"(?i:{re.escape(char)}|\\u{high:04x}\\u{low:04x})"
    if code > 0x7E or code < 0x20 or char in "<>&'":
        return rf"(?i:{re.escape(char)}|\\u{code:04x})"
    return _char(char)


def network_regex(network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> str:
    """A regular expression that the addresses of a network match as a whole. Raises SearchError where there is none."""
    if isinstance(network, ipaddress.IPv4Network):
        octets = network.network_address.packed
        whole, rest = divmod(network.prefixlen, 8)
        parts = [str(octet) for octet in octets[:whole]]
        if rest:
            parts.append("(?:" + "|".join(str(octets[whole] + at) for at in range(1 << (8 - rest))) + ")")
        parts += [r"\d{1,3}"] * (4 - len(parts))
        return r"\.".join(parts)
    whole, rest = divmod(network.prefixlen, 16)
    words = [int(word, 16) for word in network.exploded.split("/")[0].split(":")]
    if network.prefixlen == 0:
        return r"[0-9a-f:.]*:[0-9a-f:.]*"
    if rest % 4 or (0 in words[: whole + bool(rest)] and whole > 0):
        raise SearchError(
            f"the network {network} cannot be searched for", remedy="Give a prefix of whole digits and no zero groups"
        )
    parts = [f"0{{0,{4 - len(f'{word:x}')}}}{word:x}" for word in words[:whole]]
    head = ":".join(parts)
    if rest:
        digits = f"{words[whole]:04x}"[: rest // 4]
        stripped = digits.lstrip("0")
        free = 4 - len(digits)
        last = (
            f"{digits}[0-9a-f]{{{free}}}" if not digits.startswith("0") else f"0{{0,4}}{stripped}[0-9a-f]{{0,{free}}}"
        )
        head = f"{head}:{last}" if head else last
    return head if network.prefixlen == 128 else head + r":[0-9a-f:.]*"
