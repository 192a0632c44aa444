"""Syslog files: RFC 3164 and RFC 5424, and what well-known programs write inside."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import BinaryIO

import orjson

from khien.events.batch import Event
from khien.events.mapping import JSON_FAMILY
from khien.events.records import RecordBlock
from khien.formats import auditd, cef, keyvalue, text_lines
from khien.formats.format import Format, Report
from khien.formats.lines import read_lines, share
from khien.formats.xml_text import unescape, xml_data

_OLD = re.compile(
    r"(?:<(\d{1,3})>)?"
    r"((?:[A-Z][a-z]{2} [ \d]\d (?:\d{4} )?\d\d:\d\d:\d\d(?:\.\d{1,6})?)"
    r"|(?:\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?)) "
    # Then a host: no level, zone or thread, with which lines of applications go on.
    r"(?!(?:TRACE|DEBUG|INFO|NOTICE|WARN|WARNING|ERROR|SEVERE|FATAL|CRITICAL|LOG|UTC|GMT)[ :]|\d+ |[A-Z]{3,4} \[)"
    r"([A-Za-z0-9:_]\S{0,254}|\[[0-9A-Fa-f.:]{2,45}\]) (?:([^\s\[\]:]{1,128})(?:\[([^\]\s]{1,32})\])?: ?)?(.*)",
    re.DOTALL,
)
_NEW = re.compile(
    r"(?:\d{1,10} )?<(\d{1,3})>1 (\S{1,64}) (\S{1,255}) (\S{1,128}) (\S{1,128}) (\S{1,64}) (.*)", re.DOTALL
)
_SD_PARAM = re.compile(r'([^\s=\]"]{1,64})="((?:[^"\\\]]|\\.)*)"')
_SSHD = (
    re.compile(
        r"(?P<outcome>Accepted|Failed) (?P<method>\S+) for (?:(?P<invalid>invalid user) )?(?P<user>\S*) from (?P<src_ip>\S+) port (?P<src_port>\d+)"
    ),
    re.compile(r"(?P<invalid>Invalid user) (?P<user>\S*) from (?P<src_ip>\S+)"),
    re.compile(
        r"(?:Connection closed|Disconnected|Received disconnect|Connection reset).{0,40}? (?:user (?P<user>\S+) )?(?P<src_ip>[0-9a-fA-F.:]{3,45}) port (?P<src_port>\d+)"
    ),
)
_SUDO = re.compile(
    r"\s*(?P<user>\S+) : (?:(?P<reason>[^;]{1,120}) ; )?TTY=(?P<tty>\S+) ; PWD=(?P<pwd>.{0,4096}?) ; USER=(?P<runas>\S+) ; (?:GROUP=\S+ ; )?COMMAND=(?P<COMMAND>.*)",
    re.DOTALL,
)
_PAM = re.compile(
    r"(pam_\w{1,32})\(([^:)\s]{1,64}):\w{1,32}\): ([^;\n]{1,200}?)(?: for user (\S{1,64}?)(?:\(.*)?)?(?: by .*)?(?:;.*|\n.*)?\Z",
    re.DOTALL,
)
_PAM_PAIR = re.compile(r"\b(user|rhost|ruser|tty|uid|euid|logname)=(\S*)")
_CRON = re.compile(r"\((?P<user>[^)]{1,64})\) (?P<action>[A-Z]{2,12}) \((?P<command>.*)\)", re.DOTALL)
_PAIR = re.compile(r"\b([A-Za-z_][A-Za-z0-9_]{0,31})=(\"[^\"]*\"|\S*)")
_EVENT_ID = re.compile(r"<EventID[^>]{0,80}>(\d{1,6})</EventID>")
_COMPUTER = re.compile(r"<Computer>([^<]{0,255})</Computer>")
_TIME = re.compile(r"<TimeCreated SystemTime=[\"']([^\"']{1,40})[\"']")
_FACILITIES = [
    "kern",
    "user",
    "mail",
    "daemon",
    "auth",
    "syslog",
    "lpr",
    "news",
    "uucp",
    "cron",
    "authpriv",
    "ftp",
    "ntp",
    "audit",
    "alert",
    "clock",
    "local0",
    "local1",
    "local2",
    "local3",
    "local4",
    "local5",
    "local6",
    "local7",
]
_SEVERITIES = ("emerg", "alert", "crit", "err", "warning", "notice", "info", "debug")


def parse(line: str) -> tuple[str, Event] | None:
    """(family, fields) of a syslog line; None where it is none."""
    found = _NEW.match(line)
    if found:
        record = _modern(found)
    else:
        found = _OLD.match(line)
        if not found:
            return None
        record = {
            "timestamp": found[2],
            "hostname": found[3],
            "program": (found[4] or "").lower(),
            "message": found[6],
        }
        if record["program"].startswith("%"):  # a network device's mnemonic
            record.update(program="", message=line[found.start(4) :])
        elif found[5]:
            record["pid"] = found[5]
        if found[1]:
            _priority(record, int(found[1]))
    return interpret(record)


def _modern(found: re.Match[str]) -> Event:
    record: Event = {"timestamp": found[2], "hostname": found[3], "program": found[4].lower()}
    _priority(record, int(found[1]))
    for name, value in (("pid", found[5]), ("msgid", found[6])):
        if value != "-":
            record[name] = value
    rest = found[7]
    while rest.startswith("["):
        end = _element_end(rest)
        if end < 0:
            break
        for name, value in _SD_PARAM.findall(rest[1:end]):
            record.setdefault(name, re.sub(r"\\([\"\\\]])", r"\1", value))
        rest = rest[end + 1 :]
    if rest.startswith("-"):
        rest = rest[1:]
    record["message"] = rest.strip().lstrip("\ufeff")
    return record


def _element_end(text: str) -> int:
    """Where a structured data element ends: the bracket outside of quotes."""
    quoted = escaped = False
    for at, char in enumerate(text):
        if escaped:
            escaped = False
        elif char == "\\":
            escaped = True
        elif char == '"':
            quoted = not quoted
        elif char == "]" and not quoted:
            return at
    return -1


def _priority(record: Event, value: int) -> None:
    if value < len(_FACILITIES) * 8:
        record["facility"] = _FACILITIES[value >> 3]
        record["severity"] = _SEVERITIES[value & 7]


def interpret(record: Event) -> tuple[str, Event]:
    """(family, fields) of a message with its `program` (in lower case), `hostname` and `message`."""
    program, message = record["program"], record["message"]
    if message.startswith("<Event>") or "<EventData>" in message[:4096]:
        return "sysmon_linux", _sysmon(record, message)
    if message.startswith(("CEF:", "LEEF:")):
        inner = cef.parse(message)
        if inner is not None:
            return "cef", {**record, **inner}
    if message.startswith(("type=", "node=")) and "msg=audit(" in message[:200]:
        inner = auditd.parse_record(message)
        if inner is not None:
            return "auditd", {**inner, "hostname": record["hostname"]}
    if "%" in message and (found := text_lines.DEVICE.search(message)):
        return "text", {**record, "time": record.get("timestamp"), **text_lines.device(found)}
    if "=" in message and (pairs := keyvalue.device_pairs(message)):
        return JSON_FAMILY, {**record, **pairs}
    if found := _PAM.match(message):
        record.update(pam_module=found[1], pam_service=found[2], pam_message=found[3])
        record.update({f"pam_{name}": value for name, value in _PAM_PAIR.findall(message) if value})
        if user := record.get("pam_user") or found[4]:
            record.setdefault("user", user)
    if program.startswith(("sshd", "dropbear")):
        for pattern in _SSHD:
            if found := pattern.search(message):
                record.update({name: value for name, value in found.groupdict().items() if value})
                break
    elif program == "sudo":
        if found := _SUDO.match(message):
            record.update({name: value for name, value in found.groupdict().items() if value})
    elif program.startswith(("cron", "crond", "anacron", "/usr/sbin/cron")):
        if found := _CRON.match(message):
            record.update({name: value for name, value in found.groupdict().items() if value})
    elif message.startswith("{") and message.rstrip().endswith("}"):
        try:
            inner = orjson.loads(message)
        except orjson.JSONDecodeError:
            inner = None
        if isinstance(inner, dict):
            return JSON_FAMILY, {**record, **inner}
    elif program in ("kernel", "ufw") and "SRC=" in message:
        for name, value in _PAIR.findall(message):
            record.setdefault(name, value.strip('"'))
        record["firewall"] = "iptables"
    return "syslog", record


def _sysmon(record: Event, message: str) -> Event:
    out: Event = xml_data(message)
    if found := _EVENT_ID.search(message):
        out["EventID"] = int(found[1])
    if found := _COMPUTER.search(message):
        out["Computer"] = unescape(found[1])
    if found := _TIME.search(message):
        out["TimeCreated"] = found[1]
    out.setdefault("Computer", record["hostname"])
    return out


def read(stream: BinaryIO, path: str, report: Report) -> Iterator[RecordBlock]:
    """The events of a syslog file. A line without a header goes on from the one before it."""
    for start, lines in read_lines(stream, path, report):
        families: dict[str, tuple[list[int], list[Event], list[str]]] = {}
        last: Event | None = None
        for number, line in enumerate(lines, start):
            if not line.strip():
                continue
            parsed = parse(line)
            if parsed is None:
                if last is not None and isinstance(last.get("message"), str) and len(last["message"]) < 65_536:
                    last["message"] += "\n" + line
                    continue
                parsed = "syslog", {"message": line, "program": ""}
            family, record = parsed
            last = record if family == "syslog" else None
            numbers, records, texts = families.setdefault(family, ([], [], []))
            numbers.append(number)
            records.append(record)
            texts.append(line)
        for family, (numbers, records, texts) in families.items():
            yield RecordBlock(family, numbers, records, None if family == "sysmon_linux" else texts)


def _is_syslog(line: str) -> bool:
    return bool(_NEW.match(line) or _OLD.match(line))


FORMAT = Format("syslog", "syslog (RFC 3164, RFC 5424)", lambda head: 0.8 * share(head, _is_syslog), read)
