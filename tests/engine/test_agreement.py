"""The engine and the reference evaluator agree: on made-up rules and events, and on recorded ones."""

from __future__ import annotations

import io
import itertools
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from khien.engine.detector import Detector
from khien.engine.keywords import keyword_search
from khien.events.batch import EventBatch, EventKind
from khien.events.logsource import LogSource
from khien.events.mapping import Classifier, event_text
from khien.events.records import RecordBlock
from khien.formats.evtx import read as read_evtx
from khien.formats.evtx import read_lines as read_evtx_lines
from khien.formats.json_records import read as read_json
from khien.formats.ndjson import LineReader
from khien.hunt.finder import Finder
from khien.hunt.plans import HuntOptions, HuntPlan
from khien.rules.collection import load_rules, load_sources
from reference.evaluator import ABSENT, ReferenceRule, field_value

SOURCE = {"product": "test", "category": "made"}
KIND = EventKind("test", (LogSource("test", "made", ""),))
FIELDS = ("a", "b", "c.d", "Tên")

words = st.text(alphabet="abAB đĐữỮ-/–*?\\.:\x02\x03\x00\n_1%", min_size=0, max_size=6)
values = st.one_of(
    words,
    st.sampled_from(["", "1", "true", "01", "1.0", "10.1.2.3", "::1", "-a -b", "aab", "AĐb", "\\\\a\\b"]),
    st.integers(-2, 12),
    st.booleans(),
    st.none(),
    st.sampled_from([0.0, 1.0, 2.5]),
)
event_values = st.one_of(values, st.lists(values, max_size=3), st.fixed_dictionaries({}, optional={"d": values}))
events = st.fixed_dictionaries(
    {}, optional={"a": event_values, "b": event_values, "c": event_values, "Tên": event_values, "c.d": values}
)

text_keys = st.builds(
    lambda field, parts: "|".join((field, *parts)),
    st.sampled_from(FIELDS),
    st.sampled_from(
        [
            (), ("contains",), ("startswith",), ("endswith",), ("contains", "all"), ("cased",), ("contains", "cased"), ("neq",),
            ("windash", "contains"), ("contains", "windash", "all"), ("base64offset", "contains"), ("wide", "base64offset", "contains"),
            ("utf16le", "base64", "contains"), ("startswith", "cased", "neq"), ("endswith", "all"),
        ]
    ),
)  # fmt: skip
plain_words = st.text(alphabet="abđ-1 ", min_size=1, max_size=4)


@st.composite
def detection_items(draw: st.DrawFn) -> tuple[str, Any]:
    which = draw(st.integers(0, 9))
    field = draw(st.sampled_from(FIELDS))
    if which <= 4:
        key = draw(text_keys)
        of = plain_words if "base64" in key or "wide" in key or "utf16" in key else words
        return key, draw(st.one_of(of, st.lists(of, min_size=1, max_size=3)))
    if which == 5:
        return field, draw(st.one_of(values, st.lists(values, min_size=1, max_size=3)))
    if which == 6:
        operator = draw(st.sampled_from(["lt", "lte", "gt", "gte"]))
        if draw(st.booleans()):
            return field, {"gte": draw(st.integers(-1, 5)), operator: draw(st.integers(0, 9))}
        return f"{field}|{operator}", draw(st.one_of(st.integers(-1, 9), st.just(2.5)))
    if which == 7:
        return f"{field}|exists", draw(st.booleans())
    if which == 8:
        modifiers = draw(
            st.sampled_from(
                [
                    "fieldref",
                    "fieldref|contains",
                    "fieldref|startswith|cased",
                    "fieldref|neq",
                    "fieldref|endswith",
                ]
            )
        )
        return f"{field}|{modifiers}", draw(st.sampled_from(FIELDS))
    pattern = draw(
        st.sampled_from(
            [
                "a+b?",
                "^a",
                "b$",
                "[aA].",
                "a|đ",
                "\\d+",
                "\\s-",
                "(?:ab){2}",
                "a.b",
                "(?i)ab",
                "\\bA",
                "[^a]b",
                "aabb",
                "A{3,}",
            ]
        )
    )
    flags = draw(st.sampled_from(["re", "re|i", "re|s", "re|i|m", "re|neq"]))
    return f"{field}|{flags}", pattern


