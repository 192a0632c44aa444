"""Which events a rule's log source covers."""

from __future__ import annotations

import pytest

from khien.events.logsource import LogSource

PROCESS = LogSource("windows", "process_creation", "")


@pytest.mark.parametrize(
    ("rule", "covers"),
    [
        (LogSource(), True),
        (LogSource("windows"), True),
        (LogSource("", "process_creation"), True),
        (LogSource("windows", "process_creation"), True),
        (LogSource("linux", "process_creation"), False),
        (LogSource("windows", "", "sysmon"), False),
    ],
)
def test_empty_parts_of_a_rule_cover_anything(rule: LogSource, covers: bool) -> None:
    assert rule.covers(PROCESS) is covers


def test_a_log_source_is_shown_with_stars_for_what_is_open() -> None:
    assert str(PROCESS) == "windows/process_creation/*"
