from __future__ import annotations

import datetime as dt
from contextlib import suppress
from ipaddress import ip_network
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khien.lake.errors import SearchError
from khien.lake.search_language import And, Compare, Has, Is, Not, Or, Pattern, Search, Text, Within, parse

NOW = dt.datetime(2026, 11, 24, 3, tzinfo=dt.UTC)
ZONE = ZoneInfo("Asia/Ho_Chi_Minh")


def read(text: str) -> Search:
    return parse(text, NOW, ZONE)


def word(text: str) -> Text:
    return Text(Pattern((text,)))


def field(name: str, *parts: str) -> Is:
    return Is(name, Pattern(parts))


def micros(year: int, month: int, day: int, hour: int = 0) -> int:
    return round(dt.datetime(year, month, day, hour, tzinfo=dt.UTC).timestamp()) * 1_000_000


@pytest.mark.parametrize(
    ("text", "term"),
    [
        ("", And(())),
        ("mimikatz", word("mimikatz")),
        ('"two words"', word("two words")),
        ("two words", And((word("two"), word("words")))),
        ("two AND words", And((word("two"), word("words")))),
        ("a OR b c", Or((word("a"), And((word("b"), word("c")))))),
        ("(a OR b) c", And((Or((word("a"), word("b"))), word("c")))),
        ("NOT a", Not(word("a"))),
        ("-a", Not(word("a"))),
        ("-host:web01", Not(field("host", "web01"))),
        ("NOT (a b)", Not(And((word("a"), word("b"))))),
        ("well-known", word("well-known")),
        ("a - b", And((word("a"), word("-"), word("b")))),
        ("host:web*", field("host", "web", "*", "")),
        ("host:w?b**1", field("host", "w", "?", "b", "*", "1")),
        (r"key:*\Run\*", field("key", "", "*", "\\Run\\", "*", "")),
        ('host:"w*b"', field("host", "w*b")),
        (r'"C:\Windows\System32"', word(r"C:\Windows\System32")),
        (r'"say \"hi\" now"', word('say "hi" now')),
        (r'process:"C:\Temp\"', field("process", "C:\\Temp\\")),
        (r"process:*\cmd.exe", field("process", "", "*", r"\cmd.exe")),
        ('"user name":x', field("user name", "x")),
        ("winlog.event_data.Image:x", field("winlog.event_data.Image", "x")),
        ("url:https://a.vn/x?y", field("url", "https://a.vn/x", "?", "y")),
        ("DestinationIp:*", Has("DestinationIp")),
        ("event_id:>=4000", Compare("event_id", ">=", 4000.0)),
        ("user:<m", Compare("user", "<", "m")),
        ("src_ip:10.0.0.0/8", Within("src_ip", ip_network("10.0.0.0/8"))),
        ("src_ip:10.1.2.3/8", Within("src_ip", ip_network("10.0.0.0/8"))),
        ("src_ip:2001:db8::/32", Within("src_ip", ip_network("2001:db8::/32"))),
        ("src_ip:2001:db8::1", field("src_ip", "2001:db8::1")),
        ("time:>=2026-11-24", Compare("time", ">=", micros(2026, 11, 23, 17))),
        ("or and not", And((word("or"), word("and"), word("not")))),
        ('"OR"', word("OR")),
        ("tiếng:Việt", word("tiếng:Việt")),
    ],
)
def test_a_search_is_read_as_it_is_meant(text: str, term: object) -> None:
    assert read(text).term == term


@pytest.mark.parametrize(
    ("text", "since", "until"),
    [
        ("since:24h", micros(2026, 11, 23, 3), None),
        ("since:7d until:1d", micros(2026, 11, 17, 3), micros(2026, 11, 23, 3)),
        ("since:2026-11-20", micros(2026, 11, 19, 17), None),
        ("since:2026-11-20T08:00", micros(2026, 11, 20, 1), None),
        ("since:2026-11-20T08:00Z", micros(2026, 11, 20, 8), None),
        ('since:"2026-11-20 08:00:00+00:00"', micros(2026, 11, 20, 8), None),
        ("since:today", micros(2026, 11, 23, 17), None),
        ("since:yesterday until:today", micros(2026, 11, 22, 17), micros(2026, 11, 23, 17)),
        ("until:now", None, NOW.timestamp() * 1_000_000),
    ],
)
def test_times_without_a_zone_are_local_and_bounds_are_utc(text: str, since: int | None, until: int | None) -> None:
    assert (read(text).since, read(text).until) == (since, until)


@pytest.mark.parametrize(
    ("text", "what", "at"),
    [
        ('"abc', "this quote is not closed", 0),
        ('a ""', "there is nothing between the quotes", 2),
        ("(a", "this parenthesis is not closed", 0),
        ("a)", "this parenthesis closes nothing", 1),
        ("()", "a term is missing", 1),
        ("a OR", "a term is missing", 4),
        ("OR a", "a term is missing before OR", 0),
        ("AND a", "AND joins two terms", 0),
        ("a AND", "a term is missing after AND", 5),
        ("NOT", "a term is missing after NOT", 3),
        ("host:", "a value is missing after host:", 5),
        ("host:(a b)", "a field takes one value", 5),
        (":x", "a field name is missing before the colon", 0),
        (r"C:\Windows", "looks like field:value", 0),
        ("x http://a.vn", "looks like field:value", 2),
        ('a"b', "a quote stands inside a word", 1),
        ("event_id:>=", "a value is missing after >=", 0),
        ("src_ip:10.0.0/8", "this is no network", 0),
        ("a since:soon", "'soon' is no time", 2),
        ("a OR since:1h", "counts for the whole search", 5),
        ("since:1h a OR b", "count for the whole search", 11),
        ("NOT since:1h", "counts for the whole search", 4),
        ("(a since:1h)", "counts for the whole search", 3),
        ("since:1h until:2h", "since: is not before until:", 9),
        ("(" * 60 + "a" + ")" * 60, "nested too deep", 50),
    ],
)
def test_an_error_shows_the_place_and_the_remedy(text: str, what: str, at: int) -> None:
    with pytest.raises(SearchError) as caught:
        read(text)
    assert what in caught.value.what
    shown, mark = caught.value.shown.split("\n")
    assert mark.index("^") - 4 == min(at, 40)
    assert shown.strip() in text


@given(st.text(max_size=60))
def test_any_text_is_a_search_or_an_error_of_the_search(text: str) -> None:
    with suppress(SearchError):
        read(text)


@given(st.text('ab:"()-* \\?<>=/10.sinceORNOT', max_size=30))
def test_any_signs_of_the_language_are_a_search_or_an_error_of_the_search(text: str) -> None:
    with suppress(SearchError):
        read(text)
