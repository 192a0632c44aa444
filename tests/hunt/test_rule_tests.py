"""Test events beside rules: what passes, what fails, and what is no test."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from hunt.hunting import correlation, event, load, rule
from khien.errors import UsageError
from khien.hunt.rule_tests import run_rule_tests

BURST = {"type": "event_count", "rules": ["alpha"], "timespan": "5m", "condition": {"gte": 2}}
RULES = load(rule("alpha", level="informational"), rule("other"), correlation("burst", BURST))


def outcomes(tmp_path: Path, *tests: Any, rule_id: str = "id-alpha") -> list[str]:
    (tmp_path / "x.tests.yml").write_text(yaml.safe_dump({"rule": rule_id, "tests": list(tests)}), encoding="utf-8")
    return [result.failure for result in run_rule_tests([tmp_path], RULES)]


def test_events_go_through_reader_mapping_and_engine(tmp_path: Path) -> None:
    hit, miss = event("alpha"), event("x")
    assert outcomes(
        tmp_path,
        {"match": True, "events": [miss, hit]},
        {"match": False, "events": [miss]},
        {"match": True, "events": [miss]},
        {"match": False, "events": [hit]},
        {"count": 2, "events": [hit, hit]},
        {"count": 1, "events": [hit, hit]},
    ) == ["", "", "does not match", "matches", "", "2 findings, expected 1"]


def test_text_is_read_in_the_format_named(tmp_path: Path) -> None:
    text = '{"Channel": "Microsoft-Windows-Sysmon/Operational", "EventID": 1, "CommandLine": "alpha"}\n'
    assert outcomes(
        tmp_path, {"match": True, "text": text, "format": "json"}, {"match": False, "text": "Mar  2 08:02:03 h sshd[1]: x\n", "format": "syslog"}
    ) == ["", ""]  # fmt: skip
    with pytest.raises(UsageError, match="no input format 'nonsense'"):
        outcomes(tmp_path, {"match": True, "text": text, "format": "nonsense"})


def test_a_correlation_is_tested_with_the_rules_it_is_made_of(tmp_path: Path) -> None:
    one, two = event("alpha", 0), event("alpha", 5)
    assert outcomes(
        tmp_path, {"count": 1, "events": [two, one]}, {"count": 0, "events": [one]}, rule_id="id-burst"
    ) == ["", ""]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("rule: [x\n", "not a test file"),
        ("tests: []\n", "not a test file"),
        ("- x\n", "not a test file"),
        ("rule: id-alpha\ntests: 5\n", "not a test file"),
        ("rule: nobody\ntests: [{match: true, events: []}]\n", "there is no usable rule nobody"),
        ("rule: id-alpha\ntests: [x]\n", "a test has match"),
        ("rule: id-alpha\ntests: [{match: true}]\n", "a test has match"),
        ("rule: id-alpha\ntests: [{events: [{}]}]\n", "a test has match"),
        ("rule: id-alpha\ntests: [{match: false, text: '{x', format: json}]\n", "cannot be read"),
    ],
)
def test_what_is_no_test_fails_with_the_reason(tmp_path: Path, content: str, says: str) -> None:
    (tmp_path / "x.tests.yml").write_text(content)
    (result,) = run_rule_tests([tmp_path], RULES)
    assert says in result.failure
    assert result.path.endswith("x.tests.yml")


def test_only_test_files_are_run_and_each_is_named(tmp_path: Path) -> None:
    (tmp_path / "rule.yml").write_text("title: x\n")
    passing = {"rule": "id-alpha", "tests": [{"name": "finds it", "match": True, "events": [event("alpha")]}]}
    (tmp_path / "b.tests.yml").write_text(yaml.safe_dump(passing))
    (result,) = run_rule_tests([tmp_path], RULES)
    assert (result.name, result.failure) == ("finds it", "")
    assert list(run_rule_tests([tmp_path / "rule.yml"], RULES)) == []
