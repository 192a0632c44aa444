"""Problems point at the right line, and hostile events do not end a hunt."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from khien.findings.outputs import NdjsonWriter
from khien.formats.inputs import find_inputs
from khien.hunt import hunting
from khien.hunt.hunting import Hunt, Tally
from khien.hunt.plans import HuntOptions, HuntPlan
from khien.rules.collection import load_sources

RULE = b"""
title: whoami
id: 6d3f6f0e-51b5-4d49-8d2e-0d3f9a1c2b4a
level: high
logsource: {category: process_creation, product: windows}
detection: {s: {Image|endswith: 'whoami.exe'}, condition: s}
"""
EVENT = {"EventID": 1, "Channel": "Microsoft-Windows-Sysmon/Operational", "Image": "C:\\whoami.exe"}


def hunt(path: Path, jobs: int) -> tuple[Tally, list[dict[str, object]]]:
    plan = HuntPlan(load_sources([("rule.yml", RULE)], {}), HuntOptions(jobs=jobs))
    out = path.with_suffix(".out")
    with out.open("wb") as stream:
        tally = Hunt(plan, NdjsonWriter(stream)).run(find_inputs([str(path)], pytest.fail))
    return tally, [json.loads(line) for line in out.read_text().splitlines()]


def test_the_line_of_a_problem_counts_from_the_start_of_the_file_with_several_workers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hunting, "PART_BYTES", 4_000)
    lines = [json.dumps(EVENT)] * 300
    lines[250] = '{"EventID": 1, broken'
    path = tmp_path / "events.json"
    path.write_text("\n".join(lines) + "\n")
    one, many = hunt(path, 1), hunt(path, 2)
    assert [problem.place for problem in one[0].problems] == ["line 251"]
    assert [problem.place for problem in many[0].problems] == ["line 251"]
    assert one[1] == many[1]


def test_a_matching_event_nested_deeper_than_json_writers_go_is_still_a_finding(tmp_path: Path) -> None:
    deep = '{"a":' * 300 + "1" + "}" * 300
    path = tmp_path / "events.json"
    path.write_text(json.dumps(EVENT)[:-1] + f', "deep": {deep}}}\n' + json.dumps(EVENT) + "\n")
    _, findings = hunt(path, 1)
    assert [finding["record"] for finding in findings] == [1, 2]
