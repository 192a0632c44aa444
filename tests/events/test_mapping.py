"""From records to kinds: log sources and field names, by the mapping tables."""

from __future__ import annotations

from collections import defaultdict
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from formats.reading import see
from khien.errors import MappingError
from khien.events.batch import MISSING, EventKind, read_path
from khien.events.logsource import LogSource
from khien.events.mapping import Classifier, event_text, holds, parse_table
from khien.events.records import RecordBlock

SYSMON = "Microsoft-Windows-Sysmon/Operational"
TABLE = b"""
family: pump
product: pump
key: [kind, level]
constants: [kind]
claims: [{pump: "*"}]
time: [when]
kinds:
  - {logsources: [{service: all}]}
  - {when: {kind: [Start, stop*]}, logsources: [{category: run}], fields: {Image: [program, exe.path]}, user: [who]}
  - {when: {level: "*"}, logsources: [{product: other, category: levelled}]}
"""


def pump(record: dict[str, Any]) -> EventKind:
    return Classifier([parse_table(TABLE, "pump.yml")]).classify("pump", record)


def sources(kind: EventKind) -> set[str]:
    return {str(source) for source in kind.logsources}


def test_a_record_gets_every_entry_whose_conditions_hold() -> None:
    assert sources(pump({"kind": "start"})) == {"pump/*/all", "pump/run/*"}
    assert sources(pump({"kind": "STOPPED", "level": 0})) == {"pump/*/all", "pump/run/*", "other/levelled/*"}
    assert sources(pump({"kind": "other", "level": None})) == {"pump/*/all"}
    assert sources(pump({})) == {"pump/*/all"}


def test_an_entry_may_name_fields_and_users_of_its_own() -> None:
    kind = pump({"kind": "start"})
    assert kind.names("Image") == ("program", "exe.path")
    assert (kind.user, kind.time) == (("who",), ("when",))
    assert pump({"kind": "other"}).user == ()


def test_records_alike_in_their_key_share_one_kind() -> None:
    classifier = Classifier([parse_table(TABLE, "pump.yml")])
    first = classifier.classify("pump", {"kind": "start", "level": "1", "n": 1})
    second = classifier.classify("pump", {"kind": "start", "level": "2", "n": 2})
    assert first is second
    assert first.constants == {"kind": "start"}


def test_constants_keep_numbers_and_texts_apart() -> None:
    classifier = Classifier([parse_table(TABLE, "pump.yml")])
    kinds = [classifier.classify("pump", {"kind": value}) for value in (1, "1", True, 1.0)]
    assert [type(kind.constants["kind"]) for kind in kinds] == [int, str, bool, float]


def test_a_list_meets_a_condition_when_an_element_does() -> None:
    assert "pump/run/*" in sources(pump({"kind": ["x", "start"]}))
    assert "pump/run/*" not in sources(pump({"kind": ["x", {"y": "start"}]}))
    assert "pump/run/*" not in sources(pump({"kind": {"start": "start"}}))


def test_a_json_object_belongs_to_the_table_that_claims_it() -> None:
    classifier = Classifier([parse_table(TABLE, "pump.yml")])
    assert "pump/run/*" in sources(classifier.classify("json", {"pump": 1, "kind": "start"}))
    assert sources(classifier.classify("json", {"pump": None, "kind": "start"})) == set()


def test_an_object_that_no_table_claims_may_name_its_log_source() -> None:
    kind = see("json", {"logsource": {"product": "Acme", "service": "door"}, "user": "a"}).kind
    assert kind.logsources == (LogSource("acme", "", "door"),)
    assert see("json", {"logsource": "acme"}).kind.logsources == ()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (b"family: [", "not valid YAML"),
        (b"- 1", "not a mapping table"),
        (b"family: x\nkinds: []", "'kinds' is not a list"),
        (b"family: x\nkinds: {}\n", "'kinds' is not a list"),
        (b"family: x\nflavour: y\nkinds: [{}]", "flavour"),
        (b"family: x\nkinds: [{when: {a: 1}}]", "'a' is tested but not in 'key'"),
        (b"family: x\nkinds: [{logsources: [{vendor: y}]}]", "a log source has product"),
        (b"family: x\nkinds: [{fields: [a]}]", "'fields' is not a map"),
        (b"family: x\nkinds: [{fields: {a: [1]}}]", "'a' is not a list of names"),
        (b"family: x\nkey: [1]\nkinds: [{}]", "'key' is not a list of names"),
        (b"family: x\nclaims: [a]\nkinds: [{}]", "conditions are not a map"),
        (b"family: x\nclaims: [{}]\nkinds: [{}]", "a claim has no condition"),
        (b"family: x\nkinds: [text]", "kinds[0]"),
    ],
)
def test_a_table_that_is_not_valid_is_refused_with_its_place(change: bytes, says: str) -> None:
    with pytest.raises(MappingError) as error:
        parse_table(change, "mine.yml")
    assert "mine.yml" in str(error.value)
    assert says in str(error.value)


