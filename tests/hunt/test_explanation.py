"""Why a rule matched an event, or did not."""

from __future__ import annotations

from pathlib import Path

from hunt.hunting import event, load, rule, write
from khien.formats.inputs import find_inputs
from khien.hunt.explanation import Branch, explain_inputs

DETECTION = {
    "tool": {"CommandLine|contains|all": ["alpha", "--now"]},
    "known": {"User|startswith": "SYT\\adm_"},
    "size": {"Size": {"gte": 5, "lt": 9}},
    "condition": "(tool or size) and not known",
}


def flat(branch: Branch, depth: int = 0) -> list[tuple[int, str, bool, str | None]]:
    inner = [line for item in branch.items for line in flat(item, depth + 1)]
    return [(depth, branch.label, branch.holds, branch.value), *inner]


def test_each_branch_says_whether_it_holds_and_what_value_it_saw(tmp_path: Path) -> None:
    log = write(tmp_path / "log.json", event("ALPHA later", Size=7))
    (found,), events = explain_inputs(load(rule("x", DETECTION)).rules[0], find_inputs([str(log)], print), 5, print)
    assert events == 1
    assert (found.path, found.record, found.matches) == (str(log), 1, True)
    (condition,) = found.conditions
    assert flat(condition) == [
        (0, "all of", True, None),
        (1, "any of", True, None),
        (2, "tool", False, None),
        (3, "all of", False, None),
        (4, "CommandLine: *alpha*", True, "ALPHA later"),
        (4, "CommandLine: *--now*", False, "ALPHA later"),
        (2, "size", True, None),
        (3, "Size: gte 5 lt 9", True, "7"),
        (1, "not", True, None),
        (2, "known", False, None),
        (3, r"User: SYT\adm_*", False, "SYT\\nv.a01"),
    ]


def test_matches_come_first_and_no_more_than_asked_for(tmp_path: Path) -> None:
    log = write(
        tmp_path / "log.json", *(event(f"nothing {n}") for n in range(5)), event("alpha --now"), event("alpha --now")
    )
    found, events = explain_inputs(load(rule("x", DETECTION)).rules[0], find_inputs([str(log)], print), 3, print)
    assert events == 7
    assert [(each.record, each.matches) for each in found] == [(6, True), (7, True), (1, False)]


def test_events_of_other_log_sources_are_not_tried(tmp_path: Path) -> None:
    other = {**event("alpha --now"), "EventID": 3}
    found, events = explain_inputs(
        load(rule("x", DETECTION)).rules[0], find_inputs([str(write(tmp_path / "log.json", other))], print), 3, print
    )
    assert (found, events) == ([], 1)


def test_what_is_missing_is_shown_as_missing_and_long_values_are_cut(tmp_path: Path) -> None:
    log = write(tmp_path / "log.json", event("y" * 500))
    (found,), _ = explain_inputs(load(rule("x", DETECTION)).rules[0], find_inputs([str(log)], print), 1, print)
    values = {label: value for _, label, _, value in flat(found.conditions[0])}
    assert values["Size: gte 5 lt 9"] == "(missing)"
    shown = values["CommandLine: *alpha*"]
    assert shown is not None
    assert len(shown) == 160
