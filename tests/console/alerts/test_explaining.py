"""Why an alert fired: the tree, the values, and what of hostile events is shown."""

from __future__ import annotations

import json
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flow.live_service import BRUTE, FAILED, WHOAMI
from khien.console.alerts.exception_drafts import escaped
from khien.console.alerts.explaining import correlation_facts, explain
from khien.console.alerts.highlighting import leaves, marked, merged, printable, spans
from khien.console.alerts.rule_index import KnownRule, RuleIndex, known_rule
from khien.rules.collection import load_sources
from khien.rules.model import Correlation
from khien.rules.patterns import parse_text

WHOAMI_ID = "3f0b3c56-7a51-4a5c-9d0b-a3a0f1c0de01"
BRUTE_ID = "3f0b3c56-7a51-4a5c-9d0b-a3a0f1c0de03"
EVENT = {
    "EventID": 1,
    "Channel": "Microsoft-Windows-Sysmon/Operational",
    "Computer": "PC-01",
    "Image": "C:\\Windows\\System32\\whoami.exe",
    "CommandLine": "whoami /all",
}
MATCHED = [{"field": "Image", "value": EVENT["Image"], "pattern": "*\\\\whoami.exe"}]


@pytest.fixture
def whoami() -> KnownRule:
    known = known_rule(load_sources([("whoami.yml", WHOAMI.encode())], {}), WHOAMI_ID)
    assert known is not None
    return known


def record(**event: Any) -> dict[str, Any]:
    return {"event": {**EVENT, **event}, "matched": MATCHED}


def test_the_condition_is_a_tree_whose_true_branches_are_told(whoami: KnownRule) -> None:
    explained = explain(record(), whoami)
    assert explained.matches is True
    (tree,) = explained.trees
    assert (tree.label, tree.holds) == ("selection", True)
    assert tree.items[0].value == EVENT["Image"]


def test_the_matching_part_of_a_value_is_marked_and_its_field_comes_first(whoami: KnownRule) -> None:
    explained = explain(record(), whoami)
    assert explained.matched[0].shown == "C:\\Windows\\System32<mark>\\whoami.exe</mark>"
    assert explained.fields[0].name == "Image"
    assert [each.matched for each in explained.fields] == [True, False, False, False, False]


def test_a_rule_that_was_changed_since_is_said_no_longer_to_match(whoami: KnownRule) -> None:
    assert explain(record(Image="C:\\other.exe"), whoami).matches is False


def test_a_field_by_another_name_in_the_event_is_marked_there(whoami: KnownRule) -> None:
    event = {"event": {"code": "1", "provider": "Microsoft-Windows-Sysmon"}, "process": {"executable": EVENT["Image"]}}
    explained = explain({"event": event, "matched": MATCHED}, whoami)
    assert [each.name for each in explained.fields if each.matched] == ["process.executable"]


def test_many_alternatives_that_do_not_hold_are_kept_apart() -> None:
    names = ", ".join(f"'\\tool{n}.exe'" for n in range(40))
    rule = WHOAMI.replace("'\\whoami.exe'", f"['\\whoami.exe', {names}]")
    known = known_rule(load_sources([("x.yml", rule.encode())], {}), WHOAMI_ID)
    (tree,) = explain(record(), known).trees
    assert len(tree.items[0].items) == 1
    assert len(tree.items[0].others) == 40


@pytest.mark.parametrize(
    ("text", "pattern", "places"),
    [
        ("powershell.exe -EncodedCommand QQ", "*-enc*", [(15, 19)]),
        ("a*b", "a\\*b", [(0, 3)]),
        ("cmd /c whoami && whoami", "/who(ami)/i", [(7, 13), (17, 23)]),
        ("đường dẫn Whoami", "/whoami/i", [(10, 16)]),
        ("10.0.0.7", "10.0.0.0/8", [(0, 8)]),
        ("x" * 300, "10.0.0.0/8", []),
        ("", "*", []),
    ],
)
def test_patterns_are_found_where_they_matched(text: str, pattern: str, places: list[tuple[int, int]]) -> None:
    assert spans(text, pattern) == places


