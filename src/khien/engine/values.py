"""What one value says to one test: the plain semantics behind the fast paths.

The engine's literal scan decides most tests of a value at once; this module decides one test at
a time. It confirms what the scan only suspects, evaluates constants, and serves `explain`.
"""

from __future__ import annotations

import ipaddress
import re
import warnings
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import re2

from khien.engine.literals import is_cheap
from khien.events.batch import MISSING, Value
from khien.events.text import value_text
from khien.events.timestamps import parse_time
from khien.rules.model import (
    ANY,
    DASH,
    DASHES,
    STAR,
    Cidr,
    Compare,
    Exists,
    FieldRef,
    Keyword,
    KeywordRegex,
    Null,
    Parts,
    Regex,
    Test,
    Text,
)

_CHEAP_LENGTH = 1024
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(\.[0-9]*(?:[eE][+-]?[0-9]+)?|[eE][+-]?[0-9]+)?|(\.[0-9]+)(?:[eE][+-]?[0-9]+)?)")

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
TextTest = Callable[[str], bool]


def elements(value: Value) -> Iterator[Value]:
    """The value itself, or each element of a list, nested lists flattened."""
    if isinstance(value, list):
        for item in value:
            yield from elements(item)
    else:
        yield value


def holds(test: Test, value: Value) -> bool:
    """Tell whether a test of one field holds for the field's value (MISSING where there is none)."""
    if isinstance(test, Exists):
        return value is not MISSING
    if isinstance(test, Null):
        return value is MISSING or all(item is None for item in elements(value))
    if isinstance(test, Text | Regex | Keyword | KeywordRegex):
        check = text_test(test)
        return any(text is not None and check(text) for text in map(value_text, elements(value)))
    if isinstance(test, Cidr):
        return any(in_network(test.network, item) for item in elements(value))
    if isinstance(test, Compare):
        return any(compare(test, item) for item in elements(value))
    raise TypeError(f"{type(test).__name__} is not a test of one value")


@lru_cache(maxsize=4096)
def text_test(test: Text | Regex | Keyword | KeywordRegex) -> TextTest:
    """A function from a value's text to whether the test holds."""
    if isinstance(test, Regex | KeywordRegex):
        return regex_test(test.pattern, test.flags)
    parts = test.parts if isinstance(test, Text) else (STAR, *test.parts, STAR)
    if test.cased:
        return glob_test(parts)
    check = glob_test(tuple(part.lower() if isinstance(part, str) else part for part in parts))
    return lambda text: check(text.lower())


def glob_test(parts: Parts) -> TextTest:
    """Whole-text match of literals, STAR, ANY and DASH, in linear passes (no backtracking).

    The pattern is cut at its stars; the first piece must start the text, the last must end it, and
    each between is searched for after the one before it.
    """
    pieces: list[list[str | int]] = [[]]
    for part in parts:
        if part == STAR:
            pieces.append([])
        else:
            pieces[-1].append(part)
    if len(pieces) == 1:
        whole = _piece(pieces[0])
        return lambda text: whole(text, 0, True) == len(text)
    if len(pieces) == 4 and not pieces[0] and not pieces[3] and all(_is_literal(p) for p in pieces[1:3]):
        return _two_literals(str(pieces[1][0]), str(pieces[2][0]))
    first, *middle, last = (_piece(piece) for piece in pieces)
    last_length = _length(pieces[-1])
    middle = [piece for piece, raw in zip(middle, pieces[1:-1], strict=True) if raw]

    def check(text: str) -> bool:
        at = first(text, 0, True)
        if at < 0:
            return False
        end = len(text) - last_length
        if end < at or last(text, end, True) < 0:
            return False
        for piece in middle:
            at = piece(text, at, False)
            if at < 0 or at > end:
                return False
        return True

    return check


def _is_literal(piece: list[str | int]) -> bool:
    return len(piece) == 1 and isinstance(piece[0], str)


def _two_literals(one: str, two: str) -> TextTest:
    def check(text: str) -> bool:
        at = text.find(one)
        return at >= 0 and text.find(two, at + len(one)) >= 0

    return check


def _length(piece: list[str | int]) -> int:
    return sum(len(part) if isinstance(part, str) else 1 for part in piece)


def _piece(piece: list[str | int]) -> Callable[[str, int, bool], int]:
    """A function (text, from, only there) to the end of the piece found, or -1."""
    size = _length(piece)
    if not piece:
        return lambda text, at, here: at
    if _is_literal(piece):
        literal = str(piece[0])

        def find(text: str, at: int, here: bool) -> int:
            if here:
                return at + size if text.startswith(literal, at) else -1
            found = text.find(literal, at)
            return found + size if found >= 0 else -1

        return find
    classes = {ANY: ".", DASH: f"[{re.escape(DASHES)}]"}
    pattern = re.compile("".join(re.escape(p) if isinstance(p, str) else classes[p] for p in piece), re.DOTALL)

    def match(text: str, at: int, here: bool) -> int:
        found = pattern.match(text, at) if here else pattern.search(text, at)
        return found.end() if found else -1

    return match


