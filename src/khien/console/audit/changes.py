"""Before and after as what changed."""

from __future__ import annotations

import difflib
import json
import re
from dataclasses import dataclass
from typing import Any

_LONG = 40
_WORDS = re.compile(r"\s+|\w+|[^\w\s]")
Part = tuple[str, str]
"""`same`, `gone` or `new`, and the text."""


@dataclass(frozen=True, slots=True)
class Change:
    """A field before and after, each in parts; `kind`: `added`, `removed`, `changed` or `same`."""

    name: str
    kind: str
    before: list[Part]
    after: list[Part]


def changes(before: dict[str, Any] | None, after: dict[str, Any] | None) -> list[Change]:
    """Each field that stands in one of them, in order."""
    old, new = before or {}, after or {}
    return [_change(name, old, new) for name in dict.fromkeys([*old, *new])]


def _change(name: str, old: dict[str, Any], new: dict[str, Any]) -> Change:
    if name not in new:
        return Change(name, "removed", [("gone", _text(old[name]))], [])
    if name not in old:
        return Change(name, "added", [], [("new", _text(new[name]))])
    one, two = _text(old[name]), _text(new[name])
    if one == two:
        return Change(name, "same", [("same", one)], [("same", two)])
    if len(one) < _LONG or len(two) < _LONG or len(one) + len(two) > 20_000:
        return Change(name, "changed", [("gone", one)], [("new", two)])
    left, right = _WORDS.findall(one), _WORDS.findall(two)
    gone: list[Part] = []
    came: list[Part] = []
    for tag, i1, i2, j1, j2 in difflib.SequenceMatcher(None, left, right, autojunk=False).get_opcodes():
        if i2 > i1:
            gone.append(("same" if tag == "equal" else "gone", "".join(left[i1:i2])))
        if j2 > j1:
            came.append(("same" if tag == "equal" else "new", "".join(right[j1:j2])))
    return Change(name, "changed", gone, came)


def _text(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, indent=2 if isinstance(value, (dict, list)) and value else None)
