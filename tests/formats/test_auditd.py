"""Linux audit logs: records joined to events, hex decoded, and what events tell together."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from formats.reading import Seen, blocks, read
from khien.events.batch import MISSING
from khien.formats.auditd import parse_record

EXECUTION = """\
type=SYSCALL msg=audit(1772413323.500:77): arch=c000003e syscall=59 success=yes exit=0 a0=1 items=2 ppid=10 pid=11 auid=1000 uid=0 euid=0 tty=pts0 ses=1 comm="dd" exe="/usr/bin/dd" key="exec"\x1dARCH=x86_64 SYSCALL=execve AUID="lan" UID="root"
type=EXECVE msg=audit(1772413323.500:77): argc=3 a0="dd" a1=69663D2F6465762F7A65726F a2="12"
type=CWD msg=audit(1772413323.500:77): cwd="/home/lan"
type=PATH msg=audit(1772413323.500:77): item=0 name="/usr/bin/dd" nametype=NORMAL
type=PROCTITLE msg=audit(1772413323.500:77): proctitle=64640069663D2F6465762F7A65726F
type=EOE msg=audit(1772413323.500:77):
"""


def of_type(seen: list[Seen], kind: str) -> Seen:
    return next(each for each in seen if each["type"] == kind)


def derived(seen: list[Seen], kind: str) -> list[Seen]:
    return [each for each in seen if each["derived"] == kind]


def test_every_record_is_an_event_that_knows_what_its_siblings_know() -> None:
    seen = read(EXECUTION)
    path = of_type(seen, "PATH")
    assert [path[name] for name in ("name", "exe", "comm", "cwd", "uid", "SYSCALL", "key")] == [
        "/usr/bin/dd", "/usr/bin/dd", "dd", "/home/lan", "0", "execve", "exec",
    ]  # fmt: skip
    assert path.sources == {"linux/*/auditd"}
    assert path.time == "2026-03-02T01:02:03.500000Z"


def test_hex_is_decoded_and_short_numbers_are_left() -> None:
    execve = of_type(read(EXECUTION), "EXECVE")
    assert [execve[name] for name in ("a0", "a1", "a2")] == ["dd", "if=/dev/zero", "12"]
    assert of_type(read(EXECUTION), "PROCTITLE")["proctitle"] == "dd if=/dev/zero"


def test_an_execution_is_a_process_creation_too() -> None:
    (process,) = derived(read(EXECUTION), "process_creation")
    assert process.sources == {"linux/*/auditd", "linux/process_creation/*"}
    assert [process[name] for name in ("Image", "CommandLine", "User", "ProcessId", "CurrentDirectory")] == [
        "/usr/bin/dd", "dd if=/dev/zero 12", "root", "11", "/home/lan",
    ]  # fmt: skip


def test_a_child_knows_its_parent_from_an_earlier_event() -> None:
    child = EXECUTION.replace(":77)", ":78)").replace("ppid=10 pid=11", "ppid=11 pid=12")
    first, second = derived(read(EXECUTION + child), "process_creation")
    assert first["ParentImage"] is MISSING
    assert (second["ParentImage"], second["ParentCommandLine"]) == ("/usr/bin/dd", "dd if=/dev/zero 12")


def test_arguments_in_pieces_are_put_together() -> None:
    seen = read(
        'type=SYSCALL msg=audit(1772413323.5:1): arch=c000003e syscall=59 pid=1 exe="/bin/sh"\n'
        'type=EXECVE msg=audit(1772413323.5:1): argc=3 a0="sh" a1_len=8 a1[0]="ab" a1[1]="cd"\n'
        'type=EXECVE msg=audit(1772413323.5:1): a2="last"\n'
    )
    assert derived(seen, "process_creation")[0]["CommandLine"] == "sh abcd last"


def test_interleaved_events_are_kept_apart() -> None:
    one, two = EXECUTION.splitlines(), EXECUTION.replace(":77)", ":78)").replace('"dd"', '"cat"').splitlines()
    mixed = "\n".join(line for pair in zip(one, two, strict=True) for line in pair)
    commands = [each["CommandLine"] for each in derived(read(mixed), "process_creation")]
    assert sorted(commands) == ["cat if=/dev/zero 12", "dd if=/dev/zero 12"]


def test_the_same_serial_of_two_hosts_are_two_events() -> None:
    lines = "".join(f"node={host} {line}\n" for line in EXECUTION.splitlines() for host in ("h1", "h2"))
    assert [each["node"] for each in derived(read(lines), "process_creation")] == ["h1", "h2"]


def test_events_that_never_end_are_given_all_the_same() -> None:
    lines = "".join(f"type=USER_CMD msg=audit(1772413323.5:{n}): pid={n} msg='cmd=\"id\"'\n" for n in range(1000))
    assert len(read(lines)) == 1000


def test_a_created_path_is_a_file_event_with_its_whole_name() -> None:
    seen = read(
        'type=SYSCALL msg=audit(1772413323.5:1): arch=c000003e syscall=257 exe="/bin/touch" uid=0\n'
        'type=CWD msg=audit(1772413323.5:1): cwd="/etc"\n'
        'type=PATH msg=audit(1772413323.5:1): item=1 name="./cron.d/x" nametype=CREATE\n'
    )
    (file,) = derived(seen, "file_event")
    assert (file["TargetFilename"], file["Image"]) == ("/etc/cron.d/x", "/bin/touch")
    assert "linux/file_event/*" in file.sources


@pytest.mark.parametrize(
    ("saddr", "ip", "port"),
    [
        ("0200115CC00002070000000000000000", "192.0.2.7", 4444),
        ("0A00115C0000000020010DB800000000000000000000000700000000", "2001:db8::7", 4444),
    ],
)
def test_a_connect_is_a_network_connection(saddr: str, ip: str, port: int) -> None:
    seen = read(
        'type=SYSCALL msg=audit(1772413323.5:1): arch=c000003e syscall=42 exe="/bin/bash"\n'
        f"type=SOCKADDR msg=audit(1772413323.5:1): saddr={saddr}\n"
    )
    (connection,) = derived(seen, "network_connection")
    assert (connection["DestinationIp"], connection["DestinationPort"], connection["Initiated"]) == (ip, port, "true")
    assert "linux/network_connection/*" in connection.sources


@pytest.mark.parametrize(
    ("arch", "number", "name"),
    [("c000003e", 59, "execve"), ("c000003e", 135, "personality"), ("c00000b7", 221, "execve"), ("40000003", 11, "execve"),
     ("c000003e", 99999, "99999"), ("beef", 59, "59")],
)  # fmt: skip
def test_system_calls_have_names(arch: str, number: int, name: str) -> None:
    record = parse_record(f"type=SYSCALL msg=audit(1.0:1): arch={arch} syscall={number}")
    assert record is not None
    assert (record["syscall"], record["syscall_number"]) == (name, number)


def test_messages_of_user_space_are_taken_apart() -> None:
    record = parse_record(
        "type=SERVICE_STOP msg=audit(1772413323.5:9): pid=1 uid=0 auid=4294967295 msg='unit=ufw comm=\"systemd\" res=success'"
    )
    assert record is not None
    assert (record["unit"], record["comm"], record["res"]) == ("ufw", "systemd", "success")


def test_a_null_is_kept_as_it_is_written() -> None:
    record = parse_record("type=PROCTITLE msg=audit(1.0:1): proctitle=(null)")
    assert record is not None
    assert record["proctitle"] == "(null)"


@pytest.mark.parametrize("number", ["²", "9" * 5000])
def test_a_number_that_is_none_harms_neither_its_record_nor_the_next(number: str) -> None:
    head = "msg=audit(1772413323.5:1):"
    seen = read(
        f"type=SYSCALL {head} syscall={number}\ntype=EXECVE {head} argc={number} a0=x\ntype=EOE {head}\n", "auditd"
    )
    assert [each.number for each in seen] == [1, 1, 2, 3]
    assert [of_type(seen, kind)[name] for kind, name in (("SYSCALL", "syscall"), ("EXECVE", "argc"))] == [number] * 2


def test_lines_that_are_no_records_are_counted_once() -> None:
    found, problems = blocks("auditd", EXECUTION + "noise\nmore noise\n")
    assert sum(len(block.records) for block in found) == 7
    assert [(problem.place, problem.count) for problem in problems] == [("line 7", 2)]


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_no_bytes_make_it_raise(data: bytes) -> None:
    for start in (b"", b"type=EXECVE msg=audit(1.0:1): ", b"type=SOCKADDR msg=audit(1.0:1): saddr=0A00"):
        blocks("auditd", start + data)
