"""What is told of raw lines is what would have been reported of the events in them."""

from __future__ import annotations

import gc
import io
import json
import weakref
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hunt.hunting import load, rule
from khien.events.mapping import Classifier
from khien.formats.json_records import read as read_json
from khien.formats.ndjson import LineReader
from khien.hunt.assembly import Period
from khien.hunt.finder import Finder
from khien.hunt.plans import HuntOptions, HuntPlan
from khien.rules.model import RuleSet

RULES = load(
    rule("any", {"s": {"EventID": 1}, "condition": "s"}),
    rule("image", {"s": {"Image|endswith": ["\\a.exe", "b.exe"]}, "condition": "s"}),
    rule("open", {"s": {"Image|contains": "a", "CommandLine|re": "x+.{2}"}, "condition": "s"}),
    rule(
        "either", {"s": {"CommandLine|contains": "y"}, "t": {"Image|contains|all": ["a", "exe"]}, "condition": "1 of *"}
    ),
    rule("not", {"s": {"User|contains": "b"}, "t": {"CommandLine": None}, "condition": "not s and not t"}),
    rule("same", {"s": {"Image|fieldref": "CommandLine"}, "condition": "s"}),
    rule("gone", {"s": {"Missing": None}, "condition": "s"}),
    rule("word", {"k": ["needle"], "condition": "k"}),
)

times = st.one_of(
    st.sampled_from(
        ["2026-03-02T01:02:03.5Z", "2026-03-02 01:02:03", "2024-02-29T00:00:00.123456789Z", "2026-02-29T00:00:00Z", "2026-03-02T24:00:00Z",
         "2026-03-02T01:02:60Z", "2026-03-02T01:02:03+07:00", "2026-03-02T01:02:03.", "0000-01-01T00:00:00", "0001-01-01T00:00:00Z", "2026/03/02 01:02:03",
         "3/2/2026 1:02:03 PM", "1772413323", 1772413323, 1772413323000, "", "-", None, [], ["2026-03-02T01:02:03Z"], "2026-03-02T01:02:03.1234567 Z", True]
    ),
    st.datetimes().map(lambda moment: moment.isoformat()),
)  # fmt: skip
words = st.sampled_from(
    ["C:\\x\\a.exe", "b.exe", "xxa", "xx..", "y", "x a exe", "đ", "\u2028", "-", "", "needle", '"', "a\x01b", "\U0001f600", "/", None, 5, 1.5, -0.0,
     10**18, 10**20, True, [], ["b.exe"], {"a": 1}, 1e300]
)  # fmt: skip
names = st.one_of(words, st.just({"name": "inner"}))
events = st.fixed_dictionaries(
    {},
    optional={
        "TimeCreated": times, "@timestamp": times, "EventTime": times, "UtcTime": times, "Hostname": words, "Computer": words, "host": names,
        "User": words, "SourceUser": words, "Image": words, "CommandLine": words, "RecordNumber": words, "UserID": words, "Other": words,
    },
)  # fmt: skip


def kept(finder: Finder, data: bytes, lines: bool) -> list[Any]:
    """Findings of events by the scan of their lines, or by the general reader."""
    found: list[Any] = []
    if lines:
        for batches in LineReader(Classifier.load(), finder).read(io.BytesIO(data), "đ.json", pytest.fail):
            found += finder.find(batches)[0]
    else:
        classifier = Classifier.load()
        for block in read_json(io.BytesIO(data), "đ.json", pytest.fail):
            found += finder.find(classifier.batches(block, "đ.json", finder))[0]
    return [(rule_id, orjson.loads(encoded.line(3))) for encoded, rule_id in found]


def nested(event: dict[str, Any], number: bool) -> dict[str, Any]:
    """The event as Windows' own XML has it: its times and names in System, all else as data."""
    system: dict[str, Any] = {
        "Provider": {"#attributes": {"Name": "Microsoft-Windows-Sysmon", "Guid": "x"}},
        "EventID": 1 if number else {"#attributes": {"Qualifiers": 0}, "#text": 1},
        "Channel": "Microsoft-Windows-Sysmon/Operational",
        "Correlation": None,
        "Execution": {"#attributes": {"ProcessID": 4, "ThreadID": 5}},
        "Level": 4,
    }
    if "TimeCreated" in event:
        system["TimeCreated"] = {"#attributes": {"SystemTime": event["TimeCreated"]}}
    if "Computer" in event:
        system["Computer"] = event["Computer"]
    data = {name: value for name, value in event.items() if name not in ("TimeCreated", "Computer")}
    return {"Event": {"#attributes": {"xmlns": "x"}, "System": system, "EventData": {**data, "Level": 9}}}


