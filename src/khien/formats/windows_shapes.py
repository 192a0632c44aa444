"""The shapes in which Windows events travel as JSON, to one flat record.

In a flat record the System fields are EventID (a number), Channel, Computer, Provider_Name, Level,
Task, Opcode, Keywords, Version, TimeCreated, EventRecordID, Security_UserID and Execution_ProcessID;
what the event itself carries (EventData, UserData) stands beside them under its own names.
"""

from __future__ import annotations

import re
from typing import Any

from khien.events.batch import Event, Value

FLAT_NAMES = {
    "Provider_Name": ("SourceName", "ProviderName", "EventSourceName"),
    "Computer": ("Hostname", "HostName"),
    "TimeCreated": ("EventTime", "TimeGenerated"),
    "EventRecordID": ("RecordNumber", "EventRecordId"),
    "Execution_ProcessID": ("ExecutionProcessID",),
    "Security_UserID": ("UserID",),
}
"""Flat System fields to the names that shippers (NXLog, HELK, Sentinel) give them."""

_ATTRIBUTES = ("#attributes", "@attributes", "attributes")
_XML_DATA = re.compile(r"<Data(?:\s+Name=(?:\"([^\"]*)\"|'([^']*)'))?\s*(?:/>|>([^<]*)</Data>)")
_ENTITIES = {"lt": "<", "gt": ">", "amp": "&", "quot": '"', "apos": "'"}
_ENTITY = re.compile(r"&(#x[0-9A-Fa-f]{1,6}|#\d{1,7}|lt|gt|amp|quot|apos);")


def windows_record(record: Event) -> Event | None:
    """The flat record of a Windows event in any known shape; None where it is none."""
    event = record.get("Event")
    if isinstance(event, dict) and isinstance(event.get("System"), dict):
        return nested_record(event)
    if isinstance(record.get("System"), dict) and ("EventData" in record or "UserData" in record):
        return nested_record(record)
    winlog = record.get("winlog")
    if isinstance(winlog, dict):
        return winlogbeat_record(record, winlog)
    if "winlog.channel" in record or "winlog.event_id" in record:
        return winlogbeat_record(record, _undotted(record, "winlog."))
    if "EventID" in record and ("Channel" in record or any(name in record for name in FLAT_NAMES["Provider_Name"])):
        return flat_record(record)
    if "EventCode" in record and ("Channel" in record or "LogName" in record):  # Splunk
        named = {"EventID": record["EventCode"], "Channel": record.get("Channel", record.get("LogName"))}
        return flat_record({**record, **named})
    return None


def flat_record(record: Event) -> Event:
    """A record with its fields at the top (NXLog, HELK, Sentinel), under the names of flat records too."""
    out = dict(record)
    for name, others in FLAT_NAMES.items():
        if name not in out:
            for other in others:
                if other in out:
                    out[name] = out[other]
                    break
    data = out.get("EventData")
    if isinstance(data, dict):
        _take_data(out, data)
    elif isinstance(data, str) and "<Data" in data:
        del out["EventData"]
        for name, value in xml_data(data).items():
            out.setdefault(name, value)
    _number_event(out)
    return out


def nested_record(event: dict[str, Any]) -> Event:
    """An event as XML has it: System, and EventData or UserData; attributes in any of the usual ways."""
    out: Event = {}
    data = event.get("EventData")
    if isinstance(data, dict):
        _take_data(out, data)
    elif isinstance(data, list):
        _take_list(out, data)
    elif data is not None:
        out["Data"] = data
    user = event.get("UserData")
    if isinstance(user, dict):
        for name, inner in user.items():
            if name in _ATTRIBUTES or name.startswith(("@", "xmlns")):
                continue
            if isinstance(inner, dict):
                _take_data(out, inner)
            else:
                out[name] = inner
    _take_system(out, event["System"])
    return out


def _take_system(out: Event, system: dict[str, Any]) -> None:
    for name, value in system.items():
        if isinstance(value, dict):
            attributes = _attributes(value)
            text = value.get("#text", value.get("$", value.get("_")))
            if name == "Provider":
                out["Provider_Name"] = attributes.get("Name")
                if "Guid" in attributes:
                    out["Provider_Guid"] = attributes["Guid"]
            elif name == "TimeCreated":
                out["TimeCreated"] = attributes.get("SystemTime", text)
            elif name == "EventID":
                out["EventID"] = text
            else:
                for inner, each in attributes.items():
                    out[f"{name}_{inner}"] = each
                if text is not None:
                    out[name] = text
        elif value is not None or name not in ("Correlation", "Security", "Execution"):
            if name in ("EventID", "Channel", "Computer") or name not in out:
                out[name] = value
    _number_event(out)


