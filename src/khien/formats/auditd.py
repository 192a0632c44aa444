"""Linux audit logs: the records of one event joined, hex decoded."""

from __future__ import annotations

import re
import socket
from collections import OrderedDict
from collections.abc import Iterator
from functools import lru_cache
from importlib import resources
from typing import BinaryIO

import yaml

from khien.errors import Problem
from khien.events.batch import Event, Value
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
_NULL = "(null)"
_MOST_OPEN = 256
_MOST_RECORDS = 1024
_MOST_PROCESSES = 65_536


@lru_cache(maxsize=1)
def _syscalls() -> dict[str, dict[int, str]]:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    text = (resources.files("khien.formats") / "syscalls.yml").read_bytes()
    tables: dict[str, dict[int, str]] = yaml.load(text, Loader=loader)  # noqa: S506 - a safe loader
    return tables


def parse_record(line: str) -> Event | None:
    """The fields of one audit record, hex decoded; None where it is none. `time` is in epoch seconds."""
    found = _RECORD.match(line)
    if not found:
        return None
    record: Event = {"type": found[2], "time": found[3], "serial": found[4]}
    if found[1]:
        record["node"] = found[1]
    _take(found[5], found[2], record)
    if found[2] == "SYSCALL" and (number := _short_number(record.get("syscall"))) is not None:
        record["syscall_number"] = number
        record["syscall"] = _syscalls().get(str(record.get("arch", "")), {}).get(number, record["syscall"])
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
    return value


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


class Processes:
    """What recent processes ran, by host and process id: a child's record names its parent by id alone."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, str], tuple[str, str]] = OrderedDict()

    def started(self, node: str, pid: str, image: str, command: str) -> None:
        """Remember a process."""
        self._known[node, pid] = image, command
        self._known.move_to_end((node, pid))
        if len(self._known) > _MOST_PROCESSES:
            self._known.popitem(last=False)

    def parent(self, node: str, pid: str) -> Event:
        """The parent's fields, as far as they are known."""
        image, command = self._known.get((node, pid), ("", ""))
        return {"ParentImage": image, "ParentCommandLine": command} if image else {}


def joined(group: list[tuple[int, Event, str]], processes: Processes) -> Iterator[tuple[int, Event, str]]:
    """The records of one audit event, each with what its siblings know of the process, and what they say together.

    An EXECVE gives one more event with `derived: process_creation`, a PATH that was created one with
    `derived: file_event`, a connect with an address one with `derived: network_connection`.
    """
    shared: Event = {}
    execve: Event | None = None
    title = ""
    for _, record, _ in group:
        for name in _SHARED:
            if name in record and name not in shared and record[name] != _NULL:
                shared[name] = record[name]
        if record["type"] == "EXECVE":
            if execve is not None:  # long argument lists go on in further records
                record = {**record, **execve}
            execve = record
        elif record["type"] == "PROCTITLE":
            title = str(record.get("proctitle", "")).removeprefix(_NULL)
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
    node = str(first.get("node", ""))
    if execve is not None:
        command = " ".join([_argument(execve, at) for at in range(_count(execve))]) or title
        parent = processes.parent(node, about["ParentProcessId"])
        processes.started(node, about["ProcessId"], about["Image"], command)
        yield number, {**about, **parent, "derived": "process_creation", "CommandLine": command}, line
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


def _argument(execve: Event, at: int) -> str:
    """An argument; a long one stands in pieces (`a1[0]=`, `a1[1]=`)."""
    whole = execve.get(f"a{at}")
    if whole is not None:
        return str(whole)
    pieces: list[str] = []
    while (piece := execve.get(f"a{at}[{len(pieces)}]")) is not None:
        pieces.append(str(piece))
    return "".join(pieces)


def _count(execve: Event) -> int:
    return min(_short_number(execve.get("argc")) or 0, 4096)


def _short_number(value: Value) -> int | None:
    """The number of at most seven digits that a value is."""
    return int(value) if isinstance(value, str) and value.isdecimal() and len(value) < 8 else None


def _absolute(record: Event, shared: Event) -> str:
    name, folder = str(record.get("name", "")), str(shared.get("cwd", ""))
    return name if name.startswith("/") or not folder else f"{folder.rstrip('/')}/{name.removeprefix('./')}"


def read(stream: BinaryIO, path: str, report: Report) -> Iterator[RecordBlock]:
    """The events of an audit log. Records of one serial may be interleaved with others; an event that
    never ends is given as it is when 256 younger ones are open."""
    processes = Processes()
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
                done.extend(joined(pending.pop(key), processes))
            elif len(pending) > _MOST_OPEN:
                done.extend(joined(pending.popitem(last=False)[1], processes))
        if done:
            yield _block(done)
    rest = [each for group in pending.values() for each in joined(group, processes)]
    if rest:
        yield _block(rest)
    if bad:
        report(Problem(path, f"line {first}", "not an audit record", count=bad))


def _block(done: list[tuple[int, Event, str]]) -> RecordBlock:
    return RecordBlock("auditd", [n for n, _, _ in done], [r for _, r, _ in done], [t for _, _, t in done])


FORMAT = Format("auditd", "Linux audit log", lambda head: 0.95 * share(head, _RECORD.match), read)
