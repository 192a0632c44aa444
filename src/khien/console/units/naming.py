"""Vietnamese names: compared without marks and case, and made into codes."""

from __future__ import annotations

import re
import unicodedata

_D = str.maketrans("đĐ", "dD")


def fold(text: str) -> str:
    """Lower case without marks: "Sở Y tế" and "so y te" are the same."""
    plain = unicodedata.normalize("NFD", text.translate(_D))
    return "".join(letter for letter in plain if not unicodedata.combining(letter)).casefold()


def code_of(name: str) -> str:
    """A code made of a name: "Sở Y tế" is so-y-te."""
    return re.sub(r"[^a-z0-9]+", "-", fold(name)).strip("-")[:60]


def words_of(text: str) -> list[str]:
    """The folded words of what somebody searches."""
    return fold(text[:200]).split()[:8]
