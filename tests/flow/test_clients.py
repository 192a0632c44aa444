"""Unmodified clients of the field against `khien up`: what they send is found by `khien search`."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from elasticsearch import Elasticsearch, helpers
from opentelemetry._logs import SeverityNumber
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.resources import Resource

from collect.test_syslog_senders import syslog_ng, tool
from flow.live_service import KHIEN, LiveService, free_port

__all__ = ["syslog_ng"]
pytestmark = pytest.mark.slow
MANY = 200
_TEMPLATE = """template(name="event" type="list" option.jsonf="on") {
    property(outname="@timestamp" name="timereported" dateFormat="rfc3339" format="jsonf")
    property(outname="host" name="hostname" format="jsonf")
    property(outname="message" name="msg" format="jsonf")
}
"""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveService]:
    folder = tmp_path_factory.mktemp("clients")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    server = authority.issue_cert("localhost", "127.0.0.1")
    server.private_key_pem.write_to_path(folder / "server.key")
    server.cert_chain_pems[0].write_to_path(folder / "server.pem")
    followed = f'[[source]]\nid = "followed"\nkind = "file"\npaths = ["{folder}/app/*.log"]\n'
    (folder / "app").mkdir()
    live = LiveService(
        folder / "data",
        sources=followed,
        listen=f'syslog_tls = ["127.0.0.1:{free_port()}"]\n'
        f'tls = {{ certificate = "{folder}/server.pem", private_key = "{folder}/server.key" }}\n',
    )
    with live:
        yield live


@pytest.fixture
def tls_port(service: LiveService) -> int:
    found = re.search(r'syslog_tls = \["127.0.0.1:(\d+)"\]', service.sources.read_text())
    assert found
    return int(found[1])


def search(service: LiveService, words: str) -> list[dict[str, Any]]:
    """What `khien search` finds."""
    command = [str(KHIEN), "search", words, "--lake", str(service.folder / "lake"), "--limit", "10000"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def found(service: LiveService, word: str, many: int = MANY, wait: float = 45.0) -> list[dict[str, Any]]:
    """The events with a word, once there are as many; each client sends a word of its own with a number behind it."""
    deadline = time.monotonic() + wait
    while True:
        events = search(service, f'"{word}" since:24h')
        numbers = [match[1] for event in events if (match := re.search(rf"{word} (\d+)", json.dumps(event)))]
        if set(numbers) >= set(map(str, range(many))):
            assert len(numbers) == many, f"{len(numbers) - many} more than were sent"
            return events
        assert time.monotonic() < deadline, f"{len(set(numbers))} of {many} found\n{service.log[-2000:]}"
        time.sleep(0.3)


@contextlib.contextmanager
def running(*command: str | Path, **environment: str) -> Iterator[None]:
    process = subprocess.Popen(
        list(map(str, command)), env={**os.environ, **environment}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield
    finally:
        process.terminate()
        process.wait(15)


@contextlib.contextmanager
def rsyslog(folder: Path, word: str, action: str, extra: str = "") -> Iterator[None]:
    """rsyslog, sending the lines of a file."""
    (folder / "work").mkdir()
    (folder / "input.log").write_text("".join(f"{word} {number}\n" for number in range(MANY)))
    (folder / "rsyslog.conf").write_text(
        f'global(workDirectory="{folder}/work" {extra})\nmodule(load="imfile")\n'
        f'input(type="imfile" file="{folder}/input.log" tag="probe:")\n{action}\n'
    )
    with running(tool("rsyslogd"), "-n", "-iNONE", "-f", folder / "rsyslog.conf"):
        yield


def module_of_rsyslog(name: str) -> None:
    if not any(Path("/usr/lib").glob(f"*/rsyslog/{name}.so")):
        pytest.skip(f"rsyslog's {name} is not installed")


def test_rsyslog_forwards_over_tcp(service: LiveService, tmp_path: Path) -> None:
    action = f'action(type="omfwd" target="127.0.0.1" port="{service.syslog_port}" protocol="tcp")'
    with rsyslog(tmp_path, "rsyslog-tcp", action):
        events = found(service, "rsyslog-tcp")
    assert {event["source"] for event in events} == {"linux"}
    assert {event["unit"] for event in events} == {"Another unit"}


def test_rsyslog_forwards_over_tls(service: LiveService, tmp_path: Path, tls_port: int) -> None:
    module_of_rsyslog("lmnsd_gtls")
    authority = service.folder.parent / "ca.pem"
    action = (
        f'action(type="omfwd" target="127.0.0.1" port="{tls_port}" protocol="tcp" TCP_Framing="octet-counted" '
        'template="RSYSLOG_SyslogProtocol23Format" StreamDriver="gtls" StreamDriverMode="1" '
        'StreamDriverAuthMode="x509/name" StreamDriverPermittedPeers="localhost")'
    )
    extra = f'DefaultNetstreamDriver="gtls" DefaultNetstreamDriverCAFile="{authority}"'
    with rsyslog(tmp_path, "rsyslog-tls", action, extra):
        found(service, "rsyslog-tls")


def test_rsyslog_ships_with_omelasticsearch(service: LiveService, tmp_path: Path) -> None:
    module_of_rsyslog("omelasticsearch")
    action = (
        f'module(load="omelasticsearch")\n{_TEMPLATE}'
        f'action(type="omelasticsearch" server="127.0.0.1" serverport="{service.port}" template="event" '
        f'searchIndex="syslog" searchType="_doc" bulkmode="on" uid="agents" pwd="{service.secret}" '
        f'action.resumeRetryCount="-1" errorFile="{tmp_path}/errors")'
    )
    with rsyslog(tmp_path, "rsyslog-bulk", action):
        events = found(service, "rsyslog-bulk")
    assert {event["source"] for event in events} == {"agents"}
    assert not (tmp_path / "errors").exists()


def test_syslog_ng_forwards_over_tcp(
    service: LiveService,
    syslog_ng: tuple[Path, dict[str, str]],
    tmp_path: Path,
) -> None:
    program, environment = syslog_ng
    (tmp_path / "input.log").write_text("".join(f"syslog-ng-tcp {number}\n" for number in range(MANY)))
    (tmp_path / "syslog-ng.conf").write_text(f"""@version: 3.38
