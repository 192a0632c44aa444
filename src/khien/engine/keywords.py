"""Where in a block of JSON text a keyword of some rule may stand.

Rules with keywords look through the whole text of every event of their log source. Over JSON
lines that is avoided: one scan of the raw bytes finds the lines in which a keyword may occur, and
only those are read whole.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import hyperscan

from khien.rules.model import Keyword, KeywordRegex

# Characters that JSON writes as themselves, but for the escapes that `_ODD` finds.
_SAFE = re.compile(r"[A-Za-z0-9 _.:-]+")
_SHORTEST = 3
# An escaped safe character, or a letter outside ASCII whose lower case is (or begins with) an ASCII one.
_ODD = rb"\\u00(?:2[0de]|3[0-9a]|4[1-9a-f]|5[0-9af]|6[1-9a-f]|7[0-9a])|\\u212a|\\u0130|\xe2\x84\xaa|\xc4\xb0"


class KeywordFinder:
    """Finds possible keywords in JSON bytes: never fewer than there are."""

    def __init__(self) -> None:
        self._keywords: frozenset[Keyword | KeywordRegex] = frozenset()
        self._scan: Any = None
        self._everywhere = False
        self._found: list[int] = []

    def find(self, keywords: frozenset[Keyword | KeywordRegex], data: bytes) -> Sequence[int] | None:
        """Offsets at which a keyword (or an odd character) ends; None when it may be anywhere."""
        if not keywords <= self._keywords:
            self._compile(self._keywords | keywords)
        if self._everywhere:
            return None
        self._found = []
        self._scan(data, match_event_handler=self._take)
        return self._found

    def _take(self, number: int, start: int, end: int, flags: int, context: Any) -> None:
        self._found.append(end - 1)

    def _compile(self, keywords: frozenset[Keyword | KeywordRegex]) -> None:
        self._keywords = keywords
        pieces = {_safe_piece(keyword) for keyword in keywords}
        if None in pieces:
            self._everywhere = True
            return
        patterns = [_ODD, *(re.escape(piece).encode() for piece in sorted(filter(None, pieces)))]
        database = hyperscan.Database()
        database.compile(
            expressions=patterns,
            ids=list(range(len(patterns))),
            elements=len(patterns),
            flags=[hyperscan.HS_FLAG_CASELESS] * len(patterns),
        )
        self._scan = database.scan


def _safe_piece(keyword: Keyword | KeywordRegex) -> str | None:
    """The longest piece of a keyword that its JSON text holds as it is; None when there is none."""
    if isinstance(keyword, KeywordRegex):
        return None
    runs = [run for part in keyword.parts if isinstance(part, str) for run in _SAFE.findall(part)]
    best = max(runs, key=len, default="")
    return best.lower() if len(best) >= _SHORTEST else None