@settings(max_examples=500, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(events, min_size=1, max_size=4), st.booleans(), st.booleans(), st.booleans())
def test_told_and_assembled_findings_are_the_same(
    made: list[dict[str, Any]], escaped: bool, number: bool, as_xml: bool
) -> None:
    head = {"EventID": 1 if number else "1", "Channel": "Microsoft-Windows-Sysmon/Operational"}
    shaped = [nested(event, number) if as_xml else {**head, **event} for event in made]
    data = b"".join(json.dumps(event, ensure_ascii=escaped).encode() + b"\n" for event in shaped)
    plan = HuntPlan(RULES, HuntOptions())
    finder = Finder(plan)
    told = [kept(finder, data, lines=True) for _ in range(2)]  # the second time the core knows the answers
    assembled = kept(Finder(plan), data, lines=False)
    assert told == [assembled, assembled]
    for one, other in zip(told[0], assembled, strict=True):
        assert list(one[1]) == list(other[1])
        assert list(one[1]["event"]) == list(other[1]["event"])


def test_most_findings_are_told_without_a_look_at_the_event() -> None:
    plan = HuntPlan(
        RuleSet(tuple(each for each in RULES.rules if each.id not in ("id-same", "id-word"))), HuntOptions()
    )
    finder = Finder(plan)
    event = {
        "EventID": 1,
        "Channel": "Microsoft-Windows-Sysmon/Operational",
        "Image": "C:\\x\\a.exe",
        "CommandLine": "xx..",
    }
    data = b"".join(orjson.dumps({**event, "Other": other}) + b"\n" for other in range(100))
    (batches,) = LineReader(Classifier.load(), finder).read(io.BytesIO(data), "x", pytest.fail)
    assert not batches
    findings, hits = finder.find(batches)
    assert len(findings) == 600
    assert not hits
    assert [encoded.record for encoded, _ in findings] == [number for number in range(1, 101) for _ in range(6)]
    record = {name: value for name, value in event.items() if name not in ("EventID", "Channel")}
    lines = [json.dumps(nested({**record, "Other": other}, number=True)) for other in range(100)]
    assert not LineReader(Classifier.load(), finder).read_records(lines, range(5, 105), "x", pytest.fail)
    assert [encoded.record for encoded, _ in finder.find([])[0]] == [n for n in range(5, 105) for _ in range(6)]


@pytest.mark.parametrize("line", [rb'"\ud83d"', rb'"\ud83d\ude00"', b'"a",\r "b":1', b"1e5", b"123456789012345678901"])
def test_lines_that_are_not_plain_go_to_python(line: bytes) -> None:
    data = b'{"EventID":1,"Channel":"Microsoft-Windows-Sysmon/Operational","x":%s}\n' % line
    problems: list[Any] = []
    finder = Finder(HuntPlan(RULES, HuntOptions()))
    (batches,) = LineReader(Classifier.load(), finder).read(io.BytesIO(data), "x", problems.append)
    assert batches or problems


def test_a_period_has_every_event_looked_at() -> None:
    plan = HuntPlan(RULES, HuntOptions(period=Period(since=1_772_413_323_000_000)))
    stamped = b'{"EventID":1,"Channel":"Microsoft-Windows-Sysmon/Operational","TimeCreated":"%s"}\n'
    data = stamped % b"2026-03-02T01:02:03Z" + stamped % b"2026-03-02T01:02:02Z"
    assert {finding["record"] for _, finding in kept(Finder(plan), data, lines=True)} == {4}


HEAD = '"EventID":1,"Channel":"Microsoft-Windows-Sysmon/Operational"'
SYSTEM = HEAD + ',"Provider":{"#attributes":{"Guid":"g","Name":"p"}}'