maps = st.lists(detection_items(), min_size=1, max_size=3).map(dict)
keywords = st.lists(plain_words, min_size=1, max_size=2)
bodies = st.one_of(maps, maps, st.lists(maps, min_size=1, max_size=2), keywords)
conditions = st.sampled_from(
    [
        "s1", "not s1", "s1 and s2", "s1 or not s2", "s1 and not 1 of f_*", "1 of s*", "all of s*", "1 of them", "all of them",
        "(s1 or f_1) and not s2", "not (s1 and f_1)", "2 of them", "s1 and (s2 or f_1)",
    ]
)  # fmt: skip


@st.composite
def rules(draw: st.DrawFn) -> dict[str, Any]:
    detection = {name: draw(bodies) for name in ("s1", "s2", "f_1")}
    return {"title": "made", "logsource": SOURCE, "detection": {**detection, "condition": draw(conditions)}}


def engine_verdicts(made: list[dict[str, Any]], batch_of: list[dict[str, Any]]) -> set[tuple[int, str]]:
    documents = [{**rule, "id": str(number), "title": f"made {number}"} for number, rule in enumerate(made)]
    data = yaml.safe_dump_all(documents, allow_unicode=True).encode()
    loaded = load_sources([("made.yml", data)], {})
    assert not loaded.unusable, loaded.unusable
    detector = Detector(loaded)
    classifier = Classifier([])
    block = RecordBlock("json", list(range(len(batch_of))), [{**event, "logsource": SOURCE} for event in batch_of])
    found = set()
    for batch in classifier.batches(block, "made", detector):
        if batch.texts is not None:
            batch.texts = [event_text(batch_of[number]) for number in batch.numbers]
        found |= {(batch.numbers[match.index], match.rule.id) for match in detector.detect(batch)}
    return found


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(rules(), min_size=1, max_size=4), st.lists(events, min_size=1, max_size=5))
def test_engine_and_reference_agree_on_made_up_rules_and_events(
    made: list[dict[str, Any]], batch: list[dict[str, Any]]
) -> None:
    round_trip = yaml.safe_load_all(yaml.safe_dump_all(made, allow_unicode=True))
    references = [ReferenceRule(rule) for rule in round_trip]
    expected = {
        (number, str(at))
        for number, event in enumerate(batch)
        for at, reference in enumerate(references)
        if reference.matches(event)
    }
    assert engine_verdicts(made, batch) == expected


WINDOWS = {"product": "windows", "service": "sysmon"}
FLAT = {"EventID": 255, "Channel": "Microsoft-Windows-Sysmon/Operational"}


def line_verdicts(made: list[dict[str, Any]], lines: list[str]) -> set[tuple[int, str]]:
    """What a hunt through JSON lines finds, by the scanning core."""
    documents = [{**rule, "logsource": WINDOWS, "id": str(n), "title": f"made {n}"} for n, rule in enumerate(made)]
    loaded = load_sources([("made.yml", yaml.safe_dump_all(documents, allow_unicode=True).encode())], {})
    finder = Finder(HuntPlan(loaded, HuntOptions(level="informational")))
    reader = LineReader(Classifier.load(), finder)
    data = "\n".join(lines).encode("utf-8", "surrogatepass")
    return {
        (encoded.record - 1, rule_id)
        for batches in reader.read(io.BytesIO(data), "made", lambda problem: None)
        for encoded, rule_id in finder.find(batches)[0]
    }


def nested(event: dict[str, Any]) -> dict[str, Any]:
    """The same event as Windows' own XML has it."""
    system = {
        "Provider": {"#attributes": {"Name": "Microsoft-Windows-Sysmon"}},
        "EventID": {"#attributes": {"Qualifiers": 0}, "#text": 255},
        "Channel": FLAT["Channel"],
        "Security": None,
    }
    return {"Event": {"System": system, "EventData": event}}