def regex_test(pattern: str, flags: str) -> TextTest:
    """Search semantics, in linear time by RE2.

    `\\d`, `\\w`, `\\s` and `\\b` are ASCII, `$` without `m` is the very end. Look-around and
    back-references, which RE2 lacks, fall back to Python's `re` with the same meanings.
    Short ASCII texts go through `re` where both surely agree, since its calls are cheaper.
    """
    prefix = f"(?{flags})" if flags else ""
    try:
        compiled = re2.compile(prefix + pattern, _re2_options())
    except re2.error:
        fallback = _compiled(as_re2_means(pattern, flags), _python_flags(flags))
        return lambda text: fallback.search(text) is not None
    search = compiled.search

    def check(text: str) -> bool:
        try:
            return search(text) is not None
        except UnicodeEncodeError:
            return search(text.encode("utf-8", "replace").decode()) is not None

    if not is_cheap(pattern):
        return check
    cheap = _compiled(pattern, _python_flags(flags) | re.ASCII).search

    def cheap_check(text: str) -> bool:
        if len(text) <= _CHEAP_LENGTH and text.isascii() and "\v" not in text:
            return cheap(text) is not None
        return check(text)

    return cheap_check


def is_linear(pattern: str, flags: str) -> bool:
    """Whether RE2 reads the expression."""
    try:
        re2.compile(f"(?{flags}){pattern}" if flags else pattern, _re2_options())
    except re2.error:
        return False
    return True


def _compiled(pattern: str, flags: int) -> re.Pattern[str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return re.compile(pattern, flags)


def _re2_options() -> Any:
    options = re2.Options()
    options.log_errors = False
    options.max_mem = 32 << 20
    return options


def _python_flags(flags: str) -> int:
    value = 0
    for letter in flags:
        value |= {"i": re.IGNORECASE, "m": re.MULTILINE, "s": re.DOTALL}[letter]
    return value


_CLASSES = {"d": "0-9", "w": "0-9A-Za-z_", "s": " \\t\\n\\f\\r"}
_OTHERS = {
    "D": r"\x00-/:-\U0010ffff",
    "W": r"\x00-/:-@\x5b-\x5e\x60\x7b-\U0010ffff",
    "S": r"\x00-\x08\x0b\x0e-\x1f!-\U0010ffff",
}
_PIECE = re.compile(r"\\.|\[\^?\]?|.", re.DOTALL)


def as_re2_means(pattern: str, flags: str) -> str:
    """An expression for Python's `re` with the classes of RE2 (ASCII) and its `$` (the very end, without `m`)."""
    out: list[str] = []
    inside = False
    for piece in _PIECE.findall(pattern):
        letter = piece[1:] if piece[0] == "\\" else ""
        if letter.lower() in _CLASSES and letter:
            body = _CLASSES[letter.lower()]
            if inside:
                out.append(body if letter.islower() else _OTHERS[letter])
            else:
                out.append(f"[{'' if letter.islower() else '^'}{body}]")
        elif letter in ("b", "B") and not inside:
            out.append(f"(?a:{piece})")
        elif piece[0] == "[":
            out.append(f"\\{piece}" if inside else piece)
            inside = not (inside and piece[-1] == "]")
        elif piece == "]" and inside:
            inside = False
            out.append(piece)
        elif piece == "$" and not inside and "m" not in flags:
            out.append("\\Z")
        else:
            out.append(piece)
    return "".join(out)


@lru_cache(maxsize=1024)
def _network(text: str) -> Network:
    return ipaddress.ip_network(text, strict=False)


@lru_cache(maxsize=65536)
def address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The IP address a text is; None when it is none. IPv4 mapped into IPv6 counts as IPv4."""
    try:
        found = ipaddress.ip_address(text.strip().strip("[]").partition("%")[0])
    except ValueError:
        return None
    mapped = getattr(found, "ipv4_mapped", None)
    return mapped or found


def in_network(network: str, value: Value) -> bool:
    """Tell whether the value is an address inside the network."""
    if not isinstance(value, str) or len(value) > 80:
        return False
    found = address(value)
    net = _network(network)
    return found is not None and found.version == net.version and found in net


def number(value: Value) -> float | int | None:
    """The number that a value is, or that its text denotes; None when it is none (also for NaN)."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float):
        return value if value == value else None
    if isinstance(value, str) and 0 < len(value) <= 64:
        found = _NUMBER.fullmatch(value.strip())
        if found:
            return float(found[0]) if found[1] or found[2] else int(found[0])
    return None


def compare(test: Compare, value: Value) -> bool:
    """Tell whether all bounds of the test hold for the value."""
    found = _time_part(test.part, value) if test.part else number(value)
    if found is None:
        return False
    return all(_COMPARE[operator](found, bound) for operator, bound in test.bounds)


_COMPARE: dict[str, Callable[[float, float], bool]] = {
    "lt": lambda a, b: a < b,
    "lte": lambda a, b: a <= b,
    "gt": lambda a, b: a > b,
    "gte": lambda a, b: a >= b,
    "eq": lambda a, b: a == b,
}


def _time_part(part: str, value: Value) -> int | None:
    moment = parse_time(value)
    if moment is None:
        return None
    try:
        when = datetime.fromtimestamp(moment / 1_000_000, UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return when.isocalendar().week if part == "week" else int(getattr(when, part))


def refers(test: FieldRef, value: Value, other: Value) -> bool:
    """Tell whether a field reference holds between two values."""
    if type(value) is str and type(other) is str and test.how == "equals" and not test.cased:
        return value == other or value.lower() == other.lower()
    if value is MISSING or other is MISSING:
        return False
    mine = [text for text in map(value_text, elements(value)) if text is not None]
    theirs = [text for text in map(value_text, elements(other)) if text is not None]
    if not test.cased:
        mine = [text.lower() for text in mine]
        theirs = [text.lower() for text in theirs]
    relation = _RELATIONS[test.how]
    return any(relation(a, b) for a in mine for b in theirs)


_RELATIONS: dict[str, Callable[[str, str], bool]] = {
    "equals": lambda a, b: a == b,
    "contains": lambda a, b: b in a,
    "startswith": lambda a, b: a.startswith(b),
    "endswith": lambda a, b: a.endswith(b),
}
