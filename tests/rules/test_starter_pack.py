"""The starter pack: every rule is whole, tested by its events, and needed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from khien.hunt.rule_tests import run_rule_tests
from khien.rules.collection import load_rules
from khien.rules.model import RuleSet

PACK = Path(__file__).resolve().parents[2] / "rules"
FILES = sorted(path for path in PACK.rglob("*.yml") if not path.name.endswith(".tests.yml"))


@pytest.fixture(scope="module")
def pack() -> RuleSet:
    return load_rules([PACK])


def reported(path: Path) -> dict[str, Any]:
    """The document of a file that findings are about: the last."""
    found: list[dict[str, Any]] = list(yaml.safe_load_all(path.read_bytes()))
    return found[-1]


def test_all_rules_are_usable_and_there_are_enough_of_each_kind(pack: RuleSet) -> None:
    assert not pack.unusable
    assert not pack.warnings
    assert len(FILES) >= 62
    for folder, least in {
        "windows": 30,
        "linux": 12,
        "web": 8,
        "dns": 5,
        "network": 5,
        "cloud": 12,
        "correlation": 12,
    }.items():
        assert sum(path.parent.name == folder for path in FILES) >= least, folder


def test_every_test_event_is_judged_as_it_should_be(pack: RuleSet) -> None:
    results = run_rule_tests([PACK], pack)
    assert not [f"{result.path}: {result.name}: {result.failure}" for result in results if result.failure]
    assert len(results) >= 4 * len(FILES) - len(list((PACK / "correlation").glob("*.tests.yml")))


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_rule_is_complete_and_has_tests_for_and_against_it(path: Path) -> None:
    rule = reported(path)
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", rule["id"])
    assert re.fullmatch(r"[a-z0-9_]{5,70}\.yml", path.name)
    assert rule["level"] in ("low", "medium", "high", "critical")
    assert rule["status"] == "stable"
    assert rule["description"].endswith(".")
    assert rule["falsepositives"]
    assert any(re.fullmatch(r"attack\.t\d{4}(\.\d{3})?", tag) for tag in rule["tags"])
    tests = yaml.safe_load(path.with_name(f"{path.stem}.tests.yml").read_bytes())
    assert tests["rule"] == rule["id"]
    verdicts = [bool(test.get("match", test.get("count"))) for test in tests["tests"]]
    assert verdicts.count(True) >= (2 if "detection" in rule else 1)
    assert verdicts.count(False) >= (2 if "detection" in rule else 1)
    assert len({test["name"] for test in tests["tests"]}) == len(verdicts)


def test_ids_and_titles_are_unique() -> None:
    documents = [body for path in FILES for body in yaml.safe_load_all(path.read_bytes())]
    assert len({body["id"] for body in documents}) == len(documents)
    titles = [reported(path)["title"] for path in FILES]
    assert len(set(titles)) == len(titles)


def test_events_hold_invented_addresses_only() -> None:
    """Documentation and private ranges, and names under .example (or of services that rules name)."""
    public = re.compile(r"\b(?:\d{1,3}\.){3}\d{1,3}\b")
    kept = ("10.", "192.168.", "172.16.", "203.0.113.", "198.51.100.", "192.0.2.", "127.", "0.0.0.0", "169.254.")
    for path in PACK.rglob("*.tests.yml"):
        found = [each for each in public.findall(path.read_text(encoding="utf-8")) if not each.startswith(kept)]
        assert not found, (path, found)
