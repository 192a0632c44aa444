"""How long text is in bold Times New Roman, for the rules drawn under it."""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from importlib.resources import files

import yaml

_MILLIMETRES = 25.4 / 72


def text_width(text: str, size: float) -> float:
    """The width of a line in millimetres at a size in points; of several lines the widest."""
    return max(sum(map(_width, line)) for line in text.split("\n")) * size / 1000 * _MILLIMETRES


def rule_width(text: str, size: float, share: float, available: float) -> float:
    """The length in millimetres of a rule of `share` of the text's width; text wider than `available` is wrapped."""
    return min(text_width(text, size), available) * share


def balanced(text: str, size: float, available: float) -> str:
    """Text broken into two lines of about the same width, where one does not hold it, two do, and nobody broke it."""
    words = text.split(" ")
    if "\n" in text or len(words) < 2 or not available < text_width(text, size) < available * 1.95:
        return text
    breaks = (f"{' '.join(words[:at])}\n{' '.join(words[at:])}" for at in range(1, len(words)))
    return min(breaks, key=lambda broken: text_width(broken, size))


def _width(character: str) -> int:
    widths = _widths()
    if character in widths:
        return widths[character]
    plain = unicodedata.normalize("NFD", character)[0]
    # NFD takes the horn off as a mark of its own: ơ and ư are wider than o and u.
    horned = "".join(each for each in unicodedata.normalize("NFD", character) if each in f"{plain}\u031b")
    return widths.get(unicodedata.normalize("NFC", horned), widths.get(plain, 600))


@lru_cache
def _widths() -> dict[str, int]:
    raw = yaml.safe_load((files("khien.documents") / "data" / "times_bold.yml").read_text("utf-8"))["widths"]
    return {character: width for width, characters in raw.items() for character in characters}
