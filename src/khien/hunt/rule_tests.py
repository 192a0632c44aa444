"""Test events that stand beside rules, run through the real readers and the real engine.

`<rule file stem>.tests.yml`:

    rule: <id of the rule>
    tests:
      - name: a sentence
        match: true            # or false; for correlations `count: N` findings
        format: json           # optional: the input format of `text`
        events: [{...}, ...]   # or text: | raw lines
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

import msgspec
import orjson
import yaml

from khien.errors import UsageError
from khien.formats.inputs import Input
from khien.formats.sniff import formats
from khien.hunt.hunting import Hunt
from khien.hunt.plans import HuntOptions, HuntPlan
from khien.rules.documents import TEST_SUFFIX
from khien.rules.model import RuleSet

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True)
class Result:
    """One test's outcome; `failure` is "" where it passed."""

    path: str
    name: str
    failure: str = ""


class _Count:
    """Counts findings by rule."""

    def __init__(self) -> None:
        self.found: dict[str, int] = {}

    def write_line(self, line: bytes) -> None:
        rule_id = orjson.loads(line)["rule_id"]
        self.found[rule_id] = self.found.get(rule_id, 0) + 1


def run_rule_tests(folders: Sequence[Path], rules: RuleSet) -> list[Result]:
    """Run every test below the folders against the rules of its file and those they are made of."""
    results: list[Result] = []
    for folder in folders:
        files = [folder] if folder.is_file() else sorted(folder.rglob(f"*{TEST_SUFFIX}"))
        for file in files:
            if file.name.endswith(TEST_SUFFIX):
                results += _run_file(file, rules)
    return results


def _run_file(file: Path, rules: RuleSet) -> Iterator[Result]:
    try:
        body = yaml.load(file.read_bytes(), Loader=_Loader)  # noqa: S506 - a safe loader
        rule_id, tests = str(body["rule"]), list(body["tests"])
    except (yaml.YAMLError, KeyError, TypeError, OSError) as error:
        yield Result(str(file), "", f"not a test file: {error}")
        return
    chosen = _with_parts(rule_id, rules)
    if not chosen.rules:
        yield Result(str(file), "", f"there is no usable rule {rule_id}")
        return
    for at, test in enumerate(tests):
        name = str(test.get("name") or f"test {at + 1}") if isinstance(test, dict) else f"test {at + 1}"
        yield Result(str(file), name, _run(rule_id, chosen, test))


def _with_parts(rule_id: str, rules: RuleSet) -> RuleSet:
    wanted = {rule_id}
    for correlation in reversed(rules.correlations):
        if correlation.id in wanted:
            wanted.update(correlation.rules)
    return msgspec.structs.replace(
        rules,
        rules=tuple(rule for rule in rules.rules if rule.id in wanted),
        correlations=tuple(rule for rule in rules.correlations if rule.id in wanted),
    )


def _run(rule_id: str, rules: RuleSet, test: Any) -> str:
    if not isinstance(test, dict) or not ({"match", "count"} & set(test)) or not ({"events", "text"} & set(test)):
        return "a test has match (or count) and events (or text)"
    if "text" in test:
        data = str(test["text"]).encode()
    else:
        data = b"".join(orjson.dumps(event, default=str) + b"\n" for event in test["events"])
    name = test.get("format")
    if name is not None and name not in formats():
        raise UsageError(f"there is no input format '{name}'", remedy=f"Known: {', '.join(sorted(formats()))}")
    count = _Count()
    plan = HuntPlan(rules, HuntOptions(level="informational", input_format=name))
    tally = Hunt(plan, count).run([Input("test", len(data), _Bytes(data))])
    if tally.problems:
        return f"the events cannot be read: {tally.problems[0]}"
    found = count.found.get(rule_id, 0)
    if "count" in test:
        return "" if found == test["count"] else f"{found} findings, expected {test['count']}"
    if bool(found) == bool(test["match"]):
        return ""
    return "does not match" if test["match"] else "matches"


@dataclass(frozen=True, slots=True)
class _Bytes:
    data: bytes

    def __call__(self) -> AbstractContextManager[BinaryIO]:
        return nullcontext(cast(BinaryIO, io.BytesIO(self.data)))
