"""The ways in which a log may spell a text: Base64, UTF-16, and composed or decomposed letters."""

from __future__ import annotations

import unicodedata
from base64 import b64encode

from khien.rules import patterns
from khien.rules.model import Parts

WIDE = {"wide": "utf-16-le", "utf16le": "utf-16-le", "utf16be": "utf-16-be", "utf16": "utf-16"}
_TONES = frozenset("\u0300\u0301\u0303\u0309\u0323")


def widened(text: str, encoding: str) -> str:
    """The bytes of the encoded text, one character a byte (U+0000 to U+00FF)."""
    data = text.encode("utf-16-le" if encoding == "utf-16" else encoding, "surrogatepass")
    return ((b"\xff\xfe" if encoding == "utf-16" else b"") + data).decode("latin-1")


def base64_text(data: bytes) -> str:
    """The Base64 text of the data."""
    return b64encode(data).decode()


def base64_offsets(data: bytes) -> list[str]:
    """The Base64 texts of data at the three places it can have in a longer text, cut to sure letters."""
    found = []
    for offset in range(3):
        text = b64encode(b" " * offset + data).decode()
        end = {0: None, 1: -3, 2: -2}[(len(data) + offset) % 3]
        found.append(text[(0, 2, 3)[offset] : end])
    return [text for text in dict.fromkeys(found) if text]


def letter_forms(parts: Parts) -> list[Parts]:
    """The pattern as written, composed, decomposed, and as Vietnamese keyboards of Windows write it.

    The letter ế is one character composed; e, circumflex and acute decomposed; and ê and acute
    from those keyboards. All are the same letter to a reader, and logs hold each of them.
    """
    if not any(isinstance(part, str) and _has_marks(part) for part in parts):
        return [parts]
    forms = [
        patterns.normal(part if isinstance(part, int) else form(part) for part in parts)
        for form in (_composed, _decomposed, _typed)
    ]
    return list(dict.fromkeys([parts, *forms]))


def _has_marks(text: str) -> bool:
    return not text.isascii() and any(map(unicodedata.combining, unicodedata.normalize("NFD", text)))


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def _decomposed(text: str) -> str:
    return unicodedata.normalize("NFD", text)


def _typed(text: str) -> str:
    out = []
    for letter in unicodedata.normalize("NFC", text):
        marks = unicodedata.normalize("NFD", letter)
        tones = "".join(mark for mark in marks if mark in _TONES)
        rest = "".join(mark for mark in marks if mark not in _TONES)
        out.append(unicodedata.normalize("NFC", rest) + tones)
    return "".join(out)
