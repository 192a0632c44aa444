"""Which format an input is in, told by its first bytes."""

from __future__ import annotations

from functools import lru_cache
from importlib import import_module

from khien.formats.format import Format

MODULES = (
    "evtx",
    "json_records",
    "zeek",
    "auditd",
    "cef",
    "windows_xml",
    "weblog",
    "syslog",
    "keyvalue",
    "csv_records",
    "text_lines",
)


@lru_cache(maxsize=1)
def formats() -> dict[str, Format]:
    """All formats by name, the surest to tell first."""
    found = [import_module(f"khien.formats.{module}").FORMAT for module in MODULES]
    return {known.name: known for known in found}


def sniff(head: bytes) -> Format | None:
    """The format whose own test is surest of these first bytes; None when none is."""
    scored = [(known.sniff(head), known) for known in formats().values()]
    best = max(scored, key=lambda each: each[0])
    return best[1] if best[0] > 0.1 else None
