"""Many regular expressions over one text at once, to find out which are worth a closer look."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import hyperscan

from khien.rules.model import KeywordRegex, Regex

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


@lru_cache(maxsize=256)
def suspects(tests: tuple[Regex | KeywordRegex, ...]) -> Suspects:
    """The compiled scan of these expressions; compiled once a process."""
    return Suspects(tests)
