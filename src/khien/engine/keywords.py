"""Whether a keyword of some rule may stand in an event, by the JSON text of it.

Rules with keywords look through the whole text of every event of their log source. Over JSON
lines that is avoided: a search through the raw bytes finds the events in which a keyword may occur, and
only those are read whole.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from khien._native import Keywords
from khien.rules.model import Keyword, KeywordRegex

# Characters that JSON writes as themselves, or as escapes by number, which the core looks for.
_SAFE = re.compile(r"[A-Za-z0-9 _.:-]+")
_SHORTEST = 3


def keyword_search(tests: Iterable[Keyword | KeywordRegex]) -> Keywords | None:
    """What finds the events that keywords may match, never fewer than there are; None when any event may."""
    pieces = {_safe_piece(test) for test in tests}
    return None if None in pieces else _search(tuple(sorted(filter(None, pieces))))


@lru_cache(maxsize=256)
def _search(pieces: tuple[str, ...]) -> Keywords:
    return Keywords(pieces)


def _safe_piece(keyword: Keyword | KeywordRegex) -> str | None:
    """The longest piece of a keyword that its JSON text holds as it is; None when there is none."""
    if isinstance(keyword, KeywordRegex):
        return None
    runs = [run for part in keyword.parts if isinstance(part, str) for run in _SAFE.findall(part)]
    best = max(runs, key=len, default="")
    return best.lower() if len(best) >= _SHORTEST else None
