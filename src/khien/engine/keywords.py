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
# How JSON text may hide a keyword: a safe character escaped by number, or a letter outside ASCII whose
# lower case is (or begins with) an ASCII one, as it is or escaped.
_ESCAPE = rb"\\u00"
_ODD = (_ESCAPE, rb"\\u212a", rb"\\u212A", rb"\\u0130", rb"\xe2\x84\xaa", rb"\xc4\xb0")
_SAFE_CODES = frozenset(
    code.encode() for char in range(128) if _SAFE.fullmatch(chr(char)) for code in (f"{char:02x}", f"{char:02X}")
)


class KeywordFinder:
    """Finds possible keywords in JSON bytes: never fewer than there are."""

    def __init__(self) -> None:
        self._keywords: frozenset[Keyword | KeywordRegex] = frozenset()
        self._scan: Any = None
        self._everywhere = False
        self._found: list[int] = []
        self._data = b""

    def find(self, keywords: frozenset[Keyword | KeywordRegex], data: bytes) -> Sequence[int] | None:
        """Offsets at which a keyword (or an odd character) ends; None when it may be anywhere."""
        if not keywords <= self._keywords:
            self._compile(self._keywords | keywords)
        if self._everywhere:
            return None
        self._found, self._data = [], data
        self._scan(data, match_event_handler=self._take)
        self._data = b""
        return self._found

    def _take(self, number: int, start: int, end: int, flags: int, context: Any) -> None:
        if number or self._data[end : end + 2] in _SAFE_CODES:
            self._found.append(end - 1)

    def _compile(self, keywords: frozenset[Keyword | KeywordRegex]) -> None:
        self._keywords = keywords
        pieces = {_safe_piece(keyword) for keyword in keywords}
        if None in pieces:
            self._everywhere = True
            return
        plain = [re.escape(piece).encode() for piece in sorted(filter(None, pieces))]
        patterns = [*_ODD, *plain]
        database = hyperscan.Database()
        database.compile(
            expressions=patterns,
            ids=list(range(len(patterns))),
            elements=len(patterns),
            flags=[0] * len(_ODD) + [hyperscan.HS_FLAG_CASELESS] * len(plain),
        )
        self._scan = database.scan


def _safe_piece(keyword: Keyword | KeywordRegex) -> str | None:
    """The longest piece of a keyword that its JSON text holds as it is; None when there is none."""
    if isinstance(keyword, KeywordRegex):
        return None
    runs = [run for part in keyword.parts if isinstance(part, str) for run in _SAFE.findall(part)]
    best = max(runs, key=len, default="")
    return best.lower() if len(best) >= _SHORTEST else None