flat_fields = {"a": event_values, "b": event_values, "Tên": event_values}


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(rules(), min_size=1, max_size=4),
    st.lists(st.fixed_dictionaries({}, optional=flat_fields), min_size=1, max_size=5),
    st.booleans(),
    st.booleans(),
)
def test_the_scan_of_lines_and_the_reference_agree(
    made: list[dict[str, Any]], batch: list[dict[str, Any]], as_xml: bool, escaped: bool
) -> None:
    if as_xml:  # objects in EventData carry attributes
        batch = [{k: v for k, v in event.items() if not isinstance(v, dict)} for event in batch]
    shaped = [nested(event) if as_xml else {**FLAT, **event} for event in batch]
    # Each twice: the second time the core remembers its values.
    lines = [json.dumps(event, ensure_ascii=escaped) for event in shaped] * 2
    seen = [
        {**event, "EventID": 255, "Channel": FLAT["Channel"], "Provider_Name": "Microsoft-Windows-Sysmon"}
        if as_xml
        else {**FLAT, **event}
        for event in batch
    ] * 2
    references = [ReferenceRule(rule) for rule in yaml.safe_load_all(yaml.safe_dump_all(made, allow_unicode=True))]
    expected = {
        (number, str(at))
        for number, event in enumerate(seen)
        for at, reference in enumerate(references)
        if reference.matches(event)
    }
    assert line_verdicts(made, lines) == expected


def corpus(folder: Path) -> Iterator[dict[str, Any]]:
    for sub in sorted(folder.glob("rules*")):
        for file in sorted(sub.rglob("*.yml")):
            if sub.name == "rules-placeholder":
                continue
            yield from (doc for doc in yaml.load_all(file.read_bytes(), Loader=yaml.CSafeLoader) if "detection" in doc)


class Seen(dict[str, Any]):
    """An event by its Sigma field names: an alias stands for the first of its own names that is there."""

    def __init__(self, event: dict[str, Any], kind: EventKind) -> None:
        super().__init__(event)
        for name, own in kind.aliases.items():
            self.pop(name, None)
            for each in own:
                value = field_value(event, each)
                if value is not ABSENT:
                    self[name] = value
                    break


class Everything:
    """A detector that also keeps each batch it is asked about."""

    def __init__(self, folder: Path) -> None:
        rules = load_rules([p for p in sorted(folder.glob("rules*")) if p.name != "rules-placeholder"])
        self.detector = Detector(rules)
        self.finder = Finder(HuntPlan(rules, HuntOptions(level="informational")))
        self.references = [(rule["id"], rule["logsource"], ReferenceRule(rule)) for rule in corpus(folder)]
        self.by_kind: dict[int, list[tuple[str, ReferenceRule]]] = {}

    def applicable(self, kind: EventKind) -> list[tuple[str, ReferenceRule]]:
        if id(kind) not in self.by_kind:
            sources = [(s.product, s.category, s.service) for s in kind.logsources]
            self.by_kind[id(kind)] = [
                (rule_id, reference)
                for rule_id, source, reference in self.references
                if any(
                    all(
                        not source.get(k) or source[k] == v
                        for k, v in zip(("product", "category", "service"), mine, strict=True)
                    )
                    for mine in sources
                )
            ]
        return self.by_kind[id(kind)]

    def check(self, kind: EventKind, event: dict[str, Any], found: set[str], where: str) -> None:
        seen = Seen(event, kind)
        expected = {rule_id for rule_id, reference in self.applicable(kind) if reference.matches(seen)}
        assert found == expected, f"{where}: engine only {found - expected}, reference only {expected - found}"


@pytest.fixture(scope="module")
def everything(sigma_data: Path) -> Everything:
    return Everything(sigma_data)


def verdicts(detector: Detector, batches: Iterator[EventBatch]) -> dict[int, set[str]]:
    found: dict[int, set[str]] = {}
    for batch in batches:
        for match in detector.detect(batch):
            found.setdefault(batch.numbers[match.index], set()).add(match.rule.id)
    return found


def findings(finder: Finder, batches: list[EventBatch]) -> dict[int, set[str]]:
    found: dict[int, set[str]] = {}
    for encoded, rule_id in finder.find(batches)[0]:
        found.setdefault(encoded.record, set()).add(rule_id)
    return found