def _attributes(value: dict[str, Any]) -> dict[str, Any]:
    for name in _ATTRIBUTES:
        inner = value.get(name)
        if isinstance(inner, dict):
            return inner
    return {name[1:] if name[:1] == "@" else name: each for name, each in value.items() if name[:1] != "#"}


def _take_data(out: Event, data: dict[str, Any]) -> None:
    """EventData: named values, or a Data list of names and texts."""
    for name, value in data.items():
        if name in ("#attributes", "@attributes") or (name[:1] == "@" and name != "@timestamp") or name == "xmlns":
            continue
        if name == "Data":
            _take_list(out, value if isinstance(value, list) else [value])
        elif isinstance(value, dict) and ("#text" in value or "#attributes" in value):
            out[name] = value.get("#text")
        else:
            out[name] = value


def _take_list(out: Event, items: list[Any]) -> None:
    unnamed: list[Value] = []
    for item in items:
        if isinstance(item, dict):
            attributes = _attributes(item)
            name = attributes.get("Name")
            text = item.get("#text", item.get("$", item.get("_")))
            if isinstance(name, str):
                out[name] = text
                continue
            unnamed += text if isinstance(text, list) else [text]
        elif isinstance(item, list):
            unnamed += item
        else:
            unnamed.append(item)
    if unnamed:
        out["Data"] = unnamed if len(unnamed) > 1 else unnamed[0]


def winlogbeat_record(record: Event, winlog: dict[str, Any]) -> Event:
    """Winlogbeat and other ECS shippers: `winlog.event_data` beside the System fields."""
    out: Event = {}
    for part in ("user_data", "event_data"):
        data = winlog.get(part)
        if isinstance(data, dict):
            _take_data(out, data)
    names = {
        "channel": "Channel",
        "computer_name": "Computer",
        "provider_name": "Provider_Name",
        "provider_guid": "Provider_Guid",
        "record_id": "EventRecordID",
        "task": "Task",
        "opcode": "Opcode",
        "keywords": "Keywords",
        "version": "Version",
    }
    for theirs, ours in names.items():
        if theirs in winlog:
            out[ours] = winlog[theirs]
    event = record.get("event")
    event = event if isinstance(event, dict) else {}
    number = winlog.get("event_id", event.get("code", record.get("event.code")))
    if isinstance(number, dict):
        number = number.get("id")
    out["EventID"] = number
    user = winlog.get("user")
    if isinstance(user, dict) and "identifier" in user:
        out["Security_UserID"] = user["identifier"]
    for name in ("@timestamp", "message"):
        if name in record:
            out[name] = record[name]
    created = record.get("@timestamp", event.get("created"))
    if created is not None:
        out.setdefault("TimeCreated", created)
    _number_event(out)
    return out


def _undotted(record: Event, prefix: str) -> dict[str, Any]:
    """`winlog.event_data.Image: x` as nested objects below the prefix."""
    out: dict[str, Any] = {}
    for name, value in record.items():
        if name.startswith(prefix):
            head, _, rest = name[len(prefix) :].partition(".")
            if rest:
                inner = out.setdefault(head, {})
                if isinstance(inner, dict):
                    inner[rest] = value
            else:
                out[head] = value
    return out


def _number_event(out: Event) -> None:
    value = out.get("EventID")
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 10:
        out["EventID"] = int(value)


def xml_data(text: str) -> Event:
    """The `<Data Name="x">value</Data>` elements of an XML text; unnamed ones are listed as Data."""
    out: Event = {}
    unnamed: list[Value] = []
    for found in _XML_DATA.finditer(text):
        name = found[1] or found[2]
        value = unescape(found[3] or "")
        if name:
            out[name] = value
        else:
            unnamed.append(value)
    if unnamed:
        out["Data"] = unnamed if len(unnamed) > 1 else unnamed[0]
    return out


def unescape(text: str) -> str:
    """XML text with its five entities and character references replaced."""
    if "&" not in text:
        return text

    def replace(found: re.Match[str]) -> str:
        name = found[1]
        if name[0] != "#":
            return _ENTITIES[name]
        code = int(name[2:], 16) if name[1] == "x" else int(name[1:])
        return chr(code) if code < 0x110000 and not 0xD800 <= code < 0xE000 else "\ufffd"

    return _ENTITY.sub(replace, text)
