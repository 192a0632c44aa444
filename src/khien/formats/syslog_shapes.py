"""The shapes in which syslog messages travel as JSON, to the records that syslog files give."""

from __future__ import annotations

from khien.events.batch import Event, Value
from khien.formats import syslog


def syslog_record(record: Event) -> tuple[str, Event] | None:
    """(family, record) of a syslog message in any known JSON shape; None where it is none."""
    if isinstance(record.get("SyslogMessage"), str):  # Microsoft Sentinel, Log Analytics
        program = record.get("ProcessName", "")
        host = record.get("HostName", record.get("Computer", ""))
        time = record.get("EventTime", record.get("TimeGenerated"))
        return _interpreted(record, "SyslogMessage", program, host, time)
    if isinstance(record.get("MESSAGE"), str) and ("_HOSTNAME" in record or "SYSLOG_IDENTIFIER" in record):
        time = record.get("_SOURCE_REALTIME_TIMESTAMP", record.get("__REALTIME_TIMESTAMP"))
        program = record.get("SYSLOG_IDENTIFIER", record.get("_COMM", ""))
        return _interpreted(record, "MESSAGE", program, record.get("_HOSTNAME", ""), time)
    message = record.get("message")
    if isinstance(message, str):
        for name in ("program", "ident", "programname", "appname", "app-name", "syslog-tag", "syslog_program"):
            if isinstance(program := record.get(name), str):  # rsyslog, Fluentd, Logstash
                host = record.get("hostname", record.get("host", record.get("fromhost", "")))
                time = record.get("timestamp", record.get("timereported", record.get("time", record.get("@timestamp"))))
                return _interpreted(record, "message", program, host, time)
        if "EventID" not in record and (parsed := _line(message)):  # a shipper of whole lines
            return parsed[0], {**record, **parsed[1]}
    return None


def _interpreted(record: Event, text: str, program: Value, host: Value, time: Value) -> tuple[str, Event]:
    name = str(program or "").rstrip(":").split("[", 1)[0].lower()
    if isinstance(host, dict):
        host = host.get("name", host.get("hostname", ""))
    about = {"program": name, "hostname": host, "timestamp": time, "message": record[text]}
    return syslog.interpret({**record, **about})


def _line(message: str) -> tuple[str, Event] | None:
    if message[:1] not in "<ABCDEFGHIJKLMNOPQRSTUVWXYZ12" or len(message) > 65_536:
        return None
    return syslog.parse(message)
