"""What a browser sends as an id."""

from __future__ import annotations

_DIGITS = 18
"""As many fit every column of ids."""


def whole(text: str | None) -> int | None:
    """An id or number from an address or a form; None for what is none, and for one that fits no column."""
    said = (text or "").strip()
    return int(said) if said.isascii() and said.isdigit() and len(said) <= _DIGITS else None
