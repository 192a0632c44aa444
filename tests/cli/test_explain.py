"""`khien explain`, run as a person runs it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli.runs import at_terminal, khien

RULE = """
title: Secret tool
id: 5f0c3c1e-0b1f-4c38-9a83-2f6d1b6f7d10
logsource: {product: windows, category: process_creation}
detection:
  tool: {CommandLine|contains: secret}
  known: {User: admin}
  condition: tool and not known
level: high
"""
EVENT = {"EventID": 1, "Channel": "Microsoft-Windows-Sysmon/Operational", "CommandLine": "x secret", "User": "admin"}


@pytest.fixture
def rule(tmp_path: Path) -> Path:
    path = tmp_path / "rule.yml"
    path.write_text(RULE)
    return path


def events(tmp_path: Path, *made: dict[str, object]) -> Path:
    path = tmp_path / "log.json"
    path.write_text("".join(json.dumps(each) + "\n" for each in made))
    return path


def test_the_tree_shows_what_held_what_did_not_and_the_values(rule: Path, tmp_path: Path) -> None:
    done = khien("explain", rule, events(tmp_path, EVENT))
    assert done.returncode == 0, done.stderr
    text = done.stdout.decode()
    assert text.startswith("Secret tool (5f0c3c1e-0b1f-4c38-9a83-2f6d1b6f7d10), log source windows/process_creation/*")
    assert "log.json, record 1: does not match" in text
    assert "yes CommandLine: *secret*   value: x secret" in text
    assert "no  not" in text
    assert "yes User: admin   value: admin" in text


def test_matching_events_come_first_and_no_more_than_asked(rule: Path, tmp_path: Path) -> None:
    log = events(tmp_path, EVENT, EVENT, EVENT, {**EVENT, "User": "other"})
    text = khien("explain", rule, log, "--limit", "2").stdout.decode()
    assert text.index("record 4: matches") < text.index("record 1: does not match")
    assert "record 2" not in text


def test_a_missing_field_is_said_to_be_missing(rule: Path, tmp_path: Path) -> None:
    text = khien("explain", rule, events(tmp_path, {**EVENT, "User": None, "CommandLine": "y"})).stdout.decode()
    assert "no  CommandLine: *secret*   value: y" in text


def test_events_of_another_log_source_are_counted(rule: Path, tmp_path: Path) -> None:
    other = {**EVENT, "EventID": 4624, "Channel": "Security"}
    text = khien("explain", rule, events(tmp_path, other, other)).stdout.decode()
    assert "none of the 2 events belongs to this log source" in text


def test_a_default_rule_is_found_by_its_id(tmp_path: Path) -> None:
    log = tmp_path / "auth.log"
    log.write_text("Mar  2 08:02:03 portal-01 sshd[811]: Accepted password for root from 203.0.113.9 port 1 ssh2\n")
    text = khien("explain", "830e07bc-1e39-4f10-92bd-4acefaecbd38", log).stdout.decode()
    assert "Root Logged In Over SSH" in text
    assert "record 1: matches" in text


@pytest.mark.parametrize(
    ("name", "said"), [("nothing-like-it", "there is no rule file and no default rule"), ("bad.yml", "cannot be used")]
)
def test_a_rule_that_is_not_there_or_not_usable_is_wrong_usage(name: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "bad.yml").write_text("title: x\n")
    target = tmp_path / name if name == "bad.yml" else name
    done = khien("explain", target, events(tmp_path, EVENT))
    assert done.returncode == 2
    assert said in done.stderr.decode()


def test_an_event_file_that_cannot_be_read_ends_with_3(rule: Path) -> None:
    done = khien("explain", rule, "/nowhere.json")
    assert done.returncode == 3
    assert b"cannot be opened" in done.stderr


def test_values_reach_the_terminal_as_text(rule: Path, tmp_path: Path) -> None:
    log = tmp_path / "log.json"
    log.write_text(json.dumps({**EVENT, "CommandLine": "secret \x1b]0;owned\x07 [red]x"}) + "\n")
    _, said = at_terminal("explain", rule, log, columns=120)
    assert "\x1b]0" not in said
    assert "[red]x" in said
