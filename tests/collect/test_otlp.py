"""OTLP/HTTP logs, from the OpenTelemetry SDK and by hand."""

from __future__ import annotations

import gzip
import json
import logging
from pathlib import Path

import pytest
from google.protobuf import json_format
from opentelemetry._logs import SeverityNumber
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.resources import Resource

from collect.serving import Served, serving

PROTOBUF = {"Content-Type": "application/x-protobuf"}
JSON = {"Content-Type": "application/json"}


def records(served: Served) -> list[dict]:
    return [json.loads(line) for line in served.lines()]


def request(*logs: dict, resource: dict | None = None) -> dict:
    def pairs(values: dict) -> list:
        return [{"key": key, "value": value} for key, value in values.items()]

    made = [log | {"attributes": pairs(log.get("attributes", {}))} for log in logs]
    group = {
        "resource": {"attributes": pairs(resource or {})},
        "scopeLogs": [{"scope": {"name": "app"}, "logRecords": made}],
    }
    return {"resourceLogs": [group]}


@pytest.mark.parametrize("compression", [Compression.NoCompression, Compression.Gzip])
def test_the_sdk_exports_its_logs(tmp_path: Path, compression: Compression) -> None:
    with serving(tmp_path) as served:
        exporter = OTLPLogExporter(
            f"{served.url}/v1/logs", headers={"Authorization": f"Bearer {served.key.encoded}"}, compression=compression
        )
        provider = LoggerProvider(Resource({"host.name": "web01", "service.name": "shop"}))
        provider.add_log_record_processor(BatchLogRecordProcessor(exporter))
        logger = provider.get_logger("app")
        for n in range(50):
            logger.emit(
                timestamp=1_700_000_000_123_456_789 + n,
                severity_number=SeverityNumber.WARN,
                body=f"login failed {n}",
                attributes={"user.name": "admin", "attempt": n},
            )
        provider.shutdown()
        found = records(served)
        assert len(found) == 50
        first = found[0]
        assert first.pop("observed_time").endswith("Z")
        assert (
            first.items()
            >= {
                "time": "2023-11-14T22:13:20.123456789Z",
                "severity": "WARN",
                "severity_number": 13,
                "message": "login failed 0",
                "scope.name": "app",
                "user.name": "admin",
                "attempt": 0,
                "host.name": "web01",
                "service.name": "shop",
            }.items()
        )


LOG = {
    "timeUnixNano": "1700000000000000000",
    "severityNumber": 17,
    "body": {"kvlistValue": {"values": [{"key": "id", "value": {"intValue": "4625"}}]}},
    "attributes": {
        "tags": {"arrayValue": {"values": [{"stringValue": "a"}, {"boolValue": True}]}},
        "raw": {"bytesValue": "AAE="},
        "host.name": {"stringValue": "inner"},
        "deep": {"kvlistValue": {"values": [{"key": "x", "value": {"doubleValue": 1.5}}]}},
    },
}
FLAT = {
    "time": "2023-11-14T22:13:20.000000000Z",
    "severity": "ERROR",
    "severity_number": 17,
    "body.id": 4625,
    "tags": ["a", True],
    "raw": "AAE=",
    "host.name": "inner",
    "deep.x": 1.5,
    "resource.host.name": "outer",
    "scope.name": "app",
}


def test_json_and_protobuf_give_the_same_flat_line(tmp_path: Path) -> None:
    tree = request(LOG, resource={"host.name": {"stringValue": "outer"}})
    binary = json_format.ParseDict(tree, ExportLogsServiceRequest()).SerializeToString()
    with serving(tmp_path) as served:
        status, headers, body = served.send("/v1/logs", json.dumps(tree).encode(), JSON)
        assert (status, headers["content-type"], body) == (200, "application/json", b"{}")
        zipped = PROTOBUF | {"Content-Encoding": "gzip"}
        status, headers, body = served.send("/v1/logs", gzip.compress(binary), zipped)
        assert (status, headers["content-type"], body) == (200, "application/x-protobuf", b"")
        assert records(served) == [FLAT, FLAT]


def test_records_that_are_too_long_are_left_out_and_told(tmp_path: Path) -> None:
    tree = request({"body": {"stringValue": "x" * 5000}}, {"body": {"stringValue": "short"}})
    with serving(tmp_path, web={"max_line": 1000}) as served:
        _, _, body = served.send("/v1/logs", json.dumps(tree).encode(), JSON)
        assert json.loads(body)["partialSuccess"]["rejectedLogRecords"] == "1"
        binary = json_format.ParseDict(tree, ExportLogsServiceRequest()).SerializeToString()
        _, _, body = served.send("/v1/logs", binary, PROTOBUF)
        assert ExportLogsServiceResponse.FromString(body).partial_success.rejected_log_records == 1
        assert [each["message"] for each in records(served)] == ["short", "short"]


def test_lines_of_a_log_file_are_passed_on_in_their_own_format(tmp_path: Path) -> None:
    line = "type=SYSCALL msg=audit(1.1:1): pid=1"
    with serving(tmp_path, web={"kind": "otlp", "format": "auditd"}) as served:
        served.send("/v1/logs", json.dumps(request({"body": {"stringValue": line}})).encode(), JSON)
        (parcel,) = served.parcels()
        assert (parcel.format, parcel.data) == ("auditd", line.encode() + b"\n")


def test_an_empty_request_succeeds(tmp_path: Path) -> None:
    with serving(tmp_path) as served:
        assert served.send("/v1/logs", b"", PROTOBUF)[0] == 200
        assert served.parcels() == []


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"\xff\xff", PROTOBUF, 400),
        (b"{", JSON, 400),
        (b"[1]", JSON, 400),
        (b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"timeUnixNano":"x"}]}]}]}', JSON, 400),
        (b"x", {"Content-Type": "text/plain"}, 415),
        (b"", PROTOBUF | {"Authorization": "Bearer x"}, 401),
    ],
)
def test_what_is_no_otlp_is_refused_in_the_language_of_otlp(
    tmp_path: Path, body: bytes, headers: dict, status: int
) -> None:
    with serving(tmp_path) as served:
        got, answered, answer = served.send("/v1/logs", body, headers)
        assert got == status
        if answered["content-type"] == "application/json":
            assert json.loads(answer)["message"]
        assert served.parcels() == []


logging.getLogger("opentelemetry").setLevel(logging.ERROR)