@pytest.mark.parametrize(
    "line",
    [
        '{HEAD,"TimeCreated":"2026-01-01T00:00:00.' + "0" * 60 + 'Z"}',
        '{"Event":{"System":{SYSTEM},"EventData":{"A":"1"},"EventData":null}}',
        '{"Event":{"System":{SYSTEM,"Level":{"#text":1},"Level":4},"EventData":{}}}',
        '{"Event":{"System":{SYSTEM,"Execution":{"#attributes":{"ProcessID":1}},"Execution":null}}}',
        '{"Event":{"System":{SYSTEM},"UserData":{"attributes":{"x":"1"}}}}',
        '{"Event":{"System":{SYSTEM},"EventData":{' + ",".join(f'"f{n}":{n}' for n in range(300)) + "}}}",
        '{"Event":{"System":{SYSTEM}},"Records":[{"a":1}]}',
        '{HEAD,"System":{"EventID":2,"Channel":"Security"}}',
        '{HEAD,"winlog.channel":"Security"}',
        '{HEAD,"EventType":"' + "x" * 5_000 + '"}',
    ],
)
def test_lines_of_odd_shapes_are_read_as_everywhere(line: str) -> None:
    plan = HuntPlan(RULES, HuntOptions())
    data = line.replace("SYSTEM", SYSTEM).replace("HEAD", HEAD).encode() + b"\n"
    told, assembled = kept(Finder(plan), data, lines=True), kept(Finder(plan), data, lines=False)
    assert told == assembled
    assert [list(finding["event"]) for _, finding in told] == [list(finding["event"]) for _, finding in assembled]


def test_what_matched_does_not_depend_on_other_rules() -> None:
    either = {"s": {"EventID": 1}, "t": {"Image|fieldref|contains": "CommandLine"}, "condition": "s or t"}
    other = {"s": {"Image|fieldref|contains": "CommandLine", "User|contains": "zzz"}, "condition": "s"}
    data = b'{"EventID":1,"Channel":"Microsoft-Windows-Sysmon/Operational","Image":"abc","CommandLine":"b"}\n'
    found = []
    for rules in ([rule("r", either)], [rule("r", either), rule("r2", other)]):
        plan = HuntPlan(load(*rules), HuntOptions())
        found += [kept(Finder(plan), data, lines=lines) for lines in (True, False)]
    assert [[each["field"] for each in finding["matched"]] for ((_, finding),) in found] == [["EventID"]] * 4


@pytest.mark.parametrize(("keyword", "number"), [("1e-05", "0.00001"), ("12345678901234568", "12345678901234567.0")])
def test_keywords_are_found_in_numbers_as_they_are_read(keyword: str, number: str) -> None:
    plan = HuntPlan(load(rule("k", {"k": [keyword], "condition": "k"})), HuntOptions())
    data = b'{"EventID":1,"Channel":"Microsoft-Windows-Sysmon/Operational","x":%s}\n' % number.encode()
    assert len(kept(Finder(plan), data, lines=True)) == len(kept(Finder(plan), data, lines=False)) == 1


def test_findings_come_in_the_order_of_record_numbers() -> None:
    finder = Finder(HuntPlan(RULES, HuntOptions()))
    line = json.dumps(nested({}, number=True))
    LineReader(Classifier.load(), finder).read_records([line] * 3, [900, 5, 7], "x", pytest.fail)
    assert [encoded.record for encoded, rule_id in finder.find([])[0] if rule_id == "id-any"] == [5, 7, 900]


def test_readers_and_finders_go_when_nobody_has_them() -> None:
    """By their reference counts: hunts and the live service do without the collector of cycles."""
    finder = Finder(HuntPlan(RULES, HuntOptions()))
    reader = LineReader(Classifier.load(), finder)
    event = {"EventID": 1, "Channel": "Microsoft-Windows-Sysmon/Operational", "Image": "a.exe", "CommandLine": "xx.."}
    reader.read_block(orjson.dumps(event) + b"\n", "x", pytest.fail)
    finder.find([])
    gone = [weakref.ref(reader), weakref.ref(finder)]
    gc.disable()
    try:
        del reader, finder
        assert [each() for each in gone] == [None, None]
    finally:
        gc.enable()
