"""Linux audit logs: the records of one event joined, hex decoded."""

from __future__ import annotations

import re
import socket
from collections import OrderedDict
from collections.abc import Iterator
from typing import BinaryIO

from khien.errors import Problem
from khien.events.batch import Event
from khien.events.records import RecordBlock
from khien.formats.format import Format, Report
from khien.formats.lines import read_lines, share

_RECORD = re.compile(
    r"(?:node=(\S{1,255}) )?type=(\S{1,64}) msg=audit\((\d{1,12}\.\d{1,6}):(\d{1,20})\):\s?(.*)", re.DOTALL
)
_FIELD = re.compile(r"([A-Za-z0-9_\-\[\]]{1,64})=(\"[^\"]*\"|'[^']*'|\{[^}]*\}|[^\s\x1d]*)")
_HEX = re.compile(r"(?:[0-9A-Fa-f]{2})+\Z")
_HEXED = frozenset(
    {
        "proctitle",
        "name",
        "exe",
        "comm",
        "cwd",
        "cmd",
        "data",
        "acct",
        "path",
        "ocomm",
        "grp",
        "key",
        "dir",
        "file",
    }
)
_ARGUMENT = re.compile(r"a\d{1,4}(?:\[\d{1,4}\])?\Z")
_SHARED = (
    "exe",
    "comm",
    "cwd",
    "uid",
    "auid",
    "euid",
    "pid",
    "ppid",
    "ses",
    "tty",
    "key",
    "syscall",
    "success",
    "exit",
    "SYSCALL",
    "AUID",
    "UID",
)
_SYSCALLS = {
    "c000003e": {
        0: "read", 1: "write", 2: "open", 41: "socket", 42: "connect", 43: "accept", 49: "bind", 50: "listen", 56: "clone",
        57: "fork", 59: "execve", 62: "kill", 63: "uname", 82: "rename", 83: "mkdir", 84: "rmdir", 85: "creat", 86: "link",
        87: "unlink", 88: "symlink", 90: "chmod", 91: "fchmod", 92: "chown", 101: "ptrace", 105: "setuid", 106: "setgid",
        155: "pivot_root", 159: "adjtimex", 161: "chroot", 164: "settimeofday", 165: "mount", 170: "sethostname", 175: "init_module",
        176: "delete_module", 188: "setxattr", 227: "clock_settime", 257: "openat", 263: "unlinkat", 264: "renameat", 268: "fchmodat",
        272: "unshare", 288: "accept4", 310: "process_vm_readv", 311: "process_vm_writev", 313: "finit_module", 316: "renameat2",
        319: "memfd_create", 320: "kexec_file_load", 321: "bpf", 322: "execveat",
    },
    "c00000b7": {
        35: "unlinkat", 40: "mount", 41: "pivot_root", 52: "fchmod", 53: "fchmodat", 56: "openat", 63: "read", 64: "write", 97: "unshare",
        105: "init_module", 106: "delete_module", 117: "ptrace", 129: "kill", 146: "setuid", 161: "sethostname", 170: "settimeofday",
        198: "socket", 200: "bind", 201: "listen", 202: "accept", 203: "connect", 220: "clone", 221: "execve", 270: "process_vm_readv",
        273: "finit_module", 279: "memfd_create", 280: "bpf", 281: "execveat",
    },
}  # fmt: skip
_MOST_OPEN = 256
_MOST_RECORDS = 1024


def parse_record(line: str) -> Event | None:
    """The fields of one audit record, hex decoded; None where it is none. `time` is in epoch seconds."""
    found = _RECORD.match(line)
    if not found:
        return None
    record: Event = {"type": found[2], "time": found[3], "serial": found[4]}
    if found[1]:
        record["node"] = found[1]
    _take(found[5], found[2], record)
    if found[2] == "SYSCALL" and str(record.get("syscall", "")).isdigit():
        number = int(record["syscall"])
        record["syscall_number"] = number
        record["syscall"] = _SYSCALLS.get(str(record.get("arch", "")), {}).get(number, record["syscall"])
    if found[2] == "SOCKADDR" and isinstance(record.get("saddr"), str):
        _address(record["saddr"], record)
    return record


def _take(text: str, kind: str, record: Event) -> None:
    for name, value in _FIELD.findall(text):
        if value[:1] == "'":  # user space records: msg='op=... acct=...'
            record[name] = value[1:-1]
            if name == "msg":
                _take(value[1:-1], kind, record)
            continue
        record.setdefault(name, _value(name, value, kind))


def _value(name: str, value: str, kind: str) -> str:
    if value[:1] in ('"', "{"):
        return value[1:-1]
    hexed = name in _HEXED or (kind == "EXECVE" and _ARGUMENT.match(name))
    if hexed and len(value) % 2 == 0 and value and _HEX.match(value):
        if value.isdigit() and len(value) < 8:  # a short number is more likely a number
            return value
        return bytes.fromhex(value).decode("utf-8", "replace").rstrip("\x00").replace("\x00", " ")
    return "" if value == "(null)" else value


