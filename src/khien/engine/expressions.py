"""Many regular expressions over one text at once, to find out which are worth a closer look."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

import hyperscan

from khien.engine.values import is_linear
from khien.rules.model import ANY, DASH, STAR, Keyword, KeywordRegex, Regex, Text

_FLAGS = {
    "i": hyperscan.HS_FLAG_CASELESS,
    "m": hyperscan.HS_FLAG_MULTILINE,
    "s": hyperscan.HS_FLAG_DOTALL,
}
_ALWAYS = (
    hyperscan.HS_FLAG_UTF8 | hyperscan.HS_FLAG_PREFILTER | hyperscan.HS_FLAG_SINGLEMATCH | hyperscan.HS_FLAG_ALLOWEMPTY
)


class Suspects:
    """Finds the expressions that may match a text: never fewer than do, sometimes more.

    Hyperscan's prefilter mode reports a superset of the true matches; what it cannot compile at
    all is in `unscanned` and must always be checked.
    """

    def __init__(self, tests: tuple[Regex | KeywordRegex, ...]) -> None:
        scanned = [
            (at, test.pattern.encode(), _ALWAYS | sum(_FLAGS[letter] for letter in test.flags))
            for at, test in enumerate(tests)
        ]
        self._found: list[int] = []
        self._scan: Any = None
        database = _compile(scanned)
        if database is None:  # some expression is too much for it: find out which
            scanned = [each for each in scanned if _compile([each]) is not None]
            database = _compile(scanned)
        if database is not None:
            self._scan = database.scan
        known = {at for at, _, _ in scanned} if database is not None else set()
        self.unscanned = [at for at in range(len(tests)) if at not in known]

    def find(self, text: str) -> list[int]:
        """Positions in `tests` of the expressions that may match the text."""
        if self._scan is None:
            return self.unscanned
        self._found = []
        self._scan(text.encode("utf-8", "replace"), match_event_handler=self._take)
        return self._found + self.unscanned

    def _take(self, at: int, start: int, end: int, flags: int, context: Any) -> None:
        self._found.append(at)


def _compile(scanned: list[tuple[int, bytes, int]]) -> Any:
    if not scanned:
        return None
    database = hyperscan.Database()
    try:
        database.compile(
            expressions=[pattern for _, pattern, _ in scanned],
            ids=[at for at, _, _ in scanned],
            elements=len(scanned),
            flags=[flags for _, _, flags in scanned],
        )
    except (hyperscan.error, ValueError):
        return None
    return database


_CLASS = re.compile(r"\[\^?\]?(?:\\.|\[:\^?\w+:\]|[^\]\\])*\]", re.DOTALL)


def portable(test: Text | Keyword | Regex | KeywordRegex) -> str | None:
    """The test as an expression of the scanning core, with the same meaning for ASCII texts; None where there is none.

    Its syntax is RE2's but for set notation in classes, `{,n}`, and what RE2 itself refuses. (Its white space
    has the vertical tab too: the core leaves texts with one to Python.)
    """
    if isinstance(test, Text | Keyword):
        return _glob(test)
    pattern = test.pattern
    if not pattern.isascii() or "{," in pattern or not is_linear(test.pattern, test.flags):
        return None
    for found in _CLASS.findall(pattern):
        inner = re.sub(r"\\.|\[:\^?\w+:\]", "", found[1:], flags=re.DOTALL)
        if "[" in inner or any(operator in inner for operator in ("&&", "--", "~~")):
            return None
    return f"(?{test.flags}){pattern}" if test.flags else pattern


def _glob(test: Text | Keyword) -> str | None:
    if not all(part.isascii() for part in test.parts if isinstance(part, str)):
        return None
    pieces = {STAR: ".*", ANY: ".", DASH: "[-/]"}
    body = "".join(pieces[part] if isinstance(part, int) else re.escape(part) for part in test.parts)
    flags = "s" if test.cased else "is"
    return f"(?{flags}){body}" if isinstance(test, Keyword) else rf"(?{flags})\A{body}\z"


@lru_cache(maxsize=256)
def suspects(tests: tuple[Regex | KeywordRegex, ...]) -> Suspects:
    """The compiled scan of these expressions; compiled once a process."""
    return Suspects(tests)
