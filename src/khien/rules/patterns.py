"""Sigma strings: text with wildcards, escapes and placeholders, as parts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from math import prod

from khien.errors import RuleError
from khien.rules.model import ANY, DASH, DASHES, STAR, Parts

_WILDCARDS = {"*": STAR, "?": ANY}
_WILDCARD_TEXT = {STAR: "*", ANY: "?", DASH: "-"}
_PLACEHOLDER = re.compile(r"(?<!\\)%([\w\-.:]+)%")
_DASH = re.compile(rf"\B[{re.escape(DASHES)}]\b")

_MOST_EXPANSIONS = 20_000

Values = Mapping[str, Sequence[str | int | float]]


class Placeholders:
    """The given values of placeholders, and the names that one rule asked for in vain."""

    def __init__(self, values: Values) -> None:
        self.values = values
        self.missing: set[str] = set()


def parse_text(text: str) -> Parts:
    r"""Parse a Sigma string: `*` and `?` are wildcards, `\*`, `\?` and `\\` stand for themselves.

    A backslash before any other character is a plain backslash.
    """
    if "*" not in text and "?" not in text and "\\" not in text:
        return (text,) if text else ()
    parts: list[str | int] = []
    plain: list[str] = []
    escaped = False
    for char in text:
        if escaped:
            if char not in "*?\\":
                plain.append("\\")
            plain.append(char)
            escaped = False
        elif char == "\\":
            escaped = True
        elif char in _WILDCARDS:
            if plain:
                parts.append("".join(plain))
                plain = []
            parts.append(_WILDCARDS[char])
        else:
            plain.append(char)
    if escaped:
        plain.append("\\")
    if plain:
        parts.append("".join(plain))
    return normal(parts)


def normal(parts: Iterable[str | int]) -> Parts:
    """Join neighbouring literals and neighbouring stars."""
    out: list[str | int] = []
    for part in parts:
        if part == "":
            continue
        if out and isinstance(part, str) and isinstance(out[-1], str):
            out[-1] += part
        elif not (part == STAR and out and out[-1] == STAR):
            out.append(part)
    return tuple(out)


def plain_text(parts: Parts) -> str | None:
    """The text of parts without wildcards; None when there are any."""
    if not parts:
        return ""
    return parts[0] if len(parts) == 1 and isinstance(parts[0], str) else None


def show(parts: Parts) -> str:
    r"""Write parts as a Sigma string again, with `\` before what would be read as a wildcard."""
    out = []
    for part in parts:
        if isinstance(part, int):
            out.append(_WILDCARD_TEXT[part])
        else:
            out.append(re.sub(r"([*?])", r"\\\1", part))
    return "".join(out)


def contains(parts: Parts) -> Parts:
    """Match the pattern anywhere in a value."""
    return normal((STAR, *parts, STAR))


def startswith(parts: Parts) -> Parts:
    """Match the pattern at the beginning of a value."""
    return normal((*parts, STAR))


def endswith(parts: Parts) -> Parts:
    """Match the pattern at the end of a value."""
    return normal((STAR, *parts))


def windash(parts: Parts) -> Parts:
    """Let every dash or slash that begins a word stand for any dash of `DASHES`."""
    # One text for the word boundaries: wildcards do not belong to words.
    out: list[str | int] = []
    for at, part in enumerate(parts):
        if isinstance(part, int):
            out.append(part)
            continue
        before = "\x00" if at else ""
        after = "\x00" if at + 1 < len(parts) else ""
        text = before + part + after
        last = len(before)
        for found in _DASH.finditer(text):
            out.append(text[last : found.start()])
            out.append(DASH)
            last = found.end()
        out.append(text[last : len(before) + len(part)])
    return normal(out)


def expand_placeholders(text: str, given: Placeholders) -> list[Parts]:
    r"""Replace `%name%` by each of the given values; several names multiply. `\%` is a plain `%`.

    Values are Sigma strings and may hold wildcards. A name that is not given is remembered in
    `given.missing` and has no values, so the result is empty.
    """
    pieces = _pieces(text, given)
    choices = [
        [parse_text(piece.replace("\\%", "%"))] if values is None else [parse_text(str(value)) for value in values]
        for piece, values in pieces
    ]
    return [normal(part for parts in chosen for part in parts) for chosen in product(*choices)]


def expand_in_regex(pattern: str, given: Placeholders) -> list[str]:
    """Like `expand_placeholders` in a regular expression; a value stands for its own text there."""
    pieces = _pieces(pattern, given)
    choices = [
        [piece] if values is None else [_as_regex(parse_text(str(value))) for value in values]
        for piece, values in pieces
    ]
    return ["".join(chosen) for chosen in product(*choices)]


def _pieces(text: str, given: Placeholders) -> list[tuple[str, Sequence[str | int | float] | None]]:
    """Plain pieces (with None) and placeholders (with their values) in turn."""
    split = _PLACEHOLDER.split(text)
    given.missing.update(name for name in split[1::2] if name not in given.values)
    pieces = [(piece, given.values.get(piece, ()) if at % 2 else None) for at, piece in enumerate(split)]
    if prod(len(values) for _, values in pieces if values is not None) > _MOST_EXPANSIONS:
        raise RuleError(f"the placeholders in '{text[:80]}' stand for more than {_MOST_EXPANSIONS} values together")
    return pieces


def _as_regex(parts: Parts) -> str:
    return "".join(re.escape(p) if isinstance(p, str) else {STAR: "(?:.*)", ANY: "."}.get(p, "") for p in parts)


def expand_dashes(parts: Parts, most: int = 25) -> list[Parts]:
    """All texts that DASH tokens can stand for, or the parts as they are where there are more."""
    dashes = sum(part == DASH for part in parts)
    if not dashes or len(DASHES) ** dashes > most:
        return [parts]
    return [normal(chosen) for chosen in product(*(tuple(DASHES) if p == DASH else (p,) for p in parts))]
