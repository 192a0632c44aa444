"""`khien rules`, run as a person runs it."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.runs import at_terminal, khien

GOOD = """
title: {title}
id: {id}
logsource: {{product: {product}}}
tags: [attack.t1003]
detection:
  s: {{A: b}}
  condition: s
level: {level}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rules = tmp_path / "rules"
    rules.mkdir()
    for number, (product, level) in enumerate((("windows", "high"), ("linux", "low"), ("windows", "critical"))):
        identity = f"00000000-0000-4000-8000-00000000000{number}"
        text = GOOD.format(title=f"Rule {number}", id=identity, product=product, level=level)
        (rules / f"{number}.yml").write_text(text)
    return rules


def test_check_counts_what_loads(folder: Path) -> None:
    done = khien("rules", "check", folder)
    assert done.returncode == 0
    assert done.stdout.decode() == "3 rules and 0 correlations loaded, 0 not usable, 0 with a warning\n"


def test_check_gives_the_place_and_reason_of_what_does_not(folder: Path) -> None:
    (folder / "bad.yml").write_text(GOOD.format(title="Bad", id="x", product="a", level="low").replace("A:", "A|odd:"))
    done = khien("rules", "check", folder)
    assert done.returncode == 3
    assert "bad.yml" in done.stdout.decode()
    assert "unknown modifier 'odd'" in done.stdout.decode()
    assert "3 rules and 0 correlations loaded, 1 not usable" in done.stdout.decode()


def test_a_folder_without_rules_is_wrong_usage(tmp_path: Path) -> None:
    done = khien("rules", "check", tmp_path)
    assert done.returncode == 2
    assert b"there is no rule file here" in done.stderr


def test_a_folder_without_test_events_is_wrong_usage(folder: Path) -> None:
    done = khien("rules", "test", folder)
    assert done.returncode == 2
    assert b"no test events" in done.stderr


def test_list_gives_a_line_a_rule_in_a_pipe(folder: Path) -> None:
    lines = khien("rules", "list", folder).stdout.decode().splitlines()
    assert len(lines) == 3
    assert lines[0].split("\t") == ["high", "00000000-0000-4000-8000-000000000000", "windows/*/*", "Rule 0"]


@pytest.mark.parametrize(
    ("arguments", "titles"),
    [
        (("--level", "high"), ["Rule 0", "Rule 2"]),
        (("--product", "Linux"), ["Rule 1"]),
        (("--search", "RULE 2"), ["Rule 2"]),
        (("--search", "T1003", "--level", "critical"), ["Rule 2"]),
        (("--search", "nothing"), []),
    ],
)
def test_list_narrows_by_level_product_and_text(folder: Path, arguments: tuple[str, ...], titles: list[str]) -> None:
    lines = khien("rules", "list", folder, *arguments).stdout.decode().splitlines()
    assert [line.split("\t")[3] for line in lines] == titles


def test_list_at_a_terminal_keeps_ids_whole(folder: Path) -> None:
    code, said = at_terminal("rules", "list", folder, columns=80)
    assert code == 0
    assert "00000000-0000-4000-8000-000000000002" in said
    assert "3 rules" in said
    assert said.index("Rule 2") < said.index("Rule 0") < said.index("Rule 1")


def test_an_unknown_level_is_wrong_usage(folder: Path) -> None:
    done = khien("rules", "list", folder, "--level", "huge")
    assert done.returncode == 2
    assert b"there is no level 'huge'" in done.stderr


def test_rule_tests_pass_and_fail(folder: Path) -> None:
    tests = folder / "0.tests.yml"
    text = """
rule: 00000000-0000-4000-8000-000000000000
tests:
  - {{name: finds b, match: true, events: [{{Channel: Security, EventID: 1, A: {value}}}]}}
"""
    tests.write_text(text.format(value="b"))
    done = khien("rules", "test", folder)
    assert (done.returncode, done.stdout.decode()) == (0, "1 passed, 0 failed\n")
    tests.write_text(text.format(value="c"))
    done = khien("rules", "test", folder)
    assert done.returncode == 1
    assert "FAILED" in done.stdout.decode()
    assert "finds b" in done.stdout.decode()


def test_sync_says_what_is_wrong_in_one_line(tmp_path: Path) -> None:
    for arguments, said in (
        (("--url", "https://127.0.0.1:9/x.zip"), "the archive cannot be fetched"),
        (("--ca-file", str(tmp_path / "none.pem")), "the certificates cannot be read"),
        (("--url", "http://127.0.0.1:9/x.zip"), ""),
    ):
        done = khien("rules", "sync", *arguments, home=tmp_path)
        assert done.returncode == 2, arguments
        assert b"Traceback" not in done.stderr
        assert said in done.stderr.decode()


def test_a_hunt_without_usable_rules_is_wrong_usage(tmp_path: Path) -> None:
    (tmp_path / "x.yml").write_text("title: x\n")
    done = khien("hunt", "-", "--rules", tmp_path, stdin=b"", home=tmp_path / "home")
    assert done.returncode == 2
    assert b"there is no usable rule" in done.stderr
    assert b"khien rules check" in done.stderr
