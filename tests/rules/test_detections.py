"""Detection items and conditions: what values, lists, maps and keywords select."""

from __future__ import annotations

import unicodedata
from typing import Any

import pytest

from khien.errors import RuleError
from khien.events.logsource import LogSource
from khien.rules.detections import log_source
from reference.judging import SOURCE, loaded, matches, refusal, selects

yes, no = True, False


@pytest.mark.parametrize(
    ("item", "event", "expected"),
    [
        # all keys of a map, any map of a list
        ({"a": "1", "b": "2"}, {"a": "1", "b": "2"}, yes),
        ({"a": "1", "b": "2"}, {"a": "1", "b": "3"}, no),
        ([{"a": "1"}, {"b": "2"}], {"b": "2"}, yes),
        ([{"a": "1", "b": "3"}, {"b": "2"}], {"a": "1", "b": "4"}, no),
        # numbers and booleans equal their texts, both ways
        ({"a": 4624}, {"a": "4624"}, yes),
        ({"a": "4624"}, {"a": 4624}, yes),
        ({"a": 4624}, {"a": 4624.0}, yes),
        ({"a": 4624}, {"a": "04624"}, no),
        ({"a": "0x10"}, {"a": "0X10"}, yes),
        ({"a": True}, {"a": "TRUE"}, yes),
        ({"a": "true"}, {"a": True}, yes),
        ({"a": True}, {"a": 1}, no),
        ({"a": 1.5}, {"a": "1.5"}, yes),
        ({"a|contains": 62}, {"a": 4624}, yes),
        # null is missing or null; an empty text is neither
        ({"a": None}, {}, yes),
        ({"a": None}, {"a": None}, yes),
        ({"a": None}, {"a": ""}, no),
        ({"a": None}, {"a": []}, yes),
        ({"a": None}, {"a": [None, "x"]}, no),
        ({"a": ""}, {"a": ""}, yes),
        ({"a": ""}, {"a": None}, no),
        ({"a": ""}, {}, no),
        ({"a": ["", None]}, {}, yes),
        ({"a": "*"}, {"a": ""}, yes),
        ({"a": "?*"}, {"a": ""}, no),
        ({"a": "*"}, {"a": None}, no),
        ({"a": "*"}, {}, no),
        # an element of a list is enough; dotted names go into objects
        ({"a": "x"}, {"a": ["y", "X"]}, yes),
        ({"a.b": "x"}, {"a": {"b": "x"}}, yes),
        ({"a.b": "x"}, {"a.b": "x"}, yes),
        ({"a.b": "x"}, {"a": [{"b": "y"}, {"b": "x"}]}, yes),
        ({"a|contains": '"b":1'}, {"a": {"b": 1}}, yes),
        # wildcards and escapes
        ({"a": "pro?.exe"}, {"a": "proX.exe"}, yes),
        ({"a": "pro?.exe"}, {"a": "pro.exe"}, no),
        ({"a": "a*c"}, {"a": "a\nb\nc"}, yes),
        ({"a": r"a\*c"}, {"a": "a*c"}, yes),
        ({"a": r"a\*c"}, {"a": "abc"}, no),
        ({"a": r"a\?c"}, {"a": "a?c"}, yes),
        ({"a": r"a\\*c"}, {"a": r"a\xyzc"}, yes),
        ({"a": r"a\\\*c"}, {"a": r"a\*c"}, yes),
        ({"a": r"a\\b"}, {"a": r"a\b"}, yes),
        ({"a": r"a\b"}, {"a": r"a\b"}, yes),
        ({"a": r"a\\\\b"}, {"a": r"a\\b"}, yes),
        ({"a|contains": "[x]+(y)."}, {"a": "-[X]+(y).-"}, yes),
        ({"a": "%name%"}, {"a": "%NAME%"}, yes),
        # keywords: anywhere in any value, in any case
        (["evil", "bad"], {"z": "so BAD it is"}, yes),
        (["evil"], {"evil": "the name of a field is not a value"}, no),
        ("evil", {"z": {"deep": ["xEvilx"]}}, yes),
        ([4711], {"z": 4711}, yes),
        (["ev*l"], {"z": "an evil thing"}, yes),
        ({"|all": ["one", "two"]}, {"a": "one", "b": "two"}, yes),
        ({"|all": ["one", "two"]}, {"a": "one"}, no),
        ({"|contains|all": ["one", "two"]}, {"a": "one two"}, yes),
        ({"|cased": "Evil"}, {"a": "evil"}, no),
        ({"|re": "e.il$"}, {"a": "so evil"}, yes),
        ({"|re|i": "E.IL"}, {"a": "so evil"}, yes),
        ({"|neq": "evil"}, {"a": "good"}, yes),
        (["evil", {"a": "x"}], {"a": "x"}, yes),
        ({"|contains": "evil", "a": "x"}, {"a": "x", "b": "evil"}, yes),
    ],
)  # fmt: skip
def test_a_detection_item_selects_what_the_specification_says(item: Any, event: dict[str, Any], expected: bool) -> None:
    assert selects(item, event) is expected


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("sel_a", yes),
        ("sel_b", no),
        ("not sel_b", yes),
        ("not not sel_a", yes),
        ("sel_a and not sel_b", yes),
        ("sel_b or sel_a and sel_b", no),
        ("(sel_b or sel_a) and other", yes),
        ("1 of sel_*", yes),
        ("all of sel_*", no),
        ("any of them", yes),
        ("all of them", no),
        ("2 of them", yes),
        ("3 of them", no),
        ("1 of *_b", no),
        ("1 of _*", no),
        ("not 1 of *_b", yes),
        ("NOT sel_b AND sel_a", yes),
        (["sel_b", "other"], yes),
        (["sel_b", "sel_b and other"], no),
    ],
)  # fmt: skip
def test_a_condition_joins_the_items_as_the_specification_says(condition: Any, expected: bool) -> None:
    items = {"sel_a": {"a": "1"}, "sel_b": {"b": "2"}, "other": {"c": "3"}, "_hidden": {"a": "9"}}
    assert matches({**items, "condition": condition}, {"a": "1", "c": "3"}) is expected


