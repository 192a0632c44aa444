"""The detector's public behaviour: which rules match which events of a batch, and why."""

from __future__ import annotations

from typing import Any

import yaml

from khien.engine.detector import Detector
from khien.events.batch import EventBatch, EventKind, read_path
from khien.events.logsource import LogSource
from khien.events.mapping import event_text
from khien.rules.collection import load_sources
from khien.rules.model import Text

PROCESS = LogSource("windows", "process_creation", "")
KIND = EventKind(
    "test",
    (PROCESS, LogSource("windows", "", "sysmon")),
    aliases={"Image": ("NewProcessName", "Image")},
    constants={"EventID": 1},
)
OTHER = EventKind("other", (LogSource("linux", "", "auditd"),))


def rule(name: str, detection: Any, logsource: dict[str, str] | None = None) -> dict[str, Any]:
    source = logsource or {"product": "windows", "category": "process_creation"}
    return {"title": name, "id": name, "logsource": source, "detection": detection}


def detector(*rules: dict[str, Any]) -> Detector:
    loaded = load_sources([("made.yml", yaml.safe_dump_all(rules).encode())], {})
    assert not loaded.unusable, loaded.unusable
    return Detector(loaded)


def batch(engine: Detector, events: list[dict[str, Any]], kind: EventKind = KIND) -> EventBatch:
    fields = engine.fields(kind) or ()

    def value(event: dict[str, Any], field: str) -> Any:
        found = [read_path(event, name) for name in kind.names(field)]
        return next((each for each in found if repr(each) != "MISSING"), found[0])

    rows = [tuple(value(event, field) for field in fields) for event in events]
    texts = [event_text(event) for event in events] if engine.wants_text(kind) else None
    return EventBatch(kind, "log", fields, rows, list(range(1, len(events) + 1)), lambda at: events[at], texts)


def found(engine: Detector, *events: dict[str, Any], kind: EventKind = KIND) -> list[tuple[int, str]]:
    return [(match.index, match.rule.id) for match in engine.detect(batch(engine, list(events), kind))]


def test_matches_come_in_the_order_of_events_and_of_rules() -> None:
    engine = detector(
        rule("b", {"s": {"Image|endswith": "x"}, "condition": "s"}), rule("a", {"s": {"User": "An"}, "condition": "s"})
    )
    events = [{"Image": "x", "User": "an"}, {"Image": "y"}, {"NewProcessName": "xx"}]
    assert found(engine, *events) == [(0, "b"), (0, "a"), (2, "b")]


def test_only_rules_of_the_kinds_log_sources_are_tried() -> None:
    everything = {"s": {"User|exists": True}, "condition": "s"}
    sources: list[dict[str, str]] = [
        {"product": "windows"}, {"category": "process_creation"}, {"product": "windows", "service": "sysmon"},
        {"product": "linux"}, {"product": "windows", "service": "security"}, {"product": "windows", "category": "process_creation", "service": "sysmon"},
    ]  # fmt: skip
    engine = detector(*(rule(str(n), everything, source) for n, source in enumerate(sources)))
    assert found(engine, {"User": "x"}) == [(0, "0"), (0, "1"), (0, "2")]
    assert found(engine, {"User": "x"}, kind=OTHER) == [(0, "3")]


def test_a_kind_that_no_rule_can_match_is_not_read_at_all() -> None:
    engine = detector(rule("a", {"s": {"EventID": 4625, "User": "x"}, "condition": "s"}))
    assert engine.fields(KIND) is None
    assert engine.fields(OTHER) is None
    assert engine.scan(OTHER) is None
    assert found(engine, {"User": "x"}) == []


def test_only_fields_that_are_needed_are_asked_for() -> None:
    engine = detector(
        rule("a", {"s": {"EventID": 1, "User": "x"}, "t": {"EventID": 2, "Other": "y"}, "condition": "s or t"})
    )
    assert engine.fields(KIND) == ("User",)
    assert not engine.wants_text(KIND)


def test_constants_of_the_kind_decide() -> None:
    engine = detector(rule("a", {"s": {"EventID": 1}, "n": {"User": None}, "condition": "s and n"}))
    assert found(engine, {}, {"User": "x"}, {"User": None}) == [(0, "a"), (2, "a")]


def test_keywords_need_the_text_and_match_anywhere_in_it() -> None:
    engine = detector(rule("a", {"k": ["evil"], "condition": "k"}))
    assert engine.wants_text(KIND)
    assert [str(test) for test in engine.keywords(KIND)]
    assert found(engine, {"a": "x"}, {"a": {"b": ["an EVIL one"]}}) == [(1, "a")]


def test_a_match_says_which_tests_made_it_true() -> None:
    engine = detector(
        rule("a", {"s": {"User": "an", "Image|contains|all": ["x", "y"]}, "f": {"Image|endswith": "z"}, "condition": "s and not f"})
    )  # fmt: skip
    (match,) = engine.detect(batch(engine, [{"User": "An", "Image": "y-x"}]))
    assert {(test.field, test.parts) for test in match.tests if isinstance(test, Text)} == {
        ("User", ("an",)), ("Image", (0, "x", 0)), ("Image", (0, "y", 0)),
    }  # fmt: skip


def test_a_condition_list_matches_once() -> None:
    engine = detector(rule("a", {"s": {"User": "x"}, "t": {"Image": "y"}, "condition": ["s", "t"]}))
    assert found(engine, {"User": "x", "Image": "y"}, {"Image": "y"}) == [(0, "a"), (1, "a")]


def test_the_same_events_give_the_same_matches_however_they_are_cut_into_batches() -> None:
    engine = detector(
        *(rule(str(n), {"s": {"User|contains": f"u{n}"}, "t": {"Size|gt": n}, "condition": "s or t"}) for n in range(9))
    )
    events = [{"User": f"u{n % 11}", "Size": n % 7} for n in range(200)]
    whole = found(engine, *events)
    fresh = detector(
        *(
            {**rule(str(n), {"s": {"User|contains": f"u{n}"}, "t": {"Size|gt": n}, "condition": "s or t"})}
            for n in range(9)
        )
    )
    single = [(at, each) for at, event in enumerate(events) for _, each in found(fresh, event)]
    assert whole == single


def test_an_empty_batch_and_no_rules_give_nothing() -> None:
    assert found(detector(rule("a", {"s": {"User": "x"}, "condition": "s"}))) == []
    assert Detector(load_sources([], {})).fields(KIND) is None