@pytest.mark.slow
def test_engine_and_reference_agree_on_all_regression_events_as_evtx_and_as_json(
    everything: Everything, sigma_data: Path
) -> None:
    classifier = Classifier.load()
    reader = LineReader(classifier, everything.finder)
    checked = 0
    for evtx in sorted((sigma_data / "regression_data").rglob("*.evtx")):
        found_as = {}
        for path, read in ((evtx, read_evtx), (evtx.with_suffix(".json"), read_json)):
            if not path.exists():
                continue
            events: dict[int, tuple[EventKind, dict[str, Any]]] = {}
            found: dict[int, set[str]] = {}
            with path.open("rb") as stream:
                for block in read(stream, str(path), pytest.fail):
                    for number, record in zip(block.numbers, block.records, strict=True):
                        events[number] = classifier.classify(block.family, record), record
                    found |= verdicts(everything.detector, classifier.batches(block, str(path), everything.detector))
            for number, (kind, event) in events.items():
                everything.check(kind, event, found.get(number, set()), f"{path.name} {number}")
                checked += 1
            found_as[path.suffix] = sorted(sorted(each) for each in found.values())
        with evtx.open("rb") as stream:
            scanned: dict[int, set[str]] = {}
            for numbers, lines in read_evtx_lines(stream, str(evtx), pytest.fail):
                batches = reader.read_records(lines, numbers, str(evtx), pytest.fail)
                scanned |= findings(everything.finder, batches)
            found_as["scan"] = sorted(sorted(each) for each in scanned.values())
        assert len({str(each) for each in found_as.values()}) == 1, f"{evtx}: EVTX and JSON differ"
    assert checked > 200


def sample(otrf: Path, most: int) -> list[bytes]:
    """Lines of all recordings: of each channel and event id the first of every recording, at most `most`."""
    lines: list[bytes] = []
    counts: dict[str, int] = {}
    for path in sorted(otrf.rglob("*.zip")):
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                if not member.filename.endswith((".json", ".log")) or "__MACOSX" in member.filename:
                    continue
                here: set[str] = set()
                with archive.open(member) as stream:
                    for line in itertools.islice(stream, 5_000):
                        try:
                            event = json.loads(line)
                        except ValueError:
                            continue
                        key = f"{event.get('Channel')} {event.get('EventID')} {event.get('@stream')}"
                        if key not in here and counts.get(key, 0) < most:
                            here.add(key)
                            counts[key] = counts.get(key, 0) + 1
                            lines.append(line.rstrip(b"\r\n"))
    return lines


@pytest.mark.slow
def test_engine_and_reference_agree_on_a_sample_of_recordings_by_both_readers(
    everything: Everything, otrf_data: Path
) -> None:
    lines = sample(otrf_data, 5)
    data = b"\n".join(lines) + b"\n"
    classifier = Classifier.load()
    fast: dict[int, set[str]] = {}
    for batches in LineReader(classifier, everything.finder).read(io.BytesIO(data), "sample", lambda problem: None):
        fast |= findings(everything.finder, batches)
    slow: dict[int, set[str]] = {}
    events: dict[int, tuple[EventKind, dict[str, Any]]] = {}
    for block in read_json(io.BytesIO(data), "sample", pytest.fail):
        for number, record in zip(block.numbers, block.records, strict=True):
            events[number] = classifier.classify(block.family, record), record
        for number, ids in verdicts(
            everything.detector, classifier.batches(block, "sample", everything.detector)
        ).items():
            slow.setdefault(number, set()).update(ids)
    assert fast == slow
    assert len(events) > 500
    for number, (kind, event) in events.items():
        everything.check(kind, event, slow.get(number, set()), f"line {number}")


def test_the_keyword_search_finds_keywords_in_any_case_and_behind_json_escapes() -> None:
    data = {"title": "k", "logsource": SOURCE, "detection": {"k": ["mimikatz"], "condition": "k"}}
    loaded = load_sources([("k.yml", yaml.safe_dump(data).encode())], {})
    detector = Detector(loaded)
    search = keyword_search(detector.keywords(KIND))
    assert search is not None
    for line in (b'{"a":"x MimiKatz"}', rb'{"a":"\u006dimikatz"}', '{"a":"mimi\u212aatz"}'.encode()):
        assert search.occur(line)
    assert not search.occur(b'{"a":"mimi katz"}')