@pytest.mark.parametrize("word", ["Đặng Thị Hường", "NGUYỄN VĂN ƯỚC", "tỉnh Đắk Lắk", "Mật-khẩu"])
@pytest.mark.parametrize("modifier", ["", "|contains", "|startswith", "|endswith"])
def test_vietnamese_letters_match_in_any_case_and_any_composition(word: str, modifier: str) -> None:
    typed = word.replace("ế", "ê\u0301")
    for spelt in (word, word.upper(), word.lower(), typed):
        for form in ("NFC", "NFD"):
            assert selects({f"a{modifier}": word}, {"a": unicodedata.normalize(form, spelt)})
            assert selects({f"a{modifier}": unicodedata.normalize(form, word)}, {"a": spelt})
    assert selects([word], {"b": unicodedata.normalize("NFD", f"x {word.upper()} y")})


def test_the_letters_of_windows_keyboards_are_the_same_letters() -> None:
    assert selects({"a": "Huế"}, {"a": "Huê\u0301"})
    assert selects({"a|contains": "Ứng"}, {"a": "x ư\u0301ng"})
    assert selects({"a": "việt"}, {"a": "viê\u0323t"})
    assert not selects({"a": "Huế"}, {"a": "Huê"})
    assert not selects({"a": "Huế"}, {"a": "Hue"})
    assert not selects({"a": "đ"}, {"a": "d"})


@pytest.mark.parametrize(
    ("detection", "says"),
    [
        ([], "'detection' is not a map"),
        ({}, "no condition"),
        ({"s": {"a": "b"}}, "no condition"),
        ({"s": {"a": "b"}, "condition": ""}, "no condition"),
        ({"s": {"a": "b"}, "condition": []}, "no condition"),
        ({"s": {"a": "b"}, "condition": 5}, "no condition"),
        ({"s": {"a": "b"}, "condition": {"s": 1}}, "no condition"),
        ({"condition": "s"}, "no detection items"),
        ({"s": {}, "condition": "s"}, "empty map"),
        ({"s": [], "condition": "s"}, "empty list"),
        ({"s": {"a": "b"}, "condition": "t"}, "no detection item 't'"),
        ({"s": {"a": "b"}, "condition": "1 of t*"}, "no detection item is called"),
        ({"sel1": {"a": "b"}, "condition": "1 of sel?"}, "no detection item is called"),
        ({"s": {"a": "b"}, "condition": "s | count() > 5"}, "aggregation"),
        ({"s": {"a": "b"}, "timeframe": "5m", "condition": "s"}, "timeframe"),
        ({"s": {"a|none": "b"}, "condition": "s"}, "(in 's')"),
    ],
)  # fmt: skip
def test_a_detection_that_cannot_be_used_says_why(detection: Any, says: str) -> None:
    assert says in refusal(detection)


def test_a_log_source_names_at_least_one_of_its_parts_as_text() -> None:
    assert log_source({"product": "Windows", "definition": "x"}) == LogSource("windows")
    for value, says in (
        (None, "no 'logsource'"),
        ("windows", "no 'logsource'"),
        ({}, "names neither"),
        ({"definition": "x"}, "names neither"),
        ({"product": ["windows"]}, "product of 'logsource' is not a text"),
        ({"service": 5}, "service of 'logsource' is not a text"),
    ):
        with pytest.raises(RuleError, match=says):
            log_source(value)


def test_equal_tests_of_a_rule_are_one() -> None:
    (rule,) = loaded({"s": {"a": ["x", "x", "y"]}, "t": {"a": "x"}, "condition": "s or t"}).rules
    assert len(rule.conditions) == 1
    assert {"product": rule.logsource.product, "category": rule.logsource.category} == SOURCE
