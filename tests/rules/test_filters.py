"""Meta filters narrow other rules; one without effect says so."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from khien.rules.collection import load_sources
from khien.rules.model import RuleSet

RULE = {
    "title": "Tool",
    "id": "id-1",
    "name": "tool",
    "logsource": {"product": "windows", "category": "process_creation"},
    "detection": {"s": {"Image": "x"}, "condition": ["s", "not s"]},
}
OTHER = {**RULE, "id": "id-2", "name": "other", "title": "Other", "logsource": {"product": "linux"}}
FILTER: dict[str, Any] = {
    "title": "Known admins",
    "id": "f-1",
    "logsource": {"product": "windows"},
    "filter": {"rules": ["id-1"], "admin": {"User|startswith": "adm_"}, "condition": "not admin"},
}


def load(filter_: dict[str, Any], placeholders: dict[str, list[Any]] | None = None) -> RuleSet:
    # The filter stands before the rules: order does not matter.
    return load_sources([("made.yml", yaml.safe_dump_all([filter_, RULE, OTHER]).encode())], placeholders or {})


def with_rules(rules: Any, **more: Any) -> dict[str, Any]:
    return {**FILTER, "filter": {**FILTER["filter"], "rules": rules}, **more}


@pytest.mark.parametrize(
    ("rules", "narrowed"),
    [
        (["id-1"], ["id-1"]),
        ("tool", ["id-1"]),
        (["id-1", "tool"], ["id-1"]),
        ("any", ["id-1"]),
        ("ANY", ["id-1"]),
        ([], ["id-1"]),
    ],
)
def test_a_filter_narrows_the_rules_it_names_within_its_log_source(rules: Any, narrowed: list[str]) -> None:
    loaded = load(with_rules(rules))
    assert [rule.id for rule in loaded.rules if rule.filters == ("Known admins",)] == narrowed
    assert not loaded.warnings
    assert not loaded.unusable
    rule = loaded.rules[0]
    assert len(rule.conditions) == 2
    assert all("adm_" in str(condition) for condition in rule.conditions)


@pytest.mark.parametrize(
    ("filter_", "says"),
    [
        (with_rules(["id-9"]), "no usable rule 'id-9'"),
        (with_rules(["id-2"]), "which is not of the filter's windows/*/*"),
        (with_rules("any", logsource={"product": "macos"}), "narrows none"),
    ],
)
def test_a_filter_without_effect_is_warned_of(filter_: dict[str, Any], says: str) -> None:
    loaded = load(filter_)
    assert len(loaded.rules) == 2
    (warning,) = loaded.warnings
    assert says in warning.reason
    assert warning.id == "f-1"


@pytest.mark.parametrize(
    ("filter_", "says"),
    [
        ({**FILTER, "filter": None}, "'filter' is not a map"),
        ({**FILTER, "filter": {"s": {"a": "b"}, "condition": "s"}}, "for which 'rules'"),
        (with_rules([5]), "for which 'rules'"),
        (with_rules(None), "for which 'rules'"),
        ({**FILTER, "filter": {"rules": "any", "s": {"a": "b"}}}, "no condition"),
        ({**FILTER, "logsource": None}, "no 'logsource'"),
        ({**FILTER, "logsource": ["windows"]}, "no 'logsource'"),
        ({**FILTER, "title": None}, "no 'title'"),
        ({**FILTER, "filter": {"rules": "any", "s": {"a|expand": "%none%"}, "condition": "not s"}}, "%none%"),
    ],
)
def test_a_filter_that_cannot_be_used_is_listed_and_narrows_nothing(filter_: dict[str, Any], says: str) -> None:
    loaded = load(filter_)
    assert says in loaded.unusable[0].reason
    assert all(not rule.filters for rule in loaded.rules)


def test_placeholders_work_in_filters() -> None:
    filter_ = {**FILTER, "filter": {"rules": "any", "s": {"User|expand": "%admins%"}, "condition": "not s"}}
    assert "adm_lan" in str(load(filter_, {"admins": ["adm_lan"]}).rules[0].conditions)
