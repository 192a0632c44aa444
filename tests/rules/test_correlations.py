"""Correlation documents: what they mean, and which cannot be used."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from khien.errors import RuleError
from khien.rules.collection import load_sources
from khien.rules.correlations import parse_timespan
from khien.rules.model import Correlation, RefAnd, RefNot, RefOr, RuleRef, RuleSet


def base(name: str) -> dict[str, Any]:
    detection = {"s": {"a": name}, "condition": "s"}
    return {"title": name, "id": f"id-{name}", "name": name, "logsource": {"product": "test"}, "detection": detection}


BASES = [base("a"), base("b"), base("c")]
COUNT = {"type": "event_count", "rules": ["a"], "group-by": ["user"], "timespan": "5m", "condition": {"gte": 3}}


def correlation(body: Any, rule_id: str = "corr", **more: Any) -> dict[str, Any]:
    return {"title": rule_id, "id": rule_id, "name": f"name-{rule_id}", "correlation": body, **more}


def load(*documents: dict[str, Any]) -> RuleSet:
    # Correlations stand before the rules they refer to: order does not matter.
    return load_sources([("made.yml", yaml.safe_dump_all([*documents, *BASES]).encode())], {})


def one(body: Any, **more: Any) -> Correlation:
    rules = load(correlation(body, **more))
    assert not rules.unusable, rules.unusable
    return rules.correlations[0]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30s", 30), ("5m", 300), ("90m", 5_400), ("1h", 3_600), ("7d", 604_800), ("2w", 1_209_600), ("1M", 2_592_000), ("1y", 31_536_000), (" 5 m ", 300)],
)  # fmt: skip
def test_a_timespan_is_a_number_and_a_unit(text: str, seconds: int) -> None:
    assert parse_timespan(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "5", 5, None, "m", "0m", "-5m", "1.5h", "5 minutes", "5H", "9" * 400 + "y", "٥m", "1000y"]
)
def test_anything_else_is_no_timespan(text: Any) -> None:
    with pytest.raises(RuleError, match="is no timespan"):
        parse_timespan(text)


def test_references_are_ids_or_names_and_aliases_are_resolved() -> None:
    aliases = {"ip": {"a": "src", "id-b": "dst"}}
    found = one({**COUNT, "rules": ["a", "id-b"], "group-by": ["ip", "ip"], "aliases": aliases}, level="high")
    assert found.rules == ("id-a", "id-b")
    assert found.names == ("a", "id-b")
    assert found.aliases == {"ip": {"id-a": "src", "id-b": "dst"}}
    assert (found.group_by, found.timespan, found.bounds, found.level) == (("ip",), 300.0, (("gte", 3),), "high")
    assert found.generate is False


def test_a_range_and_every_operator_can_bound_a_figure() -> None:
    assert one({**COUNT, "condition": {"gt": 100, "lte": 200}}).bounds == (("gt", 100), ("lte", 200))
    for operator in ("lt", "lte", "gt", "gte", "eq", "neq"):
        assert one({**COUNT, "condition": {operator: 2.5}}).bounds == ((operator, 2.5),)


def test_an_order_may_name_a_rule_more_than_once() -> None:
    body = {"type": "temporal_ordered", "rules": ["a", "b", "a"], "timespan": "1h"}
    assert one(body).rules == ("id-a", "id-b", "id-a")


def test_a_boolean_condition_is_read_with_or_without_a_list_of_rules() -> None:
    a, b, c = RuleRef("id-a"), RuleRef("id-b"), RuleRef("id-c")
    body = {"type": "temporal", "timespan": "1h", "condition": "a and (b OR c)"}
    assert one(body).condition == RefAnd((a, RefOr((b, c))))
    assert one({**body, "rules": ["a", "b"], "condition": "a and not b"}).condition == RefAnd((a, RefNot(b)))
    assert set(one({**body, "condition": "a and not (b or c)"}).rules) == {"id-a", "id-b", "id-c"}


def test_correlations_chain_and_stand_after_those_they_refer_to() -> None:
    outer = correlation({**COUNT, "rules": ["name-inner"]}, "outer")
    inner = correlation(COUNT, "inner")
    assert [c.id for c in load(outer, inner).correlations] == ["inner", "outer"]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("x", "'correlation' is not a map"),
        ({**COUNT, "type": "sum"}, "unknown correlation type 'sum'"),
        ({**COUNT, "type": None}, "unknown correlation type"),
        ({**COUNT, "rules": []}, "names its 'rules'"),
        ({**COUNT, "rules": [5]}, "'rules' is not a list of names"),
        ({**COUNT, "rules": {"a": 1}}, "'rules' is not a list of names"),
        ({**COUNT, "rules": ["nobody"]}, "no usable rule 'nobody'"),
        ({**COUNT, "timespan": "soon"}, "is no timespan"),
        ({**COUNT, "group-by": [1]}, "'group-by' is not a list of names"),
        ({**COUNT, "aliases": ["ip"]}, "'aliases' is not a map of maps"),
        ({**COUNT, "aliases": {"ip": {"nobody": "x"}}}, "no usable rule 'nobody'"),
        ({**COUNT, "generate": "no"}, "'generate' wants true or false"),
        ({**COUNT, "condition": None}, "needs a condition"),
        ({**COUNT, "condition": {}}, "compares nothing"),
        ({**COUNT, "condition": [1]}, "neither a map nor a text"),
        ({**COUNT, "condition": {"gte": "3"}}, "wants a number"),
        ({**COUNT, "condition": {"gte": True}}, "wants a number"),
        ({**COUNT, "condition": {"gte": float("nan")}}, "wants a number"),
        ({**COUNT, "condition": {"least": 3}}, "unknown key 'least'"),
        ({**COUNT, "condition": {"gte": 3, "field": "x"}}, "'field' in the condition has no meaning"),
        ({**COUNT, "condition": {"gte": 3, "percentile": 5}}, "'percentile' has no meaning"),
        ({**COUNT, "condition": "a and b"}, "boolean condition has no meaning"),
        ({**COUNT, "type": "value_count"}, "needs a 'field'"),
        ({**COUNT, "type": "value_sum", "condition": {"gte": 3, "field": ["x", "y"]}}, "reads one field, not 2"),
        ({**COUNT, "type": "value_percentile", "condition": {"gte": 3, "field": "x", "percentile": 101}}, "0 to 100"),
        ({"type": "temporal", "timespan": "1h", "rules": ["a", "b"], "condition": "a and c"}, "no detection item 'c'"),
        ({"type": "temporal", "timespan": "1h", "rules": ["a", "b"], "condition": "a"}, "does not mention rule 'b'"),
        ({"type": "temporal", "timespan": "1h", "condition": "not a"}, "true when nothing happens"),
        ({"type": "temporal", "timespan": "1h", "condition": "a or not b"}, "true when nothing happens"),
        ({"type": "temporal", "timespan": "1h", "condition": "a and"}, "ends too early"),
    ],
)  # fmt: skip
def test_a_correlation_that_cannot_be_used_is_listed_with_the_reason(body: Any, says: str) -> None:
    rules = load(correlation(body))
    assert not rules.correlations
    (unusable,) = rules.unusable
    assert says in unusable.reason
    assert unusable.id == "corr"


def test_what_refers_to_an_unusable_or_to_itself_is_unusable_too() -> None:
    broken = correlation({**COUNT, "timespan": "x"}, "broken")
    above = correlation({**COUNT, "rules": ["broken"]}, "above")
    top = correlation({**COUNT, "rules": ["above"]}, "top")
    ring = [correlation({**COUNT, "rules": [other]}, mine) for mine, other in (("x", "y"), ("y", "x"))]
    rules = load(broken, above, top, *ring, correlation({**COUNT, "rules": ["self"]}, "self"))
    assert not rules.correlations
    reasons = {unusable.id: unusable.reason for unusable in rules.unusable}
    assert set(reasons) == {"broken", "above", "top", "x", "y", "self"}
    assert "cannot be used" in reasons["top"]
    assert "refers to itself" in reasons["x"]
    assert "refers to itself" in reasons["self"]


def test_an_id_belongs_to_one_rule_and_a_name_that_two_have_is_refused() -> None:
    rules = load(correlation(COUNT, "id-a"))
    assert "already used" in rules.unusable[0].reason
    twice = load(
        correlation({**COUNT, "rules": ["same"]}), {**base("x"), "name": "same"}, {**base("y"), "name": "same"}
    )
    assert "more than one rule is called 'same'" in twice.unusable[0].reason


def test_a_chain_that_reads_what_its_part_does_not_have_is_warned_of() -> None:
    inner = correlation(COUNT, "inner")
    for group, lacks in ((["user"], False), (["count"], False), (["host"], True)):
        rules = load(inner, correlation({**COUNT, "rules": ["inner"], "group-by": group}, "outer"))
        assert len(rules.correlations) == 2
        assert ["has no field 'host'" in warning.reason for warning in rules.warnings] == [True] * lacks
    aliased = {**COUNT, "rules": ["inner"], "group-by": ["who"], "aliases": {"who": {"inner": "user"}}}
    assert not load(inner, correlation(aliased, "outer")).warnings
