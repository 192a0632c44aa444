"""One Windows event in every shape that shippers and tools give it: the same fields for rules."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from formats.reading import Seen, read, read_one, see
from khien.formats.windows_shapes import nested_record, windows_record
from khien.formats.windows_xml import xml_record
from khien.formats.xml_text import unescape, xml_data

SYSMON = "Microsoft-Windows-Sysmon/Operational"
TIME = "2026-03-02T01:02:03.500000Z"
XML = (
    "<Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'><System>"
    "<Provider Name='Microsoft-Windows-Sysmon' Guid='{5770385f-c22a-43e0-bf4c-06f5698ffbd9}'/>"
    "<EventID>1</EventID><Version>5</Version><Level>4</Level><TimeCreated SystemTime='2026-03-02T01:02:03.5000000Z'/>"
    f"<EventRecordID>77</EventRecordID><Execution ProcessID='10' ThreadID='11'/><Channel>{SYSMON}</Channel>"
    "<Computer>may-01.tinh.example</Computer><Security UserID='S-1-5-18'/></System><EventData>"
    "<Data Name='Image'>C:\\Temp\\a&amp;b.exe</Data><Data Name='CommandLine'>a&amp;b.exe &quot;x&quot;</Data>"
    "<Data Name='User'>TINH\\lan</Data><Data Name='Empty'/></EventData></Event>"
)
DATA = {"Image": "C:\\Temp\\a&b.exe", "CommandLine": 'a&b.exe "x"', "User": "TINH\\lan"}
FLAT_SYSTEM = {"EventID": 1, "Channel": SYSMON}

SHAPES: dict[str, dict[str, Any]] = {
    "evtx_dump": {
        "Event": {
            "#attributes": {"xmlns": "http://schemas.microsoft.com/win/2004/08/events/event"},
            "System": {
                "Provider": {"#attributes": {"Name": "Microsoft-Windows-Sysmon", "Guid": "5770385F"}},
                "EventID": 1,
                "TimeCreated": {"#attributes": {"SystemTime": "2026-03-02T01:02:03.500000Z"}},
                "EventRecordID": 77,
                "Correlation": None,
                "Execution": {"#attributes": {"ProcessID": 10, "ThreadID": 11}},
                "Channel": SYSMON,
                "Computer": "may-01.tinh.example",
                "Security": {"#attributes": {"UserID": "S-1-5-18"}},
            },
            "EventData": DATA,
        }
    },
    "evtx_dump with attributes apart (Chainsaw)": {
        "Event_attributes": {"xmlns": "x"},
        "Event": {
            "System": {
                "Provider_attributes": {"Name": "Microsoft-Windows-Sysmon"},
                "EventID": 1,
                "EventID_attributes": {"Qualifiers": ""},
                "TimeCreated_attributes": {"SystemTime": "2026-03-02T01:02:03.500000Z"},
                "Channel": SYSMON,
                "Computer": "may-01.tinh.example",
                "Security_attributes": {"UserID": "S-1-5-18"},
            },
            "EventData": {**DATA, "EventData_attributes": {"Name": "x"}},
        },
    },
    "xmltodict (python-evtx and its kin)": {
        "Event": {
            "@xmlns": "http://schemas.microsoft.com/win/2004/08/events/event",
            "System": {
                "Provider": {"@Name": "Microsoft-Windows-Sysmon"},
                "EventID": {"@Qualifiers": "", "#text": "1"},
                "TimeCreated": {"@SystemTime": "2026-03-02T01:02:03.500000Z"},
                "Channel": SYSMON,
                "Computer": "may-01.tinh.example",
                "Security": {"@UserID": "S-1-5-18"},
            },
            "EventData": {"Data": [{"@Name": name, "#text": value} for name, value in DATA.items()]},
        }
    },
    "Velociraptor": {
        "System": {
            "Provider": {"Name": "Microsoft-Windows-Sysmon", "Guid": "5770385F"},
            "EventID": {"Value": 1},
            "TimeCreated": {"SystemTime": 1772413323.5},
            "Channel": SYSMON,
            "Computer": "may-01.tinh.example",
            "Security": {"UserID": "S-1-5-18"},
        },
        "EventData": DATA,
        "Message": "Process Create",
    },
    "Winlogbeat 7, Elastic Agent": {
        "@timestamp": "2026-03-02T01:02:03.500Z",
        "event": {"code": "1", "provider": "Microsoft-Windows-Sysmon"},
        "host": {"name": "may-01"},
        "process": {"executable": "C:\\Temp\\a&b.exe"},
        "winlog": {
            "channel": SYSMON,
            "computer_name": "may-01.tinh.example",
            "provider_name": "Microsoft-Windows-Sysmon",
            "event_id": "1",
            "record_id": 77,
            "user": {"identifier": "S-1-5-18"},
            "event_data": DATA,
        },
    },
    "Winlogbeat with dotted names": {
        "@timestamp": "2026-03-02T01:02:03.500Z",
        "winlog.channel": SYSMON,
        "winlog.computer_name": "may-01.tinh.example",
        "winlog.provider_name": "Microsoft-Windows-Sysmon",
        "winlog.event_id": 1,
        "winlog.user.identifier": "S-1-5-18",
        **{f"winlog.event_data.{name}": value for name, value in DATA.items()},
    },
    "Winlogbeat 6": {
        "@timestamp": "2026-03-02T01:02:03.500Z",
        "beat": {"name": "may-01"},
        "log_name": SYSMON,
        "source_name": "Microsoft-Windows-Sysmon",
        "event_id": 1,
        "computer_name": "may-01.tinh.example",
        "record_number": "77",
        "user": {"identifier": "S-1-5-18"},
        "event_data": DATA,
    },
    "NXLog, HELK": {
        **FLAT_SYSTEM,
        "EventTime": "2026-03-02 01:02:03.5",
        "Hostname": "may-01.tinh.example",
        "SourceName": "Microsoft-Windows-Sysmon",
        "RecordNumber": 77,
        "UserID": "S-1-5-18",
        "EventType": "INFO",
        **DATA,
    },
    "NXLog with a number as text": {
        "EventID": "1",
        "Channel": SYSMON,
        "EventTime": "2026-03-02 01:02:03.5",
        "Hostname": "may-01.tinh.example",
        "SourceName": "Microsoft-Windows-Sysmon",
        "UserID": "S-1-5-18",
        **DATA,
    },
    "Microsoft Sentinel, Event table": {
        "TimeGenerated": "2026-03-02T01:02:03.5Z",
        "Source": "Microsoft-Windows-Sysmon",
        "EventLog": SYSMON,
        "Computer": "may-01.tinh.example",
        "EventID": 1,
        "EventData": XML[XML.index("<EventData>") : XML.index("</Event>")],
        "Provider_Name": "Microsoft-Windows-Sysmon",
        "Security_UserID": "S-1-5-18",
        "Type": "Event",
    },
    "a flat record with its data in one object": {
        **FLAT_SYSTEM,
        "TimeCreated": "2026-03-02T01:02:03.5Z",
        "Computer": "may-01.tinh.example",
        "ProviderName": "Microsoft-Windows-Sysmon",
        "Security_UserID": "S-1-5-18",
        "EventData": DATA,
    },
    "Splunk, fields extracted": {
        "_time": "x",
        "EventCode": "1",
        "LogName": SYSMON,
        "TimeCreated": "2026-03-02T01:02:03.5Z",
        "Computer": "may-01.tinh.example",
        "SourceName": "Microsoft-Windows-Sysmon",
        "UserID": "S-1-5-18",
        **DATA,
    },
    "Splunk export with the raw XML": {"preview": False, "offset": 1, "result": {"_raw": XML, "host": "collector"}},
    "Splunk HTTP event collector": {"sourcetype": "x", "event": {"Event": {"System": {
        "Provider": {"#attributes": {"Name": "Microsoft-Windows-Sysmon"}},
        "EventID": 1,
        "TimeCreated": {"#attributes": {"SystemTime": "2026-03-02T01:02:03.5Z"}},
        "Channel": SYSMON, "Computer": "may-01.tinh.example", "Security": {"#attributes": {"UserID": "S-1-5-18"}},
    }, "EventData": DATA}}},
    "EvtxECmd": {
        "PayloadData1": "x",
        "TimeCreated": "2026-03-02T01:02:03.5000000+00:00",
        "EventId": 1,
        "Provider": "Microsoft-Windows-Sysmon",
        "Channel": SYSMON,
        "Computer": "may-01.tinh.example",
        "UserId": "S-1-5-18",
        "EventRecordId": "77",
        "Payload": json.dumps({"EventData": {"Data": [{"@Name": n, "#text": v} for n, v in DATA.items()]}}),
    },
    "Wazuh": {
        "timestamp": "2026-03-02T08:02:03.5+0700",
        "agent": {"id": "001"},
        "data": {"win": {
            "system": {
                "providerName": "Microsoft-Windows-Sysmon",
                "eventID": "1",
                "systemTime": "2026-03-02T01:02:03.5Z",
                "channel": SYSMON,
                "computer": "may-01.tinh.example",
                "security_UserID": "S-1-5-18",
            },
            "eventdata": {name[0].lower() + name[1:]: value for name, value in DATA.items()},
        }},
    },
    "Elasticsearch hit": {"_index": "logs", "_id": "1", "_source": {
        "winlog": {"channel": SYSMON, "computer_name": "may-01.tinh.example", "event_id": "1",
                   "provider_name": "Microsoft-Windows-Sysmon", "user": {"identifier": "S-1-5-18"}, "event_data": DATA},
        "@timestamp": "2026-03-02T01:02:03.500Z",
    }},
    "Kibana export of fields": {"_index": "logs", "fields": {
        "@timestamp": ["2026-03-02T01:02:03.500Z"],
        "winlog.channel": [SYSMON], "winlog.computer_name": ["may-01.tinh.example"], "winlog.event_id": ["1"],
        "winlog.provider_name": ["Microsoft-Windows-Sysmon"], "winlog.user.identifier": ["S-1-5-18"],
        **{f"winlog.event_data.{name}": [value] for name, value in DATA.items()},
    }},
}  # fmt: skip


def assert_is_the_event(seen: Seen) -> None:
    assert {"windows/*/*", "windows/*/sysmon", "windows/process_creation/*"} <= seen.sources
    assert {name: seen[name] for name in DATA} == DATA
    assert seen["EventID"] == 1
    assert seen["Provider_Name"] == "Microsoft-Windows-Sysmon"
    assert seen["Channel"] == SYSMON
    assert seen["Computer"] == "may-01.tinh.example"
    assert seen["Security_UserID"] == "S-1-5-18"
    assert seen.time == TIME


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_gives_the_same_event(shape: str) -> None:
    assert_is_the_event(read_one(json.dumps(SHAPES[shape])))


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_may_stand_in_an_array_and_be_pretty_printed(shape: str) -> None:
    for seen in read(json.dumps([SHAPES[shape], SHAPES[shape]], indent=2)):
        assert_is_the_event(seen)


def test_exported_xml_gives_the_same_event() -> None:
    assert_is_the_event(read_one(f"\ufeff<?xml version='1.0'?>\n<Events>{XML}\n</Events>"))
    assert_is_the_event(read_one(("\ufeff<Events>" + XML + "</Events>").encode("utf-16-le")))


def test_unnamed_data_is_a_list_and_a_single_one_itself() -> None:
    one = nested_record({"System": {"EventID": 800}, "EventData": {"Data": "HostName=ConsoleHost"}})
    many = nested_record({"System": {"EventID": 400}, "EventData": {"Data": ["Available", "None", "x=1"]}})
    texts = nested_record({"System": {"EventID": 400}, "EventData": {"Data": {"#text": ["Available", "None"]}}})
    assert (one["Data"], many["Data"], texts["Data"]) == (
        "HostName=ConsoleHost",
        ["Available", "None", "x=1"],
        ["Available", "None"],
    )


def test_winlogbeats_numbered_parameters_are_unnamed_data() -> None:
    event = {"winlog": {"channel": "Windows PowerShell", "event_id": 600, "event_data": {"param1": "A", "param2": "B"}}}
    seen = read_one(json.dumps(event))
    assert seen["Data"] == ["A", "B"]
    assert seen["param2"] == "B"


def test_user_data_is_read_through_its_one_element() -> None:
    flat = nested_record(
        {
            "System": {"EventID": 1102, "Channel": "Security"},
            "UserData": {"LogFileCleared": {"#attributes": {"xmlns": "x"}, "SubjectUserName": "lan"}},
        }
    )
    assert (flat["SubjectUserName"], flat["EventID"]) == ("lan", 1102)


def test_event_data_never_hides_the_event_id_channel_and_computer() -> None:
    flat = nested_record(
        {
            "System": {"EventID": 3, "Channel": "RPCFW", "Computer": "real"},
            "EventData": {"EventID": "9", "Channel": "fake", "Computer": "fake", "ProcessID": 5},
        }
    )
    assert (flat["EventID"], flat["Channel"], flat["Computer"], flat["ProcessID"]) == (3, "RPCFW", "real", 5)


def test_splunks_classic_names_of_a_4688_are_understood() -> None:
    seen = read_one(
        json.dumps({"EventCode": 4688, "LogName": "Security", "New_Process_Name": "C:\\a.exe",
                    "Creator_Process_Name": "C:\\p.exe", "Process_Command_Line": "a -x"})
    )  # fmt: skip
    assert [seen[name] for name in ("Image", "ParentImage", "CommandLine")] == ["C:\\a.exe", "C:\\p.exe", "a -x"]


@pytest.mark.parametrize(
    "record",
    [
        {"EventID": 1},
        {"Event": "text"},
        {"Event": {"System": []}},
        {"System": {"Load": 1}},
        {"winlog": []},
        {"data": {"win": 1}},
        {"EventId": 1, "Channel": "x"},
    ],
)
def test_what_is_no_windows_event_is_left_as_it_is(record: dict[str, Any]) -> None:
    assert windows_record(record) is None


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("&lt;&amp;&gt;", "<&>"),
        ("&#65;&#x42;", "AB"),
        ("&nbsp;", "&nbsp;"),
        ("&#xD800;", "\ufffd"),
        ("&#9999999;", "\ufffd"),
    ],
)
def test_entities_become_characters(text: str, plain: str) -> None:
    assert unescape(text) == plain


def test_data_elements_are_read_in_either_quotes_and_without_names() -> None:
    text = "<Data Name=\"a\">1</Data><Data Name='b'/><Data>x</Data><Data>y</Data>"
    assert xml_data(text) == {"a": "1", "b": "", "Data": ["x", "y"]}


def test_an_xml_text_without_system_is_no_event() -> None:
    assert xml_record("<Event><EventData><Data>x</Data></EventData></Event>") is None


def test_user_data_of_xml_is_read() -> None:
    flat = xml_record(
        "<Event><System><EventID Qualifiers='0'>1102</EventID><Channel>Security</Channel></System><UserData>"
        "<LogFileCleared xmlns='x'><SubjectUserName>lan</SubjectUserName></LogFileCleared></UserData></Event>"
    )
    assert flat is not None
    assert (flat["EventID"], flat["SubjectUserName"]) == (1102, "lan")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(["System", "EventData", "UserData", "Data", "#text", "#attributes", "Name", "EventID", "Channel",
                         "Provider", "TimeCreated", "event_data", "event_id", "win", "system", "eventdata", "user"]),
        inner, max_size=5,
    ),
    max_leaves=20,
)  # fmt: skip


@given(st.dictionaries(st.sampled_from(["Event", "System", "EventData", "winlog", "EventID", "Channel", "EventId", "EventCode",
                                        "Payload", "data", "LogName", "log_name", "event_id", "event"]), JSON))  # fmt: skip
def test_no_object_makes_it_raise(record: dict[str, Any]) -> None:
    flat = windows_record(record)
    if flat is not None:
        see("windows", flat)


@given(st.text(max_size=200).map(lambda text: XML[:300] + text + XML[300:]))
def test_no_xml_makes_it_raise(text: str) -> None:
    xml_record(text)
