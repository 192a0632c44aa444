"""Which part of a value a pattern matched, and values from events as text that is safe to show.

Events are hostile: nothing of them becomes markup, and characters that would change how a line is read are shown
as signs of their own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import re2
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from khien.events.batch import Value
from khien.findings.finding import shown

Spans = list[tuple[int, int]]
_ESCAPED = re.compile(r"\\([*?\\])")
_REGEX = re.compile(r"/(.*)/([ims]*)\Z", re.DOTALL)
_HELD = "\ue000"
_LONGEST_SEARCHED = 200_000
_MOST_MARKS = 200
_BIDI = [0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A), 0xFEFF]
_SIGNS = (
    {code: 0x2400 + code for code in range(32) if code not in (9, 10)}
    | {0x7F: 0x2421}
    | dict.fromkeys([*range(0x80, 0xA0), *_BIDI, *range(0xD800, 0xE000)], 0xFFFD)
)


def printable(text: str) -> str:
    """The text with control, direction and broken characters as visible signs, of the same length."""
    return text.translate(_SIGNS)


def value_shown(value: Value) -> str:
    """A value as text: a text as it is, anything else as JSON."""
    try:
        return shown(value)
    except (TypeError, ValueError, RecursionError):
        return str(value)


def spans(text: str, pattern: str, *, whole: bool = True) -> Spans:
    """Where a pattern, as findings show it, lies in a text.

    `whole`: mark all of a short text where the pattern does not say which part (numbers, networks, field tests).
    """
    if len(text) > _LONGEST_SEARCHED:
        text = text[:_LONGEST_SEARCHED]
    found = _by_regex(text, pattern)
    if not found:
        found = _by_literals(text, pattern)
    if not found and whole and text and len(text) <= 200:
        found = [(0, len(text))]
    return found


def _by_regex(text: str, pattern: str) -> Spans:
    parts = _REGEX.match(pattern)
    if not parts or not parts[1]:
        return []
    options = re2.Options()
    options.log_errors = False
    options.case_sensitive = "i" not in parts[2]
    options.dot_nl = "s" in parts[2]
    try:
        matches = re2.compile(parts[1], options).finditer(text)
        found = [match.span() for match, _ in zip(matches, range(_MOST_MARKS), strict=False)]
    except (re2.error, UnicodeEncodeError):
        return []
    return [(start, end) for start, end in found if end > start]


def literals(pattern: str) -> list[str]:
    """The literal pieces of a Sigma pattern in lower case: `*` and `?` stand for anything unless after a backslash."""
    held: list[str] = []

    def hold(match: re.Match[str]) -> str:
        held.append(match[1])
        return _HELD

    pieces = re.split(r"[*?]", _ESCAPED.sub(hold, pattern.replace(_HELD, "")))
    given = iter(held)
    return [piece for each in pieces if (piece := re.sub(_HELD, lambda _: next(given), each).lower())]


def _by_literals(text: str, pattern: str) -> Spans:
    lower = text.lower()
    if len(lower) != len(text):
        return []
    found: Spans = []
    start = 0
    for piece in literals(pattern):
        at = lower.find(piece, start)
        if at < 0:
            return []
        found.append((at, at + len(piece)))
        start = at + len(piece)
    return found


def marked(text: str, places: Iterable[tuple[int, int]], *, most: int = 4_000) -> SafeString:
    """The text, escaped, with its places in `<mark>`; a long text is cut around the first of them."""
    ordered = sorted(places)
    begin = 0
    if len(text) > most and ordered:
        begin = max(0, min(ordered[0][0] - 200, len(text) - most))
    end = min(begin + most, len(text))
    clean = printable(text)
    parts = [format_html("{}", "…" if begin else "")]
    at = begin
    for start, stop in ordered:
        start, stop = max(start, at), min(stop, end)
        if stop > start:
            parts.append(format_html("{}<mark>{}</mark>", clean[at:start], clean[start:stop]))
            at = stop
    parts.append(format_html("{}{}", clean[at:end], "…" if end < len(text) else ""))
    return format_html_join("", "{}", ((part,) for part in parts))


def leaves(event: object, *, most: int = 500, deepest: int = 8) -> tuple[list[tuple[str, Value]], bool]:
    """Dotted names and values of an event, nested ones flattened, and whether there were more than `most`."""
    found: list[tuple[str, Value]] = []
    stack: list[tuple[str, Value, int]] = [("", event, 0)]
    while stack:
        name, value, depth = stack.pop()
        if isinstance(value, dict) and value and depth < deepest:
            stack += [
                (f"{name}.{key}" if name else str(key), inner, depth + 1) for key, inner in reversed(value.items())
            ]
        elif isinstance(value, list) and depth < deepest and any(isinstance(each, dict) for each in value):
            stack += [(f"{name}.{at}", each, depth + 1) for at, each in reversed(list(enumerate(value)))]
        elif len(found) >= most:
            return found, True
        else:
            found.append((name, value))
    return found, False


def merged(places: Sequence[tuple[int, int]]) -> Spans:
    """Places in order, those that touch as one."""
    out: Spans = []
    for start, stop in sorted(places):
        if out and start <= out[-1][1]:
            out[-1] = (out[-1][0], max(out[-1][1], stop))
        else:
            out.append((start, stop))
    return out
