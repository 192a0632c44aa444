"""The queue's filter: what it means, and where it says what is wrong."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khien.console.alerts.criteria import Criteria, criteria
from khien.console.alerts.language import FilterError, Query, Term, read
from khien.console.alerts.models import Alert, SeenRule
from khien.console.alerts.scanning import find

NOW = datetime(2026, 11, 24, 9, 41, tzinfo=UTC)


def test_parts_are_read() -> None:
    query = read('level:high,critical -rule:noisy "encoded command" powersh* unit:"Sở Y tế",so-y-te')
    assert query.terms == (
        Term("level", ("high", "critical")),
        Term("rule", ("noisy",), negated=True),
        Term("unit", ("Sở Y tế", "so-y-te")),
    )
    assert query.texts == ("encoded command", "powersh*")
    assert str(query) == 'level:high,critical -rule:noisy unit:"Sở Y tế",so-y-te "encoded command" powersh*'
    assert read(str(query)) == query


@pytest.mark.parametrize("text", ["C:\\Windows\\Temp", "http://evil.example/a", "10.0.0.1:443", "a-b", "sha256:"])
def test_what_only_looks_like_a_part_is_content(text: str) -> None:
    assert read(text) == Query((), (text,))


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("level:high colour:red", "colour"),
        ("level: status:new", "level:"),
        ('status:new "unclosed', '"unclosed'),
        ('-"not this"', '-"not this"'),
    ],
)
def test_an_error_says_where(text: str, wrong: str) -> None:
    with pytest.raises(FilterError) as caught:
        read(text)
    assert text[caught.value.start : caught.value.end] == wrong


@pytest.mark.django_db
@pytest.mark.parametrize(
    "text",
    [
        "level:dangerous", "status:done", "unit:nowhere", "system:none-such", "owner:nobody-here", "incident:SC-1",
        "verdict:maybe", "since:yesterday", "since:24h,7d", "-since:24h", "made:machine", "host:web*,db*", "until:99999999w",
    ],
)  # fmt: skip
def test_a_value_that_there_is_not_is_told_at_its_place(province: Any, text: str) -> None:
    with pytest.raises(FilterError) as caught:
        criteria(read(f"x {text} y"), province.analyst)
    assert (caught.value.start, caught.value.end) == (2, 2 + len(text))


@given(st.text(max_size=200))
def test_whatever_is_written_is_read_or_refused_with_a_place(text: str) -> None:
    wrong, query = None, Query()
    try:
        query = read(text)
    except FilterError as error:
        wrong = error
    assert wrong is None or 0 <= wrong.start <= wrong.end <= len(text)
    assert read(str(query)) == query


def found(user: Any, text: str) -> set[int]:
    return set(find(criteria(read(text), user, now=NOW)).ids)


@pytest.mark.django_db
def test_each_key_finds_what_it_says(province: Any, make_alert: Any) -> None:
    one = make_alert(
        level=4, host="web01", rule="r-lsass", title="LSASS dump", tags=("attack.t1003.001", "attack.credential-access"),
        at=NOW - timedelta(hours=2), owner=province.health,
    )  # fmt: skip
    two = make_alert(
        unit="benh-vien", level=1, host="db01", rule="r-task", title="Scheduled task", tags=("attack.t1053",),
        at=NOW - timedelta(days=3), status=2, verdict="benign",
    )  # fmt: skip
    three = make_alert(unit=None, level=2, host="web02", rule="r-odd", at=NOW - timedelta(days=10))
    make_alert(unit="xa-mau", level=0, host="x", rule="r-other", at=NOW - timedelta(days=40))
    expected = {
        "level:critical": {one}, "level:critical,medium": {one, three}, "-level:informational,low": {one, three},
        "status:closed": {two}, "unit:so-y-te": {one, two}, "unit:=so-y-te": {one}, 'unit:"bệnh viện tỉnh (mẫu)"': {two}, "unit:none": {three},
        "owner:health@example.vn": {one}, "owner:none level:low": {two}, "owner:me": set(),
        "rule:r-task": {two}, "rule:lsass -level:low rule:r-lsass": {one}, "host:WEB01": {one}, "entity:web*": {one, three},
        "user:web01": set(), "tag:t1003": {one}, "technique:T1003.001,attack.t1053": {one, two}, "technique:t10": set(),
        "verdict:benign": {two}, "-verdict:none": {two}, "since:24h": {one}, "since:7d until:24h": {two},
        "since:2026-11-20T00:00 until:22/11/2026": {two}, "incident:any": set(), "incident:none host:db01": {two},
        "lsass web01": {one},
    }  # fmt: skip
    for text, alerts in expected.items():
        assert found(province.analyst, text) == {alert.pk for alert in alerts}, text


@pytest.mark.django_db
def test_nobody_finds_what_is_not_theirs(province: Any, make_alert: Any) -> None:
    own, below = make_alert(), make_alert(unit="benh-vien")
    make_alert(unit="xa-mau")
    make_alert(unit=None)
    for text in (
        "",
        "status:new",
        "lsass",
        "host:syt-pc-041",
        "-level:low",
        "rule:lsass",
        "-unit:benh-vien,so-y-te",
        "unit:none",
    ):
        assert found(province.health, text) <= {own.pk, below.pk}, text
    with pytest.raises(FilterError):
        found(province.health, "unit:xa-mau")
    with pytest.raises(FilterError):
        found(province.health, "owner:commune@example.vn")


@pytest.mark.django_db
def test_a_row_is_matched_as_the_database_does(province: Any, make_alert: Any) -> None:
    for level in range(5):
        make_alert(
            level=level,
            unit=("so-y-te", "xa-mau", None)[level % 3],
            host=f"web{level}",
            owner=province.health if level % 2 else None,
        )
    for text in (
        "level:low,high",
        "-unit:so-y-te",
        "unit:none",
        "owner:none",
        "-owner:none",
        "entity:web1*",
        "since:1h",
        "until:1h",
    ):
        wanted = criteria(read(text), province.analyst)
        assert {alert.pk for alert in Alert.objects.all() if wanted.matches(alert.__dict__)} == set(find(wanted).ids), (
            text
        )


@pytest.mark.django_db
def test_no_rule_of_a_tag_is_no_alert(province: Any) -> None:
    SeenRule.objects.create(rule_id="r", title="t", level=1, tags=["attack.t1003"])
    assert criteria(read("tag:t9999"), province.analyst).is_empty
    assert isinstance(criteria(read("tag:t1003"), province.analyst), Criteria)