@given(st.text(max_size=60), st.text(max_size=12))
def test_marking_changes_no_text_and_lets_no_markup_through(text: str, pattern: str) -> None:
    html = marked(text, merged(spans(text, pattern)))
    bare = html.replace("<mark>", "").replace("</mark>", "")
    assert "<" not in bare
    assert ">" not in bare
    assert unescape(bare) == printable(text)


@given(st.text(min_size=1, max_size=40))
def test_an_escaped_text_means_just_itself_in_sigma(text: str) -> None:
    assert parse_text(escaped(text)) == (text,)


HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>\u202egnp.exe\x00\x1b[31m"


@pytest.mark.parametrize(
    "event",
    [
        {HOSTILE: HOSTILE, "nested": {HOSTILE: [HOSTILE, {HOSTILE: None}]}},
        {"null": None, "list": [], "map": {}, "number": 1e308, "yes": True, "": ""},
        {"huge": "A" * 2_000_000},
        {"many": {str(n): n for n in range(5_000)}},
        {f"long {n}": "<" * 60_000 for n in range(100)},
        {"broken": "\ud800 half"},
        json.loads('{"a":' * 60 + "1" + "}" * 60),
        ["no", "map"],
        None,
    ],
)
def test_no_event_breaks_the_explanation_or_becomes_markup(event: Any, whoami: KnownRule) -> None:
    matched = [
        {"field": HOSTILE, "value": event, "pattern": HOSTILE},
        {"field": "", "value": HOSTILE, "pattern": "*a*"},
        7,
    ]
    explained = explain({"event": event, "matched": matched}, whoami)
    assert len(explained.fields) <= 500
    assert sum(len(each.shown) + len(each.copy) for each in explained.fields) < 1_500_000
    for shown in [each.shown for each in (*explained.fields, *explained.matched)]:
        assert "<" not in shown.replace("<mark>", "").replace("</mark>", "")
        assert "\u202e" not in shown
        assert len(shown) < 60_000
        shown.encode()
    for each in explained.fields:
        each.copy.encode()


def test_nested_values_are_flattened_by_dotted_names() -> None:
    found, more = leaves({"a": {"b": 1, "c": [{"d": 2}, {"d": 3}]}, "e": [1, 2]})
    assert found == [("a.b", 1), ("a.c.0.d", 2), ("a.c.1.d", 3), ("e", [1, 2])]
    assert not more


def test_one_rule_is_looked_up_without_loading_the_others(tmp_path: Path) -> None:
    (tmp_path / "whoami.yml").write_text(WHOAMI)
    (tmp_path / "failed.yml").write_text(FAILED)
    (tmp_path / "brute.yml").write_text(BRUTE)
    (tmp_path / "broken.yml").write_text("title: [")
    index = RuleIndex([tmp_path])
    known = index.find(WHOAMI_ID)
    assert known is not None
    assert known.rule.title == "Who Am I"
    assert index.find("nobody") is None
    brute = index.find(BRUTE_ID)
    assert brute is not None
    assert [part.title for part in brute.parts] == ["Failed SSH Login"]
    assert isinstance(brute.rule, Correlation)
    facts = dict(correlation_facts(brute.rule, brute.parts))
    assert "Failed SSH Login" in facts.values()
    assert any("≥ 5" in text for text in facts.values())


def test_a_rule_that_changes_is_seen_after_a_while(tmp_path: Path) -> None:
    (tmp_path / "whoami.yml").write_text(WHOAMI)
    index = RuleIndex([tmp_path])
    assert index.find(WHOAMI_ID) is not None
    (tmp_path / "whoami.yml").write_text(WHOAMI.replace("Who Am I", "Who are you"))
    index._looked = 0.0
    known = index.find(WHOAMI_ID)
    assert known is not None
    assert known.rule.title == "Who are you"
