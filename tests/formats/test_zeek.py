"""Zeek logs with their headers."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from formats.reading import blocks, read, read_one
from khien.events.batch import MISSING

HEAD = (
    "#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n#unset_field\t-\n#path\tdns\n#open\t2026-03-02-01-00-00\n"
    "#fields\tts\tuid\tid.orig_h\tid.resp_p\tquery\tqtype_name\tanswers\trejected\trtt\n"
    "#types\ttime\tstring\taddr\tport\tstring\tstring\tvector[string]\tbool\tinterval\n"
)
LINE = "1772413323.500000\tC1\t192.0.2.7\t53\tbad.example\tA\t192.0.2.8,192.0.2.9\tT\t0.5\n"


def test_values_have_the_types_that_the_header_names() -> None:
    seen = read_one(HEAD + LINE)
    expected = {
        "ts": 1772413323.5, "uid": "C1", "id.orig_h": "192.0.2.7", "id.resp_p": 53, "query": "bad.example",
        "answers": ["192.0.2.8", "192.0.2.9"], "rejected": True, "rtt": 0.5, "record_type": "A", "src_ip": "192.0.2.7",
    }  # fmt: skip
    assert {name: seen[name] for name in expected} == expected
    assert {"zeek/*/dns", "*/dns/*"} <= seen.sources
    assert seen.time == "2026-03-02T01:02:03.500000Z"


def test_unset_fields_are_missing_and_empty_ones_empty() -> None:
    seen = read_one(HEAD + "1772413323.5\tC1\t192.0.2.7\t53\t(empty)\t-\t(empty)\t-\t-\n")
    assert [seen[name] for name in ("query", "qtype_name", "answers", "rejected")] == ["", MISSING, [], MISSING]


def test_a_value_that_is_not_of_its_type_stays_text() -> None:
    assert read_one(HEAD + LINE.replace("\t53\t", "\tfifty\t"))["id.resp_p"] == "fifty"


def test_several_logs_may_stand_in_one_file() -> None:
    other = "#path\thttp\n#fields\tts\turi\tmethod\n#types\ttime\tstring\tstring\n1772413324.5\t/x\tGET\n"
    first, second = read(HEAD + LINE + "#close\t2026\n" + HEAD.split("#path")[0] + other)
    assert (first["query"], second["c-uri"]) == ("bad.example", "/x")
    assert {"zeek/*/http", "*/proxy/*"} <= second.sources


def test_another_separator_is_followed() -> None:
    text = (HEAD + LINE).replace("\\x09", "\\x7c").replace("\t", "|")
    assert read_one(text)["query"] == "bad.example"


def test_lines_without_the_fields_of_the_header_are_counted_once() -> None:
    found, problems = blocks("zeek", HEAD + LINE + "short\tline\n" + LINE)
    assert sum(len(block.records) for block in found) == 2
    assert [(problem.place, problem.count) for problem in problems] == [("line 10", 1)]


@pytest.mark.parametrize("separator", ["", "\\", "\\x", "\\xzz", "\\u12", "\\N{no}", "\udc80", "\\x00"])
def test_a_damaged_separator_does_not_raise(separator: str) -> None:
    blocks("zeek", f"#separator {separator}\n{HEAD}{LINE}".encode("utf-8", "surrogatepass"))


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_no_bytes_make_it_raise(data: bytes) -> None:
    for start in (b"", b"#separator ", HEAD.encode(), b"#separator \\x09\n#fields\t"):
        blocks("zeek", start + data)
