"""The fast path for JSON lines finds what the general reader finds."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

KHIEN = str(Path(sys.executable).with_name("khien"))
RULE = """
title: Bad program
id: 5f0c3c1e-0b1f-4c38-9a83-2f6d1b6f7d11
status: test
logsource: {product: windows, category: process_creation}
detection:
  bad: {Image|endswith: '\\bad.exe', CommandLine|contains: 'xấu'}
  condition: bad
level: high
"""
SYSMON = "Microsoft-Windows-Sysmon/Operational"
DATA = {"Image": "C:\\bad.exe", "CommandLine": "bad.exe xấu"}
GOOD = {"EventID": 1, "Channel": SYSMON, "Image": "C:\\good.exe"}
XML = "<EventData><Data Name='Image'>C:\\bad.exe</Data><Data Name='CommandLine'>bad.exe xấu</Data></EventData>"
EVENTS: dict[str, dict[str, Any]] = {
    "flat": {"EventID": 1, "Channel": SYSMON, **DATA},
    "flat with the number as text": {"EventID": "1", "Channel": SYSMON, **DATA},
    "flat with the number last": {**DATA, "Channel": SYSMON, "EventID": 1},
    "flat with nested objects before": {"host": {"EventID": 5, "Channel": "x"}, "EventID": 1, "Channel": SYSMON, **DATA},
    "flat with a misleading text before": {"note": '"EventID": 5, "Channel": "x"', "EventID": 1, "Channel": SYSMON, **DATA},
    "flat with its data in one object": {"EventID": 1, "Channel": SYSMON, "EventData": DATA},
    "flat with its data as XML": {"EventID": 1, "Channel": SYSMON, "EventData": XML},
    "flat 4688": {"EventID": 4688, "Channel": "Security", "NewProcessName": "C:\\bad.exe", "CommandLine": "bad.exe xấu"},
    "flat 4688 as Splunk names it": {"EventID": 4688, "Channel": "Security", "New_Process_Name": "C:\\bad.exe",
                                     "Process_Command_Line": "bad.exe xấu"},
    "nested": {"Event": {"System": {"EventID": 1, "Channel": SYSMON}, "EventData": DATA}},
    "Winlogbeat": {"winlog": {"channel": SYSMON, "event_id": "1", "event_data": DATA}},
    "Wazuh": {"data": {"win": {"system": {"eventID": "1", "channel": SYSMON},
                               "eventdata": {"image": "C:\\bad.exe", "commandLine": "bad.exe xấu"}}}},
    "an array on one line": [{"EventID": 1, "Channel": SYSMON, **DATA}],
    "a wrapper on one line": {"Records": [{"EventID": 1, "Channel": SYSMON, **DATA}]},
}  # type: ignore[dict-item]  # fmt: skip


def hunt(data: bytes, tmp_path: Path) -> tuple[list[dict[str, Any]], str]:
    rule = tmp_path / "rule.yml"
    rule.write_text(RULE, encoding="utf-8")
    done = subprocess.run(
        [KHIEN, "hunt", "-", "--rules", str(rule), "--format", "ndjson"],
        input=data,
        capture_output=True,
        check=False,
        timeout=120,
    )
    assert b"Traceback" not in done.stderr, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()], done.stderr.decode()


@pytest.mark.parametrize("escaped", [False, True])
def test_every_shape_of_line_is_found_with_its_number(tmp_path: Path, escaped: bool) -> None:
    lines = [json.dumps(each, ensure_ascii=escaped) for event in EVENTS.values() for each in (GOOD, event)]
    found, _ = hunt("\n".join(lines).encode(), tmp_path)
    names = list(EVENTS)
    assert [names[finding["record"] // 2 - 1] for finding in found] == names
    assert all("bad.exe" in json.dumps(finding["event"]) for finding in found)


def test_lines_that_are_no_json_are_reported_and_the_others_read(tmp_path: Path) -> None:
    event = json.dumps(EVENTS["flat"]).encode()
    data = b"\n".join(
        [event, b'{"EventID": 1, "Channel": "' + SYSMON.encode() + b'", oops}', b"", b"\xff\xfe", event, b"[1, 2"]
    )
    found, told = hunt(data, tmp_path)
    assert [finding["record"] for finding in found] == [1, 5]
    assert "not valid JSON" in told


def test_broken_bytes_inside_a_value_do_not_hide_the_event(tmp_path: Path) -> None:
    event = json.dumps({**EVENTS["flat"], "Note": "NOTE"}, ensure_ascii=False).encode()
    found, _ = hunt(
        b"\n".join([event, event.replace(b"NOTE", b"S\xe9curit\xe9"), event.replace(b"NOTE", b"a\x00b")]), tmp_path
    )
    assert [finding["record"] for finding in found] == [1, 2, 3]


def test_ends_of_lines_of_either_kind_and_none_at_the_end(tmp_path: Path) -> None:
    event = json.dumps(EVENTS["flat"]).encode()
    found, _ = hunt(event + b"\r\n" + event + b"\n\r\n" + event, tmp_path)
    assert [finding["record"] for finding in found] == [1, 2, 4]
