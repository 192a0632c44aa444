"""The HTML report as a file; `tests/browser/test_report.py` opens it."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import re
from importlib import resources
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from findings.made import correlation, finding, line, summary
from khien.findings import html
from khien.findings.finding import Finding, Matched
from khien.findings.html import HtmlWriter
from khien.rules.model import RuleSet

_REPORT = resources.files("khien.findings") / "report"


def page(*made: Finding, **figures: Any) -> str:
    stream = io.BytesIO()
    writer = HtmlWriter(stream, ZoneInfo("Asia/Ho_Chi_Minh"), RuleSet(()))
    for each in made:
        writer.write_line(line(each))
    writer.close(summary(**({"findings": len(made)} | figures)))
    return stream.getvalue().decode()


def block(text: str, name: str) -> Any:
    found = re.search(rf'<script type="text/plain" id="{name}">([A-Za-z0-9+/=]*)</script>', text)
    assert found, name
    return json.loads(gzip.decompress(base64.b64decode(found[1])))


def test_the_policy_allows_this_script_and_style_and_nothing_else() -> None:
    text = page(finding())
    policy = re.search(r'<meta http-equiv="Content-Security-Policy" content="([^"]+)">', text)
    assert policy
    rules = policy[1].replace("&#x27;", "'")
    assert rules.startswith("default-src 'none';")
    assert "unsafe" not in rules
    style = re.search(r"<style>(.*?)</style>", text, re.DOTALL)
    script = re.search(r"<script>(.*?)</script>", text, re.DOTALL)
    assert style
    assert script
    for kind, body in (("style", style[1]), ("script", script[1])):
        digest = base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in rules
    assert not re.search(r"<(link|img|iframe|object|embed)\b|\bsrc=|@import|url\(", text)


def test_nothing_from_logs_stands_in_the_page_as_it_is() -> None:
    evil = "</script><script>alert(1)</script>"
    text = page(finding(title=evil, host=evil, path=evil, event={evil: evil}, matched=[Matched(evil, evil, evil)]))
    assert "alert(1)" not in text
    index = block(text, "index")
    assert evil in index["strings"]
    assert block(text, "events-0") == [[{evil: evil}, []]]


def test_rows_come_by_time_and_events_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(html, "CHUNK", 2)
    times = [f"2026-03-02T0{hour}:00:00.000000Z" for hour in (3, 1, 2, 5, 4)]
    text = page(*[finding(time=time, event={"n": number}) for number, time in enumerate(times)], finding(time=""))
    rows = block(text, "index")["findings"]
    assert [row[1] for row in rows[1:]] == sorted(row[1] for row in rows[1:])
    assert rows[0][1] is None
    events = [each[0].get("n") for number in range(3) for each in block(text, f"events-{number}")]
    assert events == [None, 1, 2, 0, 4, 3]
    assert "events-3" not in text


def test_beyond_the_limit_the_most_severe_are_shown_and_all_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(html, "MOST_DETAILED", 10)
    made = [
        finding(rule_id=level, level=level, record=number)
        for number in range(100)
        for level in ("low", "critical", "high")[number % 3 : number % 3 + 1]
    ]
    index = block(page(*made), "index")
    shown = [index["rules"][row[0]]["level"] for row in index["findings"]]
    assert shown == ["critical"] * 10
    assert index["levels"] == {"critical": 33, "high": 33, "medium": 0, "low": 34, "informational": 0}
    assert index["summary"]["shown"] == 10
    assert index["summary"]["findings"] == 100


@pytest.mark.parametrize(
    ("pattern", "value", "places"),
    [
        ("/-e(nc)?\\s/i", "powershell -ENC x", [11, 16]),
        ("/a/", "aXa", [0, 1, 2, 3]),
        ("/b/", "😀b", [2, 3]),
        ("/x*/", "yyy", []),
        ("/(?=look)/", "look", []),
    ],
)
def test_places_of_a_regular_expression_are_counted_as_javascript_counts(
    pattern: str, value: str, places: list[int]
) -> None:
    index = block(page(finding(matched=[Matched("F", value, pattern)])), "index")
    assert index["findings"][0][6][0][3] == places


@pytest.mark.parametrize("pattern", ["*x*", "/etc/passwd", "/", "//", "1102"])
def test_other_patterns_are_left_to_the_page(pattern: str) -> None:
    (match,) = block(page(finding(matched=[Matched("F", "x", pattern)])), "index")["findings"][0][6]
    assert len(match) == (4 if pattern == "//" else 3)


def test_long_values_are_cut_in_the_index_and_whole_in_the_event() -> None:
    value = "x" * 5_000
    text = page(finding(matched=[Matched("F", value, "*x*")], event={"F": value}))
    assert max(map(len, block(text, "index")["strings"])) == 2_000
    assert block(text, "events-0")[0][0]["F"] == value


def test_a_correlation_has_its_matches_and_figures() -> None:
    text = page(correlation())
    index = block(text, "index")
    assert index["strings"][index["findings"][0][7]] == "IpAddress: 203.0.113.9, distinct: 14"
    assert len(block(text, "events-0")[0][1]) == 2


def test_the_same_hunt_gives_the_same_page() -> None:
    assert page(finding(), correlation()) == page(finding(), correlation())


def test_words_are_complete_in_both_languages_and_all_are_used() -> None:
    words = json.loads((_REPORT / "words.json").read_text())
    assert set(words) == {"vi", "en"}
    assert list(words["vi"]) == list(words["en"])
    assert list(words["vi"]["tactics"]) == list(words["en"]["tactics"])
    for language in words.values():
        assert all(language.values())
    script = "".join((_REPORT / name).read_text() for name in html._SCRIPTS) + (_REPORT / "report.html").read_text()
    used = set(re.findall(r"words\.(\w+)", script)) | set(re.findall(r'data-word="(\w+)"', script))
    used |= {"critical", "high", "medium", "low", "informational", "light", "dark", "auto", "failed"}
    used |= {"oldest", "newest", "severest"}
    assert used == set(words["vi"])
