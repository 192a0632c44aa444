"""Runs hunts in this process, over real files, and gives back their findings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import yaml

from khien.errors import Problem
from khien.formats.inputs import find_inputs
from khien.hunt.hunting import Hunt, Tally
from khien.hunt.plans import HuntOptions, HuntPlan
from khien.rules.collection import load_sources
from khien.rules.model import RuleSet


class Lines:
    """Keeps the lines that a hunt writes."""

    def __init__(self) -> None:
        self.raw: list[bytes] = []

    def write_line(self, line: bytes) -> None:
        self.raw.append(line)

    @property
    def findings(self) -> list[dict[str, Any]]:
        return [orjson.loads(line) for line in self.raw]


def rule(name: str, detection: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """A rule for Sysmon process creation that matches command lines with its name."""
    return {
        "title": f"Rule {name}",
        "id": f"id-{name}",
        "name": name,
        "level": "high",
        "status": "test",
        "logsource": {"product": "windows", "category": "process_creation"},
        "detection": detection or {"s": {"CommandLine|contains": name}, "condition": "s"},
        **more,
    }


def correlation(name: str, body: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A correlation over rules."""
    return {
        "title": f"Correlation {name}",
        "id": f"id-{name}",
        "name": name,
        "level": "high",
        "correlation": body,
        **more,
    }


def load(*documents: dict[str, Any]) -> RuleSet:
    """Usable rules of these documents."""
    rules = load_sources([("made.yml", yaml.safe_dump_all(documents, allow_unicode=True).encode())], {})
    assert not rules.unusable, rules.unusable
    return rules


def event(command: str, at: int = 0, **more: Any) -> dict[str, Any]:
    """A process creation `at` seconds after 2026-03-02 01:00 UTC."""
    hours, rest = divmod(at, 3600)
    return {
        "Channel": "Microsoft-Windows-Sysmon/Operational",
        "EventID": 1,
        "Computer": "SYT-PC-041.so-y-te.example",
        "TimeCreated": f"2026-03-02T{1 + hours:02d}:{rest // 60:02d}:{rest % 60:02d}Z",
        "Image": "C:\\x.exe",
        "CommandLine": command,
        "User": "SYT\\nv.a01",
        **more,
    }


def write(path: Path, *events: dict[str, Any]) -> Path:
    """Write events as JSON lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(orjson.dumps(each) + b"\n" for each in events))
    return path


def hunt(rules: RuleSet, *paths: Path, **options: Any) -> tuple[Lines, Tally]:
    """Hunt through files and folders."""
    lines = Lines()
    problems: list[Problem] = []
    inputs = list(find_inputs([str(path) for path in paths], problems.append))
    tally = Hunt(HuntPlan(rules, HuntOptions(**options)), lines).run(inputs)
    tally.problems[:0] = problems
    return lines, tally


def names(lines: Lines) -> list[str]:
    """The rules of the findings, in order, by name."""
    return [finding["rule_id"].removeprefix("id-") for finding in lines.findings]
