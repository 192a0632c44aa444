"""The shapes in which Windows events travel as JSON, to one flat record.

In a flat record the System fields are EventID (a number), Channel, Computer, Provider_Name, Level,
Task, Opcode, Keywords, Version, TimeCreated, EventRecordID, Security_UserID and Execution_ProcessID;
what the event itself carries (EventData, UserData) stands beside them under its own names.
"""

from __future__ import annotations

from typing import Any

import orjson

from khien.events.batch import Event, Value
from khien.formats.xml_text import xml_data

FLAT_NAMES = {
    "Provider_Name": ("SourceName", "ProviderName", "EventSourceName"),
    "Computer": ("Hostname", "HostName"),
    "TimeCreated": ("EventTime", "TimeGenerated"),
    "EventRecordID": ("RecordNumber", "EventRecordId"),
    "Execution_ProcessID": ("ExecutionProcessID",),
    "Security_UserID": ("UserID",),
}
"""Flat System fields to the names that shippers (NXLog, HELK, Sentinel) give them."""
_ORIGINS = (*FLAT_NAMES["Provider_Name"], "Provider_Name", "EventLog", "LogName")
_WINLOG_NAMES = {
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
_EVTXECMD_NAMES = {
    **{name: name for name in ("Channel", "Computer", "TimeCreated", "Level", "Keywords")},
    "EventRecordId": "EventRecordID",
    "UserId": "Security_UserID",
    "ProcessId": "Execution_ProcessID",
}
_ATTRIBUTES = ("#attributes", "@attributes", "attributes")


def windows_record(record: Event) -> Event | None:
    """The flat record of a Windows event in any known shape; None where it is none."""
    event = record.get("Event")
    if isinstance(event, dict) and isinstance(event.get("System"), dict):
        return nested_record(event)
    if isinstance(record.get("System"), dict) and not record["System"].keys().isdisjoint(("EventID", "Channel")):
        return nested_record(record)
    winlog = record.get("winlog")
    if isinstance(winlog, dict):
        return winlogbeat_record(record, winlog)
    if "winlog.channel" in record or "winlog.event_id" in record:
        return winlogbeat_record(record, _undotted(record, "winlog."))
    if "EventID" in record and ("Channel" in record or any(name in record for name in _ORIGINS)):
        return flat_record(record)
    if "EventCode" in record and ("Channel" in record or "LogName" in record):  # Splunk
        named = {"EventID": record["EventCode"], "Channel": record.get("Channel", record.get("LogName"))}
        return flat_record({**record, **named})
    if "event_id" in record and "log_name" in record:  # Winlogbeat 6
        named = {"channel": record["log_name"], "provider_name": record.get("source_name")}
        return winlogbeat_record(record, {**record, **named, "record_id": record.get("record_number")})
    if "EventId" in record and "Channel" in record and "Payload" in record:
        return evtxecmd_record(record)
    data = record.get("data")
    if isinstance(data, dict) and isinstance(data.get("win"), dict):
        return wazuh_record(record, data["win"])
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
    if "Channel" not in out and isinstance(log := out.get("EventLog", out.get("LogName")), str):
        out["Channel"] = log
    data = out.get("EventData")
    if isinstance(data, dict):
        del out["EventData"]
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
            if name.endswith("_attributes"):  # evtx_dump --separate-json-attributes
                name, value = name.removesuffix("_attributes"), {"#attributes": value}
                if name == "EventID":
                    continue
            attributes = _attributes(value)
            text = _text(value)
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


def _text(value: dict[str, Any]) -> Value:
    for name in ("#text", "$", "_", "Value"):
        if name in value:
            return value[name]
    return None


def _attributes(value: dict[str, Any]) -> dict[str, Any]:
    for name in _ATTRIBUTES:
        inner = value.get(name)
        if isinstance(inner, dict):
            return inner
    return {name[1:] if name[:1] == "@" else name: each for name, each in value.items() if name[:1] != "#"}


def _take_data(out: Event, data: dict[str, Any]) -> None:
    """EventData: named values, or a Data list of names and texts."""
    for name, value in data.items():
        if name in ("#attributes", "xmlns") or (name[:1] == "@" and name != "@timestamp"):
            continue
        if name == "Data":
            _take_list(out, value if isinstance(value, list) else [value])
        elif isinstance(value, dict) and ("#text" in value or "#attributes" in value):
            out[name] = value.get("#text")
        elif isinstance(value, dict) and name.endswith("_attributes"):
            continue
        else:
            out[name] = value


def _take_list(out: Event, items: list[Any]) -> None:
    unnamed: list[Value] = []
    for item in items:
        if isinstance(item, dict):
            attributes = _attributes(item)
            name = attributes.get("Name")
            text = _text(item)
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
    if "Data" not in out and "param1" in out:  # unnamed values
        values = [out[name] for at in range(1, 32) if (name := f"param{at}") in out]
        out["Data"] = values if len(values) > 1 else values[0]
    for theirs, ours in _WINLOG_NAMES.items():
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


def evtxecmd_record(record: Event) -> Event:
    """A line of EvtxECmd, whose `Payload` holds EventData or UserData as JSON text."""
    payload: Any = record["Payload"]
    if isinstance(payload, str):
        try:
            payload = orjson.loads(payload)
        except orjson.JSONDecodeError:
            payload = None
    body = payload if isinstance(payload, dict) else {}
    system = {"EventID": record["EventId"], "Provider_Name": record.get("Provider")}
    for theirs, ours in _EVTXECMD_NAMES.items():
        if theirs in record:
            system[ours] = record[theirs]
    return nested_record({**body, "System": system})


def wazuh_record(record: Event, win: dict[str, Any]) -> Event:
    """A Wazuh alert or archive line: `data.win.system` and `data.win.eventdata` with lower first letters."""
    system = win.get("system")
    system = dict(system) if isinstance(system, dict) else {}
    data = win.get("eventdata")
    data = data if isinstance(data, dict) else {}
    named = {name[:1].upper() + name[1:]: value for name, value in system.items() if isinstance(name, str)}
    named["Provider_Name"] = named.pop("ProviderName", None)
    named["Provider_Guid"] = named.pop("ProviderGuid", None)
    if "SystemTime" in named:
        named["TimeCreated"] = named["SystemTime"]
    out = nested_record({"System": named, "EventData": {n[:1].upper() + n[1:]: v for n, v in data.items()}})
    if "timestamp" in record:
        out.setdefault("TimeCreated", record["timestamp"])
    return out
