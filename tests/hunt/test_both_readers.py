"""JSON lines go through the native scan, an array of the same objects does not: the findings are the same."""

from __future__ import annotations

import unicodedata
from pathlib import Path
from typing import Any

import orjson
import pytest

from hunt.hunting import event, hunt, load, rule

PATTERNS = [
    "ab+c", "^AB", "b$", "a.b", r"\d{2}", r"\p{Lu}\p{Ll}", r"\x{111}", r"(?-i:a)B", r"b\z", r"\Qa.b\E", "[[:digit:]]x", "(?U)a+b", r"(?P<n>a)b",
    "a(?=b)", r"(.)\1\1", "đ", "[à-ỹ]+", "(?s)a.b", "x{0}y", r"\bab\b", r"[^\x00-\x7f]", r"\W-\W", "", r"\s$", r"a\n",
]  # fmt: skip
VALUES: list[Any] = [
    "abc", "ABC", "xab", "a\nb", "42", 42, 4.5, "Đà Nẵng", unicodedata.normalize("NFD", "Đà Nẵng"), "đ", "a.b", "5x", "aaab", "ccc", "", None,
    True, ["x", "abc"], {"k": "abc"}, "a\u2028b", "tab\t", "\\", '"ab"', "/ab/", "\x01ab", "😀ab", "İ", "ß", "K", "ſ", "a" * 3000 + "b", "- - -",
]  # fmt: skip
ITEMS: list[dict[str, Any]] = [
    {"V": "abc"}, {"V|contains": "Ab"}, {"V|cased": "ABC"}, {"V": None}, {"V|exists": True}, {"V|exists": False}, {"V": ""}, {"V": 42}, {"V": "4*"},
    {"V|gt": 5}, {"V": {"gte": 4, "lt": 42}}, {"V|neq": "abc"}, {"V": "Đà nẵng"}, {"V|contains": "nẵ"}, {"V": True}, {"V|fieldref": "W"},
    {"V|fieldref|neq": "W"}, {"V|fieldref|contains": "W"}, {"V|windash|contains": "/ "}, {"V|endswith": "b"}, {"V": '"AB"'}, {"V": "\\"}, {"V": "k"},
    {"V.k": "abc"}, {"V": "SS"}, {"V": "?"}, {"V|startswith": "😀"}, {"V": "s"},
]  # fmt: skip


def usable(pattern: str, flags: str) -> dict[str, Any]:
    return {"s": {f"V|re{flags}": pattern}, "condition": "s"}


@pytest.mark.parametrize("flags", ["", "|i", "|m|s"])
def test_both_ways_of_reading_find_the_same(tmp_path: Path, flags: str) -> None:
    rules = load(
        *(rule(f"r{n}", usable(pattern, flags)) for n, pattern in enumerate(PATTERNS)),
        *(rule(f"i{n}", {"s": item, "condition": "s"}) for n, item in enumerate(ITEMS)),
        *(rule(f"n{n}", {"s": item, "condition": "not s"}) for n, item in enumerate(ITEMS)),
        rule("k", {"k": ["nẵng", "a.b"], "condition": "k"}),
    )
    events = [event("x", n, V=value, W="ABC") for n, value in enumerate(VALUES)] + [event("x", 99, W="abc")]
    lines, array = tmp_path / "lines.json", tmp_path / "array.json"
    lines.write_bytes(b"\n".join(orjson.dumps(each) for each in events) + b"\n")
    array.write_bytes(orjson.dumps(events))

    def found(path: Path) -> list[tuple[int, str]]:
        done, tally = hunt(rules, path)
        assert not tally.problems
        return [(finding["record"], finding["rule_id"]) for finding in done.findings]

    assert found(lines) == found(array)
    escaped = tmp_path / "escaped.json"
    escaped.write_bytes(b"\n".join(_escaped(each) for each in events) + b"\n")
    assert found(escaped) == found(array)


def _escaped(event: dict[str, Any]) -> bytes:
    """The same object with every letter that is not ASCII written as an escape."""
    text = orjson.dumps(event).decode()
    return "".join(
        letter
        if letter.isascii()
        else "".join(f"\\u{unit:04x}" for unit in memoryview(letter.encode("utf-16-le")).cast("H"))
        for letter in text
    ).encode()
