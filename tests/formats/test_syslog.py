"""Syslog lines of both RFCs, what well-known programs write in them, and syslog inside JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from formats.reading import blocks, read, read_one
from khien.formats.syslog import parse

XML = (
    '<Event><System><Provider Name="Linux-Sysmon" Guid="{ff032593-a8d3-4f13-b0d6-01fc615a0f97}"/><EventID>1</EventID>'
    '<TimeCreated SystemTime="2026-03-02T01:02:03.500000000Z"/><Computer>may-02</Computer></System><EventData>'
    '<Data Name="Image">/usr/bin/nc</Data><Data Name="CommandLine">nc -e &quot;/bin/sh&quot;</Data>'
    '<Data Name="User">root</Data></EventData></Event>'
)


def fields(line: str) -> dict[str, Any]:
    parsed = parse(line)
    assert parsed is not None
    return parsed[1]


@pytest.mark.parametrize(
    "line",
    [
        "Mar  2 01:02:03 may-02 app[42]: hello there",
        "<13>Mar  2 01:02:03 may-02 app[42]: hello there",
        "<13>Mar 02 2026 01:02:03 may-02 app[42]: hello there",
        "2026-03-02T01:02:03.500000+00:00 may-02 app[42]: hello there",
        "2026-03-02T08:02:03+07:00 may-02 app[42]: hello there",
        "2026-03-02 01:02:03 may-02 app[42]: hello there",
        "<13>1 2026-03-02T01:02:03Z may-02 app 42 - - hello there",
        '<13>1 2026-03-02T01:02:03.5Z may-02 app 42 ID47 [ex@1 iut="3" q="a\\"b]"] \ufeffhello there',
        "77 <13>1 2026-03-02T01:02:03Z may-02 App 42 - [a@1][b@2] hello there",
    ],
)
def test_both_rfcs_and_what_servers_make_of_them_are_read(line: str) -> None:
    seen = read_one(line)
    assert (seen["hostname"], seen["program"], seen["pid"], seen["message"]) == ("may-02", "app", "42", "hello there")
    assert seen.sources == {"linux/*/syslog"}
    assert seen.time[4:16] == "-03-02T01:02"


@pytest.mark.parametrize("host", ["192.0.2.7", "2001:db8::7", "[192.0.2.7]", "INFO-server", "may_02.tinh.example"])
def test_hosts_have_many_forms(host: str) -> None:
    assert fields(f"2026-03-02T01:02:03Z {host} app: x")["hostname"] == host


@pytest.mark.parametrize(
    "line",
    [
        "2026-03-02 01:02:03,500 ERROR [main] org.example.Pump: x",
        "2026-03-02 01:02:03.500  INFO 9 --- [main] org.example.Pump : x",
        "2026-03-02 01:02:03,500 - django - ERROR - x",
        "2026-03-02 01:02:03.500 UTC [9] LOG:  statement: SELECT 1",
        "2026-03-02T01:02:03.500000Z 9 [Note] x",
        "2026-03-02 01:02:03.500 [http-1] WARN o.e.Pump - x",
    ],
)
def test_lines_of_applications_are_no_syslog(line: str) -> None:
    assert parse(line) is None
    assert "jvm/application/*" in read_one(line).sources


def test_structured_data_and_priority_become_fields() -> None:
    record = fields('<165>1 2026-03-02T01:02:03Z h app - ID47 [x@1 iut="3" q="a\\"b\\]c"][y@1 z=""] text')
    assert (record["iut"], record["q"], record["z"], record["msgid"]) == ("3", 'a"b]c', "", "ID47")
    assert (record["facility"], record["severity"]) == ("local4", "notice")


def test_a_priority_out_of_range_is_no_priority() -> None:
    assert "facility" not in fields("<999>Mar  2 01:02:03 h app: x")


def test_a_message_without_a_program_is_still_one() -> None:
    record = fields("Mar  2 01:02:03 h last message repeated 2 times")
    assert (record["program"], record["message"]) == ("", "last message repeated 2 times")


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("Accepted publickey for lan from 192.0.2.7 port 22022 ssh2: RSA SHA256:x",
         {"outcome": "Accepted", "method": "publickey", "user": "lan", "src_ip": "192.0.2.7", "src_port": "22022"}),
        ("Failed password for invalid user admin from 2001:db8::7 port 5 ssh2",
         {"outcome": "Failed", "user": "admin", "invalid": "invalid user", "src_ip": "2001:db8::7"}),
        ("Invalid user  from 192.0.2.7 port 5", {"invalid": "Invalid user", "src_ip": "192.0.2.7"}),
        ("Connection closed by authenticating user root 192.0.2.7 port 5 [preauth]", {"user": "root", "src_ip": "192.0.2.7"}),
        ("pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=192.0.2.7  user=lan",
         {"pam_message": "authentication failure", "pam_rhost": "192.0.2.7", "pam_user": "lan", "user": "lan"}),
        ("pam_unix(sshd:session): session opened for user lan(uid=1000) by (uid=0)",
         {"pam_message": "session opened", "user": "lan"}),
    ],
)  # fmt: skip
def test_sshd_lines_have_user_address_and_outcome(message: str, expected: dict[str, str]) -> None:
    seen = read_one(f"Mar  2 01:02:03 h sshd[9]: {message}")
    assert {name: seen[name] for name in expected} == expected
    assert {"linux/*/sshd", "linux/*/auth", "linux/*/syslog"} <= seen.sources


def test_sudo_lines_have_the_names_that_sudo_gives() -> None:
    seen = read_one(
        "Mar  2 01:02:03 h sudo:      lan : TTY=pts/0 ; PWD=/home/lan ; USER=#-1 ; COMMAND=/usr/bin/vi /a ; b"
    )
    assert [seen[name] for name in ("user", "USER", "TTY", "PWD", "COMMAND")] == [
        "lan", "#-1", "pts/0", "/home/lan", "/usr/bin/vi /a ; b",
    ]  # fmt: skip
    assert "linux/*/sudo" in seen.sources
    denied = read_one(
        "Mar  2 01:02:03 h sudo: lan : 3 incorrect password attempts ; TTY=x ; PWD=/ ; USER=root ; COMMAND=/bin/sh"
    )
    assert denied["reason"] == "3 incorrect password attempts"


@pytest.mark.parametrize("program", ["CRON", "crond", "/usr/sbin/cron", "anacron"])
def test_cron_lines_have_user_and_command(program: str) -> None:
    seen = read_one(f"Mar  2 01:02:03 h {program}[9]: (root) CMD (   cd / && run-parts (x))")
    assert (seen["user"], seen["action"], seen["command"]) == ("root", "CMD", "   cd / && run-parts (x)")
    assert "linux/*/cron" in seen.sources


@pytest.mark.parametrize("program", ["su", "pkexec", "useradd", "systemd-logind", "passwd"])
def test_programs_of_authentication_are_the_service_auth(program: str) -> None:
    assert "linux/*/auth" in read_one(f"Mar  2 01:02:03 h {program}[1]: x").sources


def test_whatever_has_the_facility_of_authentication_is_the_service_auth() -> None:
    assert "linux/*/auth" in read_one("<86>Mar  2 01:02:03 h odd[1]: x").sources


def test_firewall_lines_of_the_kernel_have_addresses() -> None:
    seen = read_one(
        "Mar  2 01:02:03 h kernel: [1.5] [UFW BLOCK] IN=e0 OUT= SRC=192.0.2.7 DST=192.0.2.8 PROTO=TCP SPT=1 DPT=22"
    )
    assert [seen[name] for name in ("src_ip", "dst_ip", "src_port", "dst_port", "protocol")] == [
        "192.0.2.7", "192.0.2.8", "1", "22", "TCP",
    ]  # fmt: skip
    assert "*/firewall/*" in seen.sources


def test_sysmon_for_linux_inside_is_its_event() -> None:
    seen = read_one(f"Mar  2 01:02:03 h sysmon: {XML}")
    assert (seen["Image"], seen["CommandLine"], seen["User"]) == ("/usr/bin/nc", 'nc -e "/bin/sh"', "root")
    assert {"linux/process_creation/*", "linux/*/sysmon"} <= seen.sources
    assert seen.time == "2026-03-02T01:02:03.500000Z"


def test_audit_records_cef_and_json_inside_are_read_as_such() -> None:
    audit = read_one(
        'Mar  2 01:02:03 h audispd: type=EXECVE msg=audit(1772413323.500:7): argc=2 a0="cat" a1="/etc/shadow"'
    )
    assert (audit["a1"], audit.sources) == ("/etc/shadow", {"linux/*/auditd"})
    cef = read_one("Mar  2 01:02:03 h CEF: 0|Fortinet|FG|7|1|x|5|src=192.0.2.7 act=deny")
    assert cef["src_ip"] == "192.0.2.7"
    trail = read_one(
        '<13>Mar  2 01:02:03 h app: {"eventVersion": "1.08", "eventSource": "s3.amazonaws.com", "eventName": "x"}'
    )
    assert trail.sources == {"aws/*/cloudtrail"}


@pytest.mark.parametrize(
    ("line", "source", "facility"),
    [
        (
            "<189>Mar  2 01:02:03 rt-1 123: Mar  2 01:02:03.123: %SYS-5-CONFIG_I: Configured from console",
            "cisco/*/aaa",
            "SYS",
        ),
        ("<189>Mar  2 01:02:03 rt-1 %TCP-3-BADAUTH: No MD5 digest from 192.0.2.7(179)", "cisco/*/bgp", "TCP"),
        ("<187>Mar  2 01:02:03 rt-2 %%01BGP/3/BGP_AUTH_FAILED(l)[4]:BGP session 192.0.2.7:179", "huawei/*/bgp", "BGP"),
    ],
)
def test_messages_of_network_devices_are_theirs(line: str, source: str, facility: str) -> None:
    seen = read_one(line)
    assert source in seen.sources
    assert seen["facility"] == facility


def test_the_routing_daemon_of_juniper_devices_is_known() -> None:
    assert "juniper/*/bgp" in read_one("Mar  2 01:02:03 rt-3 rpd[7]: missing MD5 digest 192.0.2.7:179").sources


def test_fortigate_pairs_inside_are_its_event() -> None:
    seen = read_one(
        '<189>Mar  2 01:02:03 fg date=2026-03-02 time=01:02:03 devname="FG" devid="F1" logid="0100044547" type="event" '
        'subtype="system" user="lan" action="Add" cfgpath="system.admin" msg="Add system.admin x"'
    )
    assert "fortigate/*/event" in seen.sources
    assert (seen["action"], seen["cfgpath"], seen["msg"]) == ("Add", "system.admin", "Add system.admin x")


def test_a_line_without_a_header_goes_on_from_the_one_before() -> None:
    first, second = read("Mar  2 01:02:03 h app: first\n\tat more\nMar  2 01:02:04 h app: second\n", "syslog")
    assert (first["message"], second["message"], second.number) == ("first\n\tat more", "second", 3)


JSON_SHAPES: dict[str, dict[str, Any]] = {
    "journald": {"MESSAGE": "Accepted password for lan from 192.0.2.7 port 5 ssh2", "_HOSTNAME": "h", "_PID": "9",
                 "SYSLOG_IDENTIFIER": "sshd", "__REALTIME_TIMESTAMP": "1772413323500000", "_COMM": "sshd"},
    "Sentinel": {"TimeGenerated": "2026-03-02T01:02:03.5Z", "HostName": "h", "Facility": "auth", "ProcessName": "sshd",
                 "SyslogMessage": "Accepted password for lan from 192.0.2.7 port 5 ssh2", "Type": "Syslog"},
    "Fluentd": {"host": "h", "ident": "sshd", "pid": "9", "time": "2026-03-02T01:02:03.5Z",
                "message": "Accepted password for lan from 192.0.2.7 port 5 ssh2"},
    "rsyslog": {"hostname": "h", "programname": "sshd", "timestamp": "2026-03-02T01:02:03.5Z",
                "message": "Accepted password for lan from 192.0.2.7 port 5 ssh2"},
    "Filebeat": {"@timestamp": "2026-03-02T02:00:00Z", "host": {"name": "h"}, "log": {"file": {"path": "/var/log/auth.log"}},
                 "message": "2026-03-02T01:02:03.5Z h sshd[9]: Accepted password for lan from 192.0.2.7 port 5 ssh2"},
}  # fmt: skip


@pytest.mark.parametrize("shape", JSON_SHAPES)
def test_syslog_inside_json_is_the_same_event(shape: str) -> None:
    seen = read_one(json.dumps(JSON_SHAPES[shape]))
    assert {"linux/*/sshd", "linux/*/auth"} <= seen.sources
    assert [seen[name] for name in ("hostname", "program", "user", "src_ip")] == ["h", "sshd", "lan", "192.0.2.7"]
    assert seen.time == "2026-03-02T01:02:03.500000Z"


def test_sysmon_for_linux_inside_json_is_its_event() -> None:
    seen = read_one(json.dumps({"SyslogMessage": XML, "ProcessName": "sysmon", "HostName": "h", "TimeGenerated": "x"}))
    assert seen["Image"] == "/usr/bin/nc"
    assert "linux/process_creation/*" in seen.sources


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_no_bytes_make_it_raise(data: bytes) -> None:
    for start in (
        b"",
        b"Mar  2 01:02:03 h sshd[1]: ",
        b"<13>1 2026-03-02T01:02:03Z h sudo 1 - [",
        b"Mar  2 01:02:03 h sysmon: <Event>",
    ):
        blocks("syslog", start + data)


@settings(deadline=None, max_examples=30)
@given(st.text(alphabet='[]="\\ ax@<>%();:', max_size=3000))
def test_hard_to_match_lines_take_no_long_time(text: str) -> None:
    for start in (
        "<13>1 2026-03-02T01:02:03Z h app 1 - ",
        "Mar  2 01:02:03 h sshd: pam_unix(",
        "Mar  2 01:02:03 h sudo: ",
    ):
        parse(start + text)
