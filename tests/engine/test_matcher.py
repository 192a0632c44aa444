"""Signatures of values: the same by every way, and bounded in memory however many there are."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khien.engine import matcher
from khien.engine.matcher import NOTHING, Matcher, Signatures
from khien.events.batch import MISSING
from khien.rules.model import ANY, STAR, Exists, Null, Regex, Test, Text

TESTS: tuple[Test, ...] = (
    Text("f", (STAR, "whoami", STAR)),
    Text("f", (STAR, "\\cmd.exe")),
    Text("f", ("c:\\", STAR)),
    Text("f", ("x",)),
    Text("f", (STAR, "A", STAR), cased=True),
    Text("f", (STAR, "net", STAR, "user", STAR)),
    Text("f", (ANY, STAR, "z")),
    Regex("f", r"\s-k\s", ""),
    Regex("f", r"\d{3}", ""),
    Regex("f", r"(?:a|b)+c$", "i"),
    Regex("f", r"[^ ]{64}", ""),
    Null("f"),
    Exists("f"),
)
texts = st.one_of(
    st.text(alphabet='whoamiCMD.ex\\:x A-k netuserz123abc "\n\té\x0b\x02/', max_size=90),
    st.sampled_from(["", "x", "X", "net  user", "a -k b", "C:\\cmd.exe", "b" * 70]),
)
values = st.one_of(texts, st.integers(), st.none(), st.booleans(), st.lists(texts, max_size=3))


@given(st.lists(values, max_size=12), st.booleans())
def test_a_raw_value_has_the_signature_of_the_decoded_one(many: list[object], escaped: bool) -> None:
    signatures = Signatures(Matcher(enumerate(TESTS)))
    for value in [*many, *many]:
        raw = json.dumps(value, ensure_ascii=escaped).encode()
        assert signatures.column.signature(raw) == signatures.of(value)


def test_signatures_tell_which_tests_a_value_passes() -> None:
    signatures = Signatures(Matcher(enumerate(TESTS)))
    assert signatures.sets[signatures.of("C:\\Windows\\cmd.exe")] == {1, 2, 12}
    assert signatures.sets[signatures.of(MISSING)] == {11}
    assert signatures.sets[signatures.of(None)] == {11, 12}


def test_sets_without_end_are_forgotten_but_never_mistaken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matcher, "_MOST_SETS", 50)
    words = [f"word{number:02d}" for number in range(40)]
    signatures = Signatures(Matcher(enumerate(Text("f", (STAR, word, STAR)) for word in words)))
    given_to: dict[int, frozenset[int]] = {}
    for at in range(2_000):
        chosen = frozenset({at % 40, at // 40 % 40, at // 7 % 40})
        text = " ".join(words[number] for number in sorted(chosen))
        raw = json.dumps(text).encode()
        number = signatures.column.signature(raw) if at % 3 else signatures.of(text)
        assert signatures.sets[number] == chosen
        assert given_to.setdefault(number, chosen) == chosen
        assert signatures.column.signature(raw) == signatures.of(text)
        assert len(signatures.sets) <= 2 * 50 + 2
    assert len(given_to) > 200
    assert signatures.sets[signatures.nothing] == NOTHING
    assert signatures.column.signature(b'"none of them"') == signatures.nothing
    assert signatures.sets[signatures.missing] == frozenset()


@pytest.mark.parametrize("literal", ["\x03", "\x02", "a\x03", "\x02a", "\x02\x03"])
def test_the_marks_of_a_texts_ends_are_no_texts(literal: str) -> None:
    tests = dict(enumerate([Text("f", (STAR, literal, STAR)), Text("f", (STAR, literal)), Text("f", (literal, STAR))]))
    made = Matcher(tests.items())
    for text in ("", "a", "aa", "xa", "ax", literal, f"x{literal}", f"{literal}x"):
        expected = {0: literal in text, 1: text.endswith(literal), 2: text.startswith(literal)}
        assert made.match(text) == {number for number, holds in expected.items() if holds}
        column = Signatures(made)
        assert column.sets[column.column.signature(json.dumps(text).encode())] == made.match(text)
