"""Folders of rules: what is used, and that whatever is not is named with the reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from khien.errors import UsageError
from khien.rules.collection import load_placeholders, load_rules, load_sources
from khien.rules.model import RuleSet

RULE: dict[str, Any] = {
    "title": "One",
    "id": "id-1",
    "logsource": {"product": "windows"},
    "detection": {"s": {"a": "b"}, "condition": "s"},
}


def load(*documents: dict[str, Any]) -> RuleSet:
    data = yaml.safe_dump_all(documents, allow_unicode=True, sort_keys=False).encode()
    return load_sources([("made.yml", data)], {})


def test_a_rule_carries_what_its_document_says() -> None:
    more = {
        "name": "one", "level": "High", "status": "stable", "description": " Says. ", "author": "Khiên", "date": "2026-11-24",
        "references": ["https://x.example"], "falsepositives": "None known", "tags": ["attack.T1059"], "fields": ["a"],
    }  # fmt: skip
    (rule,) = load({**RULE, **more}).rules
    assert (rule.id, rule.title, rule.name, rule.level, rule.status) == ("id-1", "One", "one", "high", "stable")
    assert (rule.description, rule.author, rule.date, rule.path) == ("Says.", "Khiên", "2026-11-24", "made.yml")
    assert (rule.references, rule.falsepositives) == (("https://x.example",), ("None known",))
    assert (rule.tags, rule.fields) == (("attack.t1059",), ("a",))


def test_a_rule_without_an_id_or_level_gets_a_lasting_one() -> None:
    body = {key: value for key, value in RULE.items() if key != "id"}
    one, again = load(body).rules[0], load(body).rules[0]
    assert one.id == again.id
    assert len(one.id) == 36
    assert one.level == "medium"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"title": None}, "has no 'title'"),
        ({"title": 5}, "has no 'title'"),
        ({"title": " "}, "has no 'title'"),
        ({"level": "huge"}, "unknown level 'huge'"),
        ({"level": ["high"]}, "unknown level"),
        ({"logsource": None}, "has no 'logsource'"),
        ({"logsource": "windows"}, "has no 'logsource'"),
        ({"logsource": {"product": 5}}, "is not a text"),
        ({"detection": None}, "'detection' is not a map"),
        ({"detection": "s"}, "'detection' is not a map"),
        ({"detection": {"s": {"a": "b"}}}, "no condition"),
        ({"detection": {"s": {"a|re": "("}, "condition": "s"}}, "does not parse"),
        ({"detection": {"s": {"a|none": "b"}, "condition": "s"}}, "unknown modifier"),
        ({"correlation": {}}, "has both 'detection' and 'correlation'"),
        ({"filter": {}}, "has both 'detection' and 'filter'"),
        ({"detection": {"s": {"a": "b"}, "condition": "(" * 5_000 + "s" + ")" * 5_000}}, "too deeply"),
    ],
)
def test_a_rule_that_cannot_be_used_is_listed_with_the_reason_and_the_others_work(change: Any, says: str) -> None:
    bad = {key: value for key, value in {**RULE, "id": "bad", **change}.items() if value is not None}
    rules = load(RULE, bad, {**RULE, "id": "id-2"})
    assert [rule.id for rule in rules.rules] == ["id-1", "id-2"]
    (unusable,) = rules.unusable
    expected = "It is not a Sigma rule" if change == {"detection": None} else says
    assert expected in unusable.reason
    assert (unusable.path, unusable.place, unusable.id) == ("made.yml", "document 2", "bad")


def test_a_document_that_is_no_rule_says_so() -> None:
    assert "neither 'detection' nor 'correlation' nor 'filter'" in load({"title": "x"}).unusable[0].reason


def test_deep_lists_of_maps_do_not_overflow() -> None:
    body: Any = {"a": "b"}
    for _ in range(90):
        body = [body]
    assert load({**RULE, "detection": {"s": body, "condition": "s"}}).rules


def test_an_id_used_twice_is_refused_unless_the_rules_are_the_same(tmp_path: Path) -> None:
    same = yaml.safe_dump(RULE)
    (tmp_path / "a.yml").write_text(same)
    (tmp_path / "b.yml").write_text(same)
    (tmp_path / "c.yml").write_text(same.replace("a: b", "a: c"))
    rules = load_rules([tmp_path])
    assert len(rules.rules) == 1
    (unusable,) = rules.unusable
    assert "already used by 'One'" in unusable.reason
    assert unusable.path.endswith("c.yml")


def test_an_unreadable_file_is_listed_and_the_rest_loaded(tmp_path: Path) -> None:
    (tmp_path / "a.yml").write_text(yaml.safe_dump(RULE))
    (tmp_path / "b.yml").symlink_to(tmp_path / "nowhere")
    (tmp_path / "c.yml").write_bytes(b"[" * 100_000)
    rules = load_rules([tmp_path])
    assert len(rules.rules) == 1
    assert ["cannot be read" in rules.unusable[0].reason, "too deeply" in rules.unusable[1].reason] == [True, True]


def test_placeholders_are_read_from_yaml(tmp_path: Path) -> None:
    file = tmp_path / "p.yml"
    file.write_text("'%admins%': [adm_*, root]\nport: 3389\n")
    assert load_placeholders(file) == {"admins": ["adm_*", "root"], "port": [3389]}
    for text in ("a: []\n", "a: {b: c}\n", "a: [[x]]\n", "a: ['']\n", "[x]\n"):
        file.write_text(text)
        with pytest.raises(UsageError):
            load_placeholders(file)
    with pytest.raises(UsageError, match="cannot be read"):
        load_placeholders(tmp_path / "nowhere")