def test_tables_of_a_folder_of_ones_own_can_be_loaded(tmp_path: Path) -> None:
    (tmp_path / "pump.yml").write_bytes(TABLE)
    assert list(Classifier.load(tmp_path).tables) == ["pump"]


class EverythingOf:
    def __init__(self, *fields: str, text: bool = False) -> None:
        self._fields, self._text = fields, text

    def fields(self, kind: EventKind) -> tuple[str, ...] | None:
        return self._fields if kind.logsources else None

    def wants_text(self, kind: EventKind) -> bool:
        return self._text


def test_batches_have_the_wanted_fields_of_each_kind_in_input_order() -> None:
    records = [
        {"EventID": 1, "Channel": SYSMON, "Image": "a"},
        {"EventID": 4688, "Channel": "Security", "NewProcessName": "b"},
        {"EventID": 1, "Channel": SYSMON, "Image": "c"},
    ]
    block = RecordBlock("windows", [5, 6, 7], records)
    first, second = Classifier.load().batches(block, "x", EverythingOf("Image", "User", text=True))
    assert (first.rows, first.numbers) == ([("a", MISSING), ("c", MISSING)], [5, 7])
    assert (second.rows, second.numbers) == ([("b", MISSING)], [6])
    assert first.event(1) is records[2]
    assert first.texts == [f"1\n{SYSMON}\na", f"1\n{SYSMON}\nc"]


def test_kinds_that_no_rule_can_match_are_left_out() -> None:
    block = RecordBlock("json", [1], [{"nothing": "known"}])
    assert list(Classifier.load().batches(block, "x", EverythingOf("Image"))) == []


def test_the_text_of_an_event_has_every_value_on_its_own_line() -> None:
    assert event_text({"a": "x", "b": {"c": [1, None, {"d": True}]}, "e": ""}) == "x\n1\ntrue"


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ({"Channel": SYSMON, "EventID": 1}, {"windows/*/sysmon", "windows/process_creation/*"}),
        ({"Channel": SYSMON, "EventID": 11}, {"windows/*/sysmon", "windows/file_event/*"}),
        ({"Channel": SYSMON, "EventID": 12, "EventType": "CreateKey"},
         {"windows/*/sysmon", "windows/registry_event/*", "windows/registry_add/*"}),
        ({"Channel": SYSMON, "EventID": 12, "EventType": "DeleteValue"},
         {"windows/*/sysmon", "windows/registry_event/*", "windows/registry_delete/*"}),
        ({"Channel": SYSMON, "EventID": 13}, {"windows/*/sysmon", "windows/registry_event/*", "windows/registry_set/*"}),
        ({"Channel": SYSMON, "EventID": 22}, {"windows/*/sysmon", "windows/dns_query/*"}),
        ({"Channel": "security", "EventID": 4688}, {"windows/*/security", "windows/process_creation/*"}),
        ({"Channel": "Windows PowerShell", "EventID": 400}, {"windows/*/powershell-classic", "windows/ps_classic_start/*"}),
        ({"Channel": "PowerShellCore/Operational", "EventID": 4104}, {"windows/*/powershell", "windows/ps_script/*"}),
        ({"Channel": "Microsoft-Windows-AppLocker/EXE and DLL", "EventID": 8004}, {"windows/*/applocker"}),
        ({"Channel": "Microsoft-Windows-Windows Defender/Operational", "EventID": 1116},
         {"windows/*/windefend", "windows/antivirus/*"}),
        ({"Channel": "RPCFW", "EventID": 3}, {"rpc_firewall/application/*"}),
        ({"Channel": "Linux-Sysmon/Operational", "EventID": 11}, {"linux/*/sysmon", "linux/file_event/*"}),
        ({"Channel": "Something new", "EventID": 3}, set()),
    ],
)  # fmt: skip
def test_windows_channels_and_event_ids_are_the_log_sources_of_the_taxonomy(
    record: dict[str, Any], expected: set[str]
) -> None:
    assert see("windows", record).sources - {"windows/*/*"} == expected
    assert "windows/*/*" in see("windows", record).sources