options {{ stats-freq(0); }};
source s {{ file("{tmp_path}/input.log" flags(no-parse) program-override("probe") follow-freq(1)); }};
destination d {{ syslog("127.0.0.1" port({service.syslog_port}) transport("tcp")); }};
log {{ source(s); destination(d); }};
""")
    root = program.parent.parent.parent
    modules = next(iter(root.glob("usr/lib/syslog-ng/3.*")), next(iter(root.glob("lib/syslog-ng/3.*")), Path()))
    command = [
        program, "-F", "--no-caps", "-f", tmp_path / "syslog-ng.conf", "-R", tmp_path / "persist",
        "-p", tmp_path / "pid", "-c", tmp_path / "control", "--module-path", modules,
    ]  # fmt: skip
    with running(*command, **environment):
        found(service, "syslog-ng-tcp")


def test_logger_of_util_linux(service: LiveService) -> None:
    command = [tool("logger"), "--server", "127.0.0.1", "--port", str(service.syslog_port), "--tcp", "-t", "probe"]
    for number in range(3):
        framing = ["--octet-count"] if number else []
        subprocess.run([*command, *framing, f"util-linux-logger {number}"], check=True)
    found(service, "util-linux-logger", 3)


def curl(service: LiveService, body: Path, *headers: str) -> None:
    command = [tool("curl"), "-sS", "--fail-with-body", "-H", f"Authorization: Bearer {service.key}"]
    for header in headers:
        command += ["-H", header]
    done = subprocess.run(
        [*command, "--data-binary", f"@{body}", f"http://127.0.0.1:{service.port}/v1/ingest"], capture_output=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["accepted"] == MANY


def events(word: str) -> list[dict[str, Any]]:
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    return [{"time": stamp, "message": f"{word} {number}"} for number in range(MANY)]


@pytest.mark.parametrize("encoding", ["identity", "gzip", "zstd"])
def test_curl_posts_lines_of_json(service: LiveService, tmp_path: Path, encoding: str) -> None:
    word = f"curl-{encoding}"
    body = tmp_path / "events.ndjson"
    body.write_text("".join(json.dumps(event) + "\n" for event in events(word)))
    if encoding == "identity":
        curl(service, body, "Content-Type: application/x-ndjson")
    else:
        subprocess.run([tool(encoding), "-q", str(body)], check=True)
        packed = body.with_name(f"{body.name}.{'gz' if encoding == 'gzip' else 'zst'}")
        curl(service, packed, "Content-Type: application/x-ndjson", f"Content-Encoding: {encoding}")
    found(service, word)


def test_curl_posts_an_array_of_json(service: LiveService, tmp_path: Path) -> None:
    (tmp_path / "events.json").write_text(json.dumps(events("curl-array"), indent=1))
    curl(service, tmp_path / "events.json", "Content-Type: application/json")
    found(service, "curl-array")


def test_the_bulk_helper_of_elasticsearch(service: LiveService) -> None:
    with Elasticsearch(f"http://127.0.0.1:{service.port}", api_key=service.key) as client:
        done, errors = helpers.bulk(client, ({"_index": "logs", **event} for event in events("bulk-helper")))
    assert (done, errors) == (MANY, [])
    found(service, "bulk-helper")


def test_the_log_exporter_of_opentelemetry(service: LiveService) -> None:
    exporter = OTLPLogExporter(
        endpoint=f"http://127.0.0.1:{service.port}/v1/logs", headers={"Authorization": f"Bearer {service.key}"}
    )
    provider = LoggerProvider(Resource({"service.name": "portal", "host.name": "web-07"}))
    provider.add_log_record_processor(BatchLogRecordProcessor(exporter))
    logger = provider.get_logger("app")
    for number in range(MANY):
        logger.emit(timestamp=time.time_ns(), severity_number=SeverityNumber.WARN, body=f"otlp-exporter {number}")
    provider.shutdown()
    events = found(service, "otlp-exporter")
    assert {event["source"] for event in events} == {"agents"}


def test_a_followed_file_over_its_rotation(service: LiveService) -> None:
    log = service.folder.parent / "app" / "a.log"
    with log.open("w") as out:
        out.writelines(f"followed-file {number}\n" for number in range(MANY // 2))
    found(service, "followed-file", MANY // 2)
    with log.open("a") as out:
        log.rename(log.with_suffix(".log.1"))
        out.writelines(f"followed-file {number}\n" for number in range(MANY // 2, MANY - 10))
    log.write_text("".join(f"followed-file {number}\n" for number in range(MANY - 10, MANY)))
    assert {event["source"] for event in found(service, "followed-file")} == {"followed"}
