"""The tables for a terminal."""

from __future__ import annotations

import io
from zoneinfo import ZoneInfo

import pytest
from rich.cells import cell_len

from findings.made import correlation, finding, line, summary
from khien.errors import Problem
from khien.findings.finding import Finding
from khien.findings.summary import HuntSummary
from khien.findings.table import TableWriter, bytes_text, counted, duration_text, local, printable

ZONE = ZoneInfo("Asia/Ho_Chi_Minh")


def table(*made: Finding, closing: HuntSummary | None = None, zone: ZoneInfo = ZONE) -> str:
    stream = io.BytesIO()
    writer = TableWriter(stream, zone)
    for each in made:
        writer.write_line(line(each))
    writer.close(closing or summary(findings=len(made)))
    return stream.getvalue().decode()


@pytest.mark.parametrize("columns", [80, 100, 140, 200])
def test_no_line_is_wider_than_the_terminal(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    long = finding(title="A rule whose title says at length what an attacker did here " * 2, host="h" * 60)
    text = table(finding(), long, correlation(level="critical"))
    assert all(cell_len(row) <= columns for row in text.splitlines())
    assert "Encoded command" in text


def test_times_are_in_the_zone_with_its_offset_in_the_head(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "150")
    text = table(finding())
    assert "first (UTC+7)" in text
    assert "2026-03-02 08:02:03" in text
    assert "T1059.001" in text
    assert "may-01.tinh.example" in text
    assert "first (UTC)" in table(finding(), zone=ZoneInfo("UTC"))
    assert "first (UTC+5:30)" in table(finding(), zone=ZoneInfo("Asia/Kolkata"))


def test_a_narrow_table_counts_hosts_and_keeps_the_year(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    text = table(finding(), finding(host="may-02"), correlation())
    assert "2026-03-02 08:02" in text
    assert "may-02" not in text


def test_the_summary_says_what_was_found_searched_and_not_read() -> None:
    problem = Problem("/cases/1/x.evtx", "record 4", "the record is damaged", "Export it again", 3)
    text = table(
        finding(),
        finding(rule_id="b", level="low"),
        closing=summary(findings=2, files=1, unusable=4, problems=(problem,) * 25),
    )
    assert "2 findings: 1 high, 1 low" in text
    assert "1 file, 1.5 MB, 4,000 events in 2.0 s (2,000 events/s)" in text
    assert "60 rules and 8 correlations; 4 cannot be used" in text
    assert "25 parts of the input could not be read" in text
    assert "/cases/1/x.evtx, record 4: the record is damaged (3 times). Export it again" in text
    assert "and 5 more" in text


def test_no_findings_say_so() -> None:
    text = table()
    assert "0 findings" in text
    assert "level" not in text


def test_nothing_from_logs_or_rules_reaches_the_terminal_as_a_command() -> None:
    text = table(finding(title="red \x1b[31m [bold]x[/bold]", host="\x1b]0;owned\x07"))
    assert "\x1b" not in text
    assert "\x07" not in text
    assert "[bold]x[/bold]" in text
    assert printable("a\x1b[0mb\u202ec\n") == "a\ufffd[0mb\ufffdc\ufffd"


def test_figures_for_people() -> None:
    assert [bytes_text(size) for size in (0, 999, 1000, 2_500_000, 5 * 10**12)] == [
        "0 B", "999 B", "1.0 kB", "2.5 MB", "5000.0 GB",
    ]  # fmt: skip
    assert [duration_text(seconds) for seconds in (0.04, 42, 200, 3900)] == [
        "0.0 s",
        "42 s",
        "3 min 20 s",
        "1 h 05 min",
    ]
    assert [counted(number, "file") for number in (0, 1, 1234)] == ["0 files", "1 file", "1,234 files"]
    assert local("", ZONE) == ""
