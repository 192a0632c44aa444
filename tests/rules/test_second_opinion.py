"""pySigma's parser and ours read the same patterns and conditions out of what both can read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from sigma.rule import SigmaRule
from sigma.types import (
    SigmaCIDRExpression,
    SigmaCompareExpression,
    SigmaExists,
    SigmaExpansion,
    SigmaFieldReference,
    SigmaNull,
    SigmaNumber,
    SigmaRegularExpression,
    SigmaString,
    SigmaType,
    SpecialChars,
)

from khien.rules import folding
from khien.rules.collection import load_sources
from khien.rules.model import ANY, STAR, Cidr, Compare, Exists, FieldRef, Keyword, Null, Parts, Regex, Test, Text
from khien.rules.patterns import expand_dashes, normal

_SPECIAL = {SpecialChars.WILDCARD_MULTI: STAR, SpecialChars.WILDCARD_SINGLE: ANY}


def theirs(field: str | None, value: SigmaType) -> Iterator[tuple[Any, ...]]:
    """What pySigma makes of a value, in our terms."""
    if isinstance(value, SigmaExpansion):
        for inner in value.values:
            yield from theirs(field, inner)
    elif isinstance(value, SigmaString):
        parts: Parts = normal(part if isinstance(part, str) else _SPECIAL[part] for part in value.s)
        yield ("text", field, parts)
    elif isinstance(value, SigmaNumber):
        yield ("text", field, (str(value),))
    elif isinstance(value, SigmaRegularExpression):
        yield ("re", field, str(value.regexp), "".join(sorted(flag.name[0].lower() for flag in value.flags)))
    elif isinstance(value, SigmaCIDRExpression):
        yield ("cidr", field, str(value.network))
    elif isinstance(value, SigmaCompareExpression):
        yield ("compare", field, value.op.name.lower(), float(value.number.number))
    elif isinstance(value, SigmaExists):
        yield ("exists", field)
    elif isinstance(value, SigmaNull):
        yield ("null", field)
    elif isinstance(value, SigmaFieldReference):
        how = {(0, 0): "equals", (1, 0): "startswith", (0, 1): "endswith", (1, 1): "contains"}
        yield ("fieldref", field, value.field, how[bool(value.starts_with), bool(value.ends_with)])
    else:
        pytest.fail(f"{type(value).__name__}")


def ours(test: Test) -> Iterator[tuple[Any, ...]]:
    match test:
        case Text():
            yield from (("text", test.field, parts) for parts in expand_dashes(test.parts, most=10_000))
        case Keyword():
            yield from (("text", None, parts) for parts in expand_dashes(test.parts, most=10_000))
        case Regex():
            yield ("re", test.field, test.pattern, "".join(sorted(test.flags.replace("s", "d"))))
        case Cidr():
            yield ("cidr", test.field, test.network)
        case Compare():
            yield from (("compare", test.field, operator, float(bound)) for operator, bound in test.bounds)
        case Exists():
            yield ("exists", test.field)
        case Null():
            yield ("null", test.field)
        case FieldRef():
            yield ("fieldref", test.field, test.other, test.how)
        case _:
            pytest.fail(str(test))


def both(detection: dict[str, Any]) -> tuple[set[Any], set[Any]]:
    body = {"title": "made", "logsource": {"product": "test"}, "detection": detection}
    rule = SigmaRule.from_dict(body)
    found: set[Any] = set()

    def walk(item: Any) -> None:
        for inner in item.detection_items:
            if hasattr(inner, "detection_items"):
                walk(inner)
            else:
                for value in inner.value:
                    found.update(theirs(inner.field, value))

    for each in rule.detection.detections.values():
        walk(each)
    loaded = load_sources([("made.yml", yaml.safe_dump(body, allow_unicode=True).encode())], {})
    assert not loaded.unusable, loaded.unusable
    mine = {each for node in loaded.rules[0].conditions for test in folding.tests_of(node) for each in ours(test)}
    return mine, found


@pytest.mark.parametrize(
    "item",
    [
        {"a": "x"}, {"a": r"C:\Win*\?\\x\*"}, {"a": 5}, {"a": [1, "b", "*c"]}, {"a": None}, {"a": ""},
        {"a|contains": ["x", "*y"]}, {"a|startswith": "x*"}, {"a|endswith": r"\x"}, {"a|contains|all": ["x", "y"]},
        {"a|windash": "-x a-b /y -"}, {"a|windash|contains": " -x"}, {"a|contains|windash": "-x *-y ?/z"},
        {"a|base64": "cmd"}, {"a|base64offset|contains": "cmd.exe"}, {"a|base64offset|contains": "việt"},
        {"a|wide|base64offset|contains": "IEX"}, {"a|utf16be|base64": "IEX"}, {"a|utf16|base64offset|contains": "IEX"},
        {"a|wide": "cmd*"}, {"a|re": r"^a\d+(b|c)$"}, {"a|re|i": "x"}, {"a|re|i|m|s": "x"}, {"a|cidr": "10.0.0.0/8"},
        {"a|cidr": "2001:db8::/32"}, {"a|gt": 5}, {"a|lte": 2.5}, {"a|exists": True}, {"a|fieldref": "b"},
        {"a|fieldref|contains": "b"}, {"a|fieldref|startswith": "b"}, {"a|fieldref|endswith": "b"}, {"a|neq": "x"},
        {"a|cased": "X"}, {"a|contains|cased": "X"}, [{"a": "x"}, {"b|re": "y"}], ["one", "two"], {"|all": ["one", "two"]},
    ],
    ids=str,
)  # fmt: skip
def test_both_read_the_same_tests_out_of_an_item(item: Any) -> None:
    mine, found = both({"selection": item, "condition": "selection"})
    assert mine == found


@pytest.mark.slow
def test_both_read_the_same_tests_out_of_a_tenth_of_the_corpus(sigma_data: Path) -> None:
    files = sorted((sigma_data / "rules").rglob("*.yml"))[::10]
    checked = 0
    for file in files:
        body = yaml.safe_load(file.read_bytes())
        if "detection" not in body or "expand" in str(body["detection"]):
            continue
        mine, found = both(body["detection"])
        plain = {each for each in found if each[0] != "text" or all(isinstance(p, int) or p.isascii() for p in each[2])}
        keywords = {each for each in found if each[0] == "text" and each[1] is None}
        assert plain - keywords <= mine, file
        checked += 1
    assert checked > 200
