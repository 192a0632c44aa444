"""Literals that a text must hold for a pattern to match it: what the scan looks for first."""

from __future__ import annotations

import re
import warnings
from functools import lru_cache
from typing import Any

from khien.rules.model import STAR, Parts
from khien.rules.patterns import expand_dashes, normal

try:  # the parser of regular expressions moved in Python 3.11
    import re._constants as _constants  # type: ignore[import-not-found]
    import re._parser as _parser  # type: ignore[import-not-found]
except ImportError:  # pragma: no cover
    import sre_constants as _constants
    import sre_parse as _parser

START = "\x02"
END = "\x03"
_MOST_CHOICES = 64
_SHORTEST = 2  # shorter literals occur in nearly every text


@lru_cache(maxsize=65_536)
def needles(parts: Parts) -> tuple[list[str], bool] | None:
    """What to look for in START + lower-cased text + END to find the pattern.

    Gives (needles, exact): the pattern matches only texts that hold one of the needles, and if
    exact, all of them. None when there is nothing to look for (`?*`), so every text must be checked.
    """
    if any(isinstance(part, str) and (START in part or END in part) for part in parts):
        return None
    if len(parts) == 3 and parts[0] == parts[2] == STAR and isinstance(parts[1], str):  # most are of this form
        return [parts[1].lower()], True
    found: list[str] = []
    exact = True
    for choice in expand_dashes(parts):
        one = _needle(choice)
        if one is None:
            return None
        found.append(one[0])
        exact &= one[1]
    return list(dict.fromkeys(found)), exact


def _needle(parts: Parts) -> tuple[str, bool] | None:
    parts = normal(part.lower() if isinstance(part, str) else part for part in parts)
    marked: list[str | int] = [START, *parts, END]
    if parts[:1] == (STAR,):
        marked = marked[2:]
    if parts and parts[-1] == STAR:
        marked = marked[:-2]
    joined = normal(marked)
    if not joined:
        return None
    literals = [part for part in joined if isinstance(part, str)]
    best = max(literals, key=lambda text: len(text.strip(START + END)), default="")
    if not best or best in (START, END):
        return None
    return best, len(joined) == 1


def parsed(pattern: str) -> Any:
    """The parse tree of an expression; what Python warns of (nested sets to come) does not concern rules."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return _parser.parse(pattern)


@lru_cache(maxsize=8_192)
def regex_literals(pattern: str, flags: str) -> list[str] | None:
    """Lower-case texts of which every match of the expression holds at least one.

    None when no useful ones are known; then every text must be checked. Letters outside ASCII are
    not used where the expression ignores case, since engines fold them in different ways.
    """
    try:
        tree = parsed(pattern)
    except (re.error, RecursionError, OverflowError):
        return None
    ignore_case = "i" in flags or bool(tree.state.flags & re.IGNORECASE) or "(?i" in pattern
    choices = _required(tree, ignore_case)
    if not choices or any(len(text) < _SHORTEST for text in choices):
        return None
    return sorted({text.lower() for text in choices})


def _required(tree: object, ignore_case: bool) -> list[str] | None:
    """The best set of alternatives that a sequence requires: the one whose shortest is longest."""
    best: list[str] | None = None
    run = ""

    def offer(choices: list[str] | None) -> None:
        nonlocal best
        if choices and (best is None or _worth(choices) > _worth(best)):
            best = choices

    for operator, argument in tree:  # type: ignore[attr-defined]
        letter = _letter(operator, argument, ignore_case)
        if letter:
            run += letter
            continue
        offer([run] if run else None)
        run = ""
        if operator is _constants.SUBPATTERN:
            add, remove = argument[1], argument[2]
            inner = ignore_case or bool(add & re.IGNORECASE)
            offer(_required(argument[3], inner) if not remove & re.IGNORECASE else _required(argument[3], True))
        elif operator is _constants.BRANCH:
            offer(_branch(argument[1], ignore_case))
        elif operator in (
            _constants.MAX_REPEAT,
            _constants.MIN_REPEAT,
            getattr(_constants, "POSSESSIVE_REPEAT", None),
        ):
            if argument[0] >= 1:
                offer(_required(argument[2], ignore_case))
        elif operator is getattr(_constants, "ATOMIC_GROUP", None):
            offer(_required(argument, ignore_case))
    offer([run] if run else None)
    return best


def _branch(branches: list[object], ignore_case: bool) -> list[str] | None:
    found: list[str] = []
    for branch in branches:
        inner = _required(branch, ignore_case)
        if inner is None or len(found) > _MOST_CHOICES:
            return None
        found += inner
    return found


def _letter(operator: object, argument: Any, ignore_case: bool) -> str:
    """The lower-case character that an element stands for ("" for none): `a`, or both cases as `[aA]`."""
    if operator is _constants.LITERAL:
        return chr(argument) if _usable(argument, ignore_case) else ""
    if operator is _constants.IN and len(argument) == 2:
        codes = [code for kind, code in argument if kind is _constants.LITERAL and code < 128]
        letters = {chr(code).lower() for code in codes}
        if len(codes) == 2 and len(letters) == 1 and all(_usable(code, ignore_case) for code in codes):
            return letters.pop()
    return ""


def _usable(code: int, ignore_case: bool) -> bool:
    char = chr(code)
    if char in (START, END):
        return False
    if code < 128:
        # Under case folding s has a partner that is not its lower case (the long s).
        return not (ignore_case and char in "sS")
    return not ignore_case and char.lower() == char and len(char.lower()) == 1


def _worth(choices: list[str]) -> int:
    return min(len(text) for text in choices)


def least_length(pattern: str) -> int:
    """The length of the shortest text the expression can match, in characters."""
    try:
        return int(parsed(pattern).getwidth()[0])
    except (re.error, RecursionError, OverflowError):
        return 0


def is_cheap(pattern: str) -> bool:
    """Whether backtracking takes at most quadratic time and ASCII texts mean the same to RE2 and `re`.

    True for ASCII expressions with at most one unbounded repeat, none of them nested, and without
    `$`, look-around, back-references or flags inside.
    """
    if not pattern.isascii() or "(?" in pattern.replace("(?:", "") or "\\v" in pattern:
        return False
    try:
        tree = parsed(pattern)
    except (re.error, RecursionError, OverflowError):
        return False
    repeats = _repeats(tree)
    return repeats is not None and repeats <= 1


def _repeats(tree: Any) -> int | None:
    """How many unbounded (or long) repeats there are; None where something is not cheap at all."""
    total = 0
    for operator, argument in tree:
        inner: list[Any] = []
        if operator in (_constants.MAX_REPEAT, _constants.MIN_REPEAT):
            within = _repeats(argument[2])
            if within is None or (within and argument[1] != 1):
                return None
            total += within + (argument[1] == _constants.MAXREPEAT or argument[1] > 16)
        elif operator is _constants.SUBPATTERN:
            inner = [argument[3]]
        elif operator is _constants.BRANCH:
            inner = argument[1]
        elif operator is _constants.AT:
            if argument is _constants.AT_END:
                return None
        elif operator not in (_constants.LITERAL, _constants.NOT_LITERAL, _constants.ANY, _constants.IN):
            return None
        for branch in inner:
            within = _repeats(branch)
            if within is None:
                return None
            total += within
    return total