def _address(saddr: str, record: Event) -> None:
    try:
        data = bytes.fromhex(saddr)
    except ValueError:
        return
    if len(data) < 2:
        return
    family = int.from_bytes(data[:2], "little")
    if family == socket.AF_INET and len(data) >= 8:
        record["DestinationPort"] = int.from_bytes(data[2:4], "big")
        record["DestinationIp"] = socket.inet_ntop(socket.AF_INET, data[4:8])
    elif family == socket.AF_INET6 and len(data) >= 24:
        record["DestinationPort"] = int.from_bytes(data[2:4], "big")
        record["DestinationIp"] = socket.inet_ntop(socket.AF_INET6, data[8:24])
    elif family == socket.AF_UNIX:
        record["unix_path"] = data[2:].split(b"\x00")[0].decode("utf-8", "replace")


def joined(group: list[tuple[int, Event, str]]) -> Iterator[tuple[int, Event, str]]:
    """The records of one audit event, each with what its siblings know of the process, and what they say together.

    An EXECVE gives one more event with `derived: process_creation`, a PATH that was created one with
    `derived: file_event`, a connect with an address one with `derived: network_connection`.
    """
    shared: Event = {}
    execve: Event | None = None
    title = ""
    for _, record, _ in group:
        for name in _SHARED:
            if name in record and name not in shared:
                shared[name] = record[name]
        if record["type"] == "EXECVE":
            execve = record
        elif record["type"] == "PROCTITLE":
            title = str(record.get("proctitle", ""))
    for number, record, line in group:
        yield number, {**shared, **record}, line
    number, first, line = group[0]
    about = {
        "time": first["time"],
        "serial": first["serial"],
        "Image": shared.get("exe", ""),
        "User": shared.get("UID", shared.get("uid", "")),
        "ProcessId": shared.get("pid", ""),
        "ParentProcessId": shared.get("ppid", ""),
        "CurrentDirectory": shared.get("cwd", ""),
        **({"node": first["node"]} if "node" in first else {}),
    }
    if execve is not None:
        arguments = [str(execve.get(f"a{at}", "")) for at in range(_count(execve))]
        yield (
            number,
            {**about, "derived": "process_creation", "CommandLine": " ".join(arguments) or title},
            line,
        )
    for number, record, line in group:
        if record["type"] == "PATH" and record.get("nametype") == "CREATE":
            yield (
                number,
                {**about, "derived": "file_event", "TargetFilename": _absolute(record, shared)},
                line,
            )
        elif record["type"] == "SOCKADDR" and "DestinationIp" in record and shared.get("syscall") == "connect":
            reached = {name: record[name] for name in ("DestinationIp", "DestinationPort")}
            yield number, {**about, "derived": "network_connection", "Initiated": "true", **reached}, line


def _count(execve: Event) -> int:
    count = str(execve.get("argc", ""))
    return min(int(count), 4096) if count.isdigit() and len(count) < 8 else 0


def _absolute(record: Event, shared: Event) -> str:
    name, folder = str(record.get("name", "")), str(shared.get("cwd", ""))
    return name if name.startswith("/") or not folder else f"{folder.rstrip('/')}/{name.removeprefix('./')}"


def read(stream: BinaryIO, path: str, report: Report) -> Iterator[RecordBlock]:
    """The events of an audit log. Records of one serial may be interleaved with others; an event that
    never ends is given as it is when 256 younger ones are open."""
    pending: OrderedDict[tuple[str, str], list[tuple[int, Event, str]]] = OrderedDict()
    bad = first = 0
    for start, lines in read_lines(stream, path, report):
        done: list[tuple[int, Event, str]] = []
        for number, line in enumerate(lines, start):
            if not line.strip():
                continue
            record = parse_record(line.replace("\x1d", " "))
            if record is None:
                bad += 1
                first = first or number
                continue
            key = (str(record.get("node", "")), record["serial"])
            group = pending.setdefault(key, [])
            group.append((number, record, line))
            if record["type"] == "EOE" or len(group) >= _MOST_RECORDS:
                done.extend(joined(pending.pop(key)))
            elif len(pending) > _MOST_OPEN:
                done.extend(joined(pending.popitem(last=False)[1]))
        if done:
            yield _block(done)
    rest = [each for group in pending.values() for each in joined(group)]
    if rest:
        yield _block(rest)
    if bad:
        report(Problem(path, f"line {first}", "not an audit record", count=bad))


def _block(done: list[tuple[int, Event, str]]) -> RecordBlock:
    return RecordBlock("auditd", [n for n, _, _ in done], [r for _, r, _ in done], [t for _, _, t in done])


FORMAT = Format("auditd", "Linux audit log", lambda head: 0.95 * share(head, _RECORD.match), read)
