"""OTLP/HTTP logs: each LogRecord becomes one flat JSON line.

Names in the line: `time` and `observed_time` (RFC 3339, UTC, nanoseconds), `severity` (text, or the
name of its number), `severity_number`, `message` (a body that is text), `body.NAME` (fields of a body
that is a map), attributes of record and resource under their own names, those of the resource as
`resource.NAME` where both have one, `scope.name`, `event.name`, `trace_id`, `span_id` (hexadecimal).
Maps inside attributes are written NAME.FIELD; arrays stay arrays; bytes are base64.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import orjson
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse

from khien.collect.bodies import Events, check_tree
from khien.collect.http_messages import Refusal

PROTOBUF = "application/x-protobuf"
JSON = "application/json"
SEVERITIES = ("TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL")
DEPTH = 32
RAW_FORMATS = ("", "json")

Record = dict[str, Any]


def otlp_events(body: bytes, content_type: str, form: str, longest: int) -> tuple[Events, int]:
    """(events, records left out because longer than `longest`) of a request body.

    `form` is the format of the source: for one other than JSON the text bodies themselves are the
    events (a log file's lines, carried by OTLP), without attributes. Raises `Refusal` (400, 413, 415).
    """
    check_tree(body)
    kind = content_type.partition(";")[0].strip().lower()
    if kind == PROTOBUF:
        records = protobuf_records(body)
    elif kind == JSON:
        records = json_records(body)
    else:
        raise Refusal(415, "type", f"send {PROTOBUF} or {JSON}")
    lines, left_out = [], 0
    for record in records:
        line = _line(record, form)
        if len(line) > longest:
            left_out += 1
        elif line:
            lines.append(line)
    return Events(b"\n".join(lines) + b"\n" if lines else b"", len(lines)), left_out


def _line(record: Record, form: str) -> bytes:
    if form not in RAW_FORMATS and isinstance(record.get("message"), str):
        return str(record["message"]).strip("\n").replace("\n", "\\n").encode()
    return orjson.dumps(record)


def protobuf_records(body: bytes) -> Iterator[Record]:
    """The records of an ExportLogsServiceRequest in protobuf. Raises `Refusal` (400) at once."""
    try:
        request = ExportLogsServiceRequest.FromString(body)
    except DecodeError:
        raise Refusal(400, "malformed", "the body is not an ExportLogsServiceRequest") from None
    return _protobuf_records(request)


def _protobuf_records(request: ExportLogsServiceRequest) -> Iterator[Record]:
    for group in request.resource_logs:
        resource = dict(_attributes(group.resource.attributes))
        for scope in group.scope_logs:
            for log in scope.log_records:
                body = _value(log.body) if log.HasField("body") else None
                yield _record(
                    (log.time_unix_nano, log.observed_time_unix_nano),
                    (log.severity_number, log.severity_text),
                    body,
                    dict(_attributes(log.attributes)),
                    resource,
                    {
                        "scope.name": scope.scope.name,
                        "event.name": log.event_name,
                        "trace_id": log.trace_id.hex(),
                        "span_id": log.span_id.hex(),
                    },
                )


def _attributes(pairs: Iterable[Any]) -> Iterator[tuple[str, Any]]:
    # Nearly all are texts that are not empty: asking for the text alone takes a third of the time.
    return ((pair.key, (value := pair.value).string_value or _value(value)) for pair in pairs)


def _value(value: Any, depth: int = 0) -> Any:
    kind = value.WhichOneof("value")
    if kind is None or depth > DEPTH:
        return None
    found = getattr(value, kind)
    if kind == "kvlist_value":
        return {pair.key: _value(pair.value, depth + 1) for pair in found.values}
    if kind == "array_value":
        return [_value(each, depth + 1) for each in found.values]
    if kind == "bytes_value":
        return base64.b64encode(found).decode()
    return found


def json_records(body: bytes) -> Iterator[Record]:
    """The records of an ExportLogsServiceRequest in OTLP's JSON. Raises `Refusal` (400) at once."""
    try:
        tree = orjson.loads(body)
        # Names of both spellings are used in the field; times are texts or numbers.
        return iter([record for group in _list(tree, "resourceLogs") for record in _json_group(group)])
    except (orjson.JSONDecodeError, AttributeError, TypeError, ValueError, KeyError, binascii.Error):
        raise Refusal(400, "malformed", "the body is not an ExportLogsServiceRequest in JSON") from None


def _json_group(group: dict[str, Any]) -> Iterator[Record]:
    resource = _json_attributes(group.get("resource") or {})
    for scope in _list(group, "scopeLogs"):
        for log in _list(scope, "logRecords"):
            yield _record(
                (int(log.get("timeUnixNano") or 0), int(log.get("observedTimeUnixNano") or 0)),
                (int(log.get("severityNumber") or 0), str(log.get("severityText") or "")),
                _json_value(log["body"]) if log.get("body") else None,
                _json_attributes(log),
                resource,
                {
                    "scope.name": str((scope.get("scope") or {}).get("name") or ""),
                    "event.name": str(log.get("eventName") or ""),
                    "trace_id": str(log.get("traceId") or ""),
                    "span_id": str(log.get("spanId") or ""),
                },
            )


def _list(tree: dict[str, Any], name: str) -> list[Any]:
    found = tree.get(name) or []
    if not isinstance(found, list):
        raise TypeError(name)
    return found


def _json_attributes(holder: dict[str, Any]) -> Record:
    return {str(pair["key"]): _json_value(pair.get("value") or {}) for pair in _list(holder, "attributes")}


def _json_value(value: dict[str, Any], depth: int = 0) -> Any:
    if depth > DEPTH:
        return None
    for kind, found in value.items():
        if kind == "kvlistValue":
            return {
                str(pair["key"]): _json_value(pair.get("value") or {}, depth + 1) for pair in _list(found, "values")
            }
        if kind == "arrayValue":
            return [_json_value(each, depth + 1) for each in _list(found, "values")]
        if kind == "intValue":
            return int(found)
        if kind in ("stringValue", "boolValue", "doubleValue", "bytesValue"):
            return found
    return None


def _record(
    times: tuple[int, int],
    severity: tuple[int, str],
    body: Any,
    attributes: Record,
    resource: Record,
    names: dict[str, str],
) -> Record:
    record: Record = {}
    if time := times[0] or times[1]:
        record["time"] = _rfc3339(time)
    if times[1]:
        record["observed_time"] = _rfc3339(times[1])
    number, word = severity
    if number or word:
        record["severity"] = word or SEVERITIES[max(0, min(23, number - 1)) // 4]
        record["severity_number"] = number
    if isinstance(body, dict):
        _flatten("body", body, record)
    elif body is not None:
        record["message"] = body
    for name, value in names.items():
        if value:
            record[name] = value
    _add(attributes, record)
    _add({f"resource.{name}" if name in record else name: value for name, value in resource.items()}, record)
    return record


def _add(fields: Record, into: Record) -> None:
    for name, value in fields.items():
        if type(value) is str and name not in into:
            into[name] = value
        else:
            _flatten(name, value, into)


def _flatten(name: str, value: Any, into: Record) -> None:
    if isinstance(value, dict):
        for key, inner in value.items():
            _flatten(f"{name}.{key}", inner, into)
    elif name in into:
        into.setdefault(f"attributes.{name}", value)
    else:
        into[name] = value if not isinstance(value, int) or -(1 << 63) <= value < 1 << 64 else str(value)


def _rfc3339(nanoseconds: int) -> str:
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    second = _second(seconds)
    return f"{second}.{rest:09d}Z" if second else str(nanoseconds)


@lru_cache(maxsize=1024)
def _second(seconds: int) -> str:
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}"
    except (ValueError, OverflowError, OSError):
        return ""


def otlp_answer(content_type: str, left_out: int, why: str) -> tuple[bytes, str]:
    """(body, content type) of a success, partial when records were left out."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind == JSON:
        tree = {"partialSuccess": {"rejectedLogRecords": str(left_out), "errorMessage": why}} if left_out else {}
        return orjson.dumps(tree), JSON
    response = ExportLogsServiceResponse()
    if left_out:
        response.partial_success.rejected_log_records = left_out
        response.partial_success.error_message = why
    return response.SerializeToString(), PROTOBUF


def otlp_error(content_type: str, what: str, code: int) -> tuple[bytes, str]:
    """(body, content type) of a failure: a google.rpc.Status."""
    if content_type.partition(";")[0].strip().lower() == PROTOBUF:
        text = what.encode()[:120]
        return b"\x08" + bytes([code]) + b"\x12" + bytes([len(text)]) + text, PROTOBUF
    return orjson.dumps({"code": code, "message": what}), JSON