def test_a_security_4688_has_the_field_names_of_process_creation() -> None:
    seen = see(
        "windows",
        {"Channel": "Security", "EventID": 4688, "NewProcessName": "C:\\a.exe", "ParentProcessName": "C:\\p.exe",
         "CommandLine": "a -x", "SubjectUserName": "lan", "ProcessId": "0x4", "NewProcessId": "0x8",
         "MandatoryLabel": "S-1-16-12288", "SubjectLogonId": "0x3e7"},
    )  # fmt: skip
    fields = (
        "Image",
        "ParentImage",
        "CommandLine",
        "User",
        "ParentProcessId",
        "ProcessId",
        "IntegrityLevel",
        "LogonId",
    )
    values = ["C:\\a.exe", "C:\\p.exe", "a -x", "lan", "0x4", "0x8", "S-1-16-12288", "0x3e7"]
    assert [seen[name] for name in fields] == values


def test_classic_events_that_a_shipper_rendered_give_their_message_as_data() -> None:
    record = {"Channel": "Windows PowerShell", "EventID": 400, "Message": "HostApplication=powershell -enc AAA"}
    assert see("windows", record)["Data"] == "HostApplication=powershell -enc AAA"
    assert see("windows", {**record, "Data": ["a", "b"]})["Data"] == ["a", "b"]


def test_defender_names_with_spaces_are_read_by_rules_without() -> None:
    seen = see(
        "windows",
        {
            "Channel": "Microsoft-Windows-Windows Defender/Operational",
            "EventID": 1116,
            "Threat Name": "Mimi",
            "Path": "p",
        },
    )
    assert (seen["ThreatName"], seen["Signature"], seen["Filename"]) == ("Mimi", "Mimi", "p")


def corpus_logsources(folder: Path) -> dict[LogSource, int]:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    found: dict[LogSource, int] = defaultdict(int)
    for path in folder.glob("rules*/**/*.yml"):
        for rule in yaml.load_all(path.read_bytes(), Loader=loader):
            source = rule.get("logsource")
            if source and "detection" in rule:
                found[LogSource(*(str(source.get(part) or "") for part in ("product", "category", "service")))] += 1
    return found


@pytest.mark.slow
def test_every_log_source_of_the_sigma_corpus_is_produced_by_some_table(sigma_data: Path) -> None:
    made = {
        source for table in Classifier.load().tables.values() for entry in table.entries for source in entry.logsources
    }
    corpus = corpus_logsources(sigma_data)
    assert len(corpus) > 100
    assert [str(source) for source in corpus if not any(source.covers(each) for each in made)] == []


@given(
    st.dictionaries(
        st.sampled_from(["winlog.channel", "operationName", "operationName.value", "data", "data.protoPayload", "host",
                         "protoPayload.methodName", "properties", "ActionType", "DeviceName", "event_type", "process"]),
        st.text(max_size=3) | st.dictionaries(
            st.sampled_from(["value", "methodName", "protoPayload", "protoPayload.methodName", "executable", "ActionType"]),
            st.text(max_size=3) | st.just({"methodName": "x"}), max_size=2,
        ),
        max_size=5,
    )
)  # fmt: skip
def test_the_first_table_whose_claim_holds_takes_an_object_however_its_names_nest(record: dict[str, Any]) -> None:
    tables = Classifier.load().tables.values()
    claiming = (table.family for table in tables for claim in table.claims if holds(claim, partial(read_path, record)))
    assert Classifier.load().claim(record) == next(claiming, "json")


@given(
    st.dictionaries(
        st.sampled_from(["Channel", "EventID", "EventType", "event_type", "ts", "_path", "category", "operationName",
                         "eventType", "published", "message", "program", "hostname", "actor", "logsource", "action"]),
        st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=8),
                     lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)),
    )
)  # fmt: skip
def test_no_object_makes_the_classifier_raise(record: dict[str, Any]) -> None:
    for family in ("json", "windows", "azure", "syslog"):
        assert isinstance(see(family, record).kind, EventKind)
