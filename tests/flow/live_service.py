"""`khien up` for tests: a real service in a folder of its own, with two rules, and what came of it."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import psutil

from khien.collect.keys import new_key
from khien.flow.process import encode
from khien.flow.settings import FlowSettings
from khien.flow.status import ProcessStatus, read_all
from khien.lake.errors import LakeError
from khien.lake.schema import EVENTS, FINDINGS, TableKind
from khien.lake.store import Lake

SUPERVISED = Path(__file__).with_name("supervised.py")
KHIEN = Path(sys.executable).with_name("khien")
WHOAMI = """
title: Who Am I
id: 3f0b3c56-7a51-4a5c-9d0b-a3a0f1c0de01
status: experimental
level: medium
tags: [attack.discovery, attack.t1033]
logsource: {category: process_creation, product: windows}
detection: {selection: {Image|endswith: '\\whoami.exe'}, condition: selection}
"""
FAILED = """
title: Failed SSH Login
id: 3f0b3c56-7a51-4a5c-9d0b-a3a0f1c0de02
name: failed_login
level: low
logsource: {product: linux, service: sshd}
detection: {keywords: ['Failed password'], condition: keywords}
"""
BRUTE = """
title: Many Failed SSH Logins
id: 3f0b3c56-7a51-4a5c-9d0b-a3a0f1c0de03
level: high
correlation:
  type: event_count
  rules: [failed_login]
  group-by: [src_ip]
  timespan: 5m
  condition: {gte: 5}
"""


def whoami(marker: str, **more: Any) -> bytes:
    """A process creation that the rule finds; `marker` stands in its command line."""
    event = {
        "EventID": 1,
        "Channel": "Microsoft-Windows-Sysmon/Operational",
        "Computer": "PC-01.example.vn",
        "TimeCreated": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "Image": "C:\\Windows\\System32\\whoami.exe",
        "CommandLine": f"whoami {marker}",
        "User": "EXAMPLE\\user01",
    }
    return json.dumps({**event, **more}).encode()


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class LiveService:
    """Start, send, look, stop.

    `arguments` are those of `khien up`; with `settings` (of FlowSettings) or `hangs_after`, the same processes
    run under these instead.
    """

    def __init__(
        self,
        folder: Path,
        *arguments: str,
        sources: str = "",
        listen: str = "",
        hangs_after: float = 0,
        **settings: Any,
    ) -> None:
        self.folder = folder
        self.hangs_after = hangs_after
        self.settings = settings
        self.arguments = arguments
        folder.mkdir(parents=True, exist_ok=True)
        self.rules = folder / "rules"
        self.rules.mkdir(exist_ok=True)
        (self.rules / "whoami.yml").write_text(WHOAMI)
        (self.rules / "failed.yml").write_text(FAILED)
        (self.rules / "brute.yml").write_text(BRUTE)
        self.port, self.syslog_port = free_port(), free_port()
        key = new_key("agents")
        self.key, self.secret = key.encoded, key.secret
        self.sources = folder / "sources.toml"
        self.sources.write_text(
            f'[listen]\nhttp = ["127.0.0.1:{self.port}"]\nsyslog_tcp = ["127.0.0.1:{self.syslog_port}"]\n'
            f"{listen}"
            f'[[source]]\nid = "agents"\nkind = "http"\nformat = "json"\nunit = "Sample unit"\nkey = "{key.hashed}"\n'
            '[[source]]\nid = "linux"\nkind = "syslog"\nunit = "Another unit"\nsenders = ["127.0.0.0/8"]\n' + sources
        )
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> LiveService:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def log(self) -> str:
        """What the service has logged."""
        return (self.folder / "log").read_text(errors="replace")

    def start(self, wait: float = 60.0) -> None:
        """Start, and wait until it takes events."""
        with (self.folder / "log").open("ab") as log:
            command = [str(KHIEN), "up", "--data", str(self.folder), "--rules", str(self.rules), "--store-seconds", "1"]
            command += self.arguments
            if self.settings or self.hangs_after:
                settings = FlowSettings(
                    folder=self.folder, rules=(self.rules,), sources=self.sources, store_seconds=1.0, **self.settings
                )
                command = [sys.executable, str(SUPERVISED), encode(settings), str(self.hangs_after or 120.0)]
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        self.wait_ready(wait)

    def wait_ready(self, wait: float = 60.0) -> None:
        """Wait until the collector answers."""
        deadline = time.monotonic() + wait
        while time.monotonic() < deadline:
            try:
                if self.request("GET", "/health")[0] in (200, 503):
                    return
            except OSError:
                time.sleep(0.1)
        raise AssertionError(f"khien up does not answer:\n{self.log[-3000:]}")

    def stop(self) -> int:
        """One signal, and the exit code."""
        if self.process is None:
            return 0
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(90)
        finally:
            self.kill_all()
            self.process = None

    def kill_all(self) -> None:
        """kill -9 of everything."""
        assert self.process is not None
        for child in self.children():
            os.kill(child.pid, signal.SIGKILL)
        self.process.kill()
        self.process.wait()

    def worker(self, name: str) -> psutil.Process:
        """The process with a name such as store-00."""
        return psutil.Process(self.statuses()[name].pid)

    def children(self) -> list[psutil.Process]:
        """The processes under the supervisor."""
        assert self.process is not None
        try:
            return psutil.Process(self.process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []

    def request(self, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
        """One request with the source's key: status and answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            headers = {"Authorization": f"ApiKey {self.key}", "Content-Type": "application/x-ndjson"}
            connection.request(method, path, body or None, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def send(self, *events: bytes) -> None:
        """Send events, which must be acknowledged."""
        status, text = self.request("POST", "/v1/ingest", b"\n".join(events) + b"\n")
        assert status == 200, text

    def statuses(self) -> dict[str, ProcessStatus]:
        """What the processes say, by name."""
        return {each.name: each for each in read_all(self.folder / "status")}

    def wait_for(self, what: str, holds: Any, wait: float = 60.0) -> None:
        """Wait until something holds."""
        deadline = time.monotonic() + wait
        while time.monotonic() < deadline:
            if holds():
                return
            time.sleep(0.1)
        raise AssertionError(f"not within {wait:.0f} s: {what}\n{self.log[-3000:]}")

    def rows(self, kind: TableKind, columns: str) -> list[tuple[Any, ...]]:
        """Columns of all rows of a table of the lake."""
        try:
            lake = Lake(self.folder / "lake", create=False)
        except LakeError:  # nothing has come yet
            return []
        files = [str(self.folder / "lake" / kind.name / each.path) for each in lake.files(kind)]
        if not files:
            return []
        connection = duckdb.connect(config={"autoinstall_known_extensions": False, "autoload_known_extensions": False})
        return connection.execute(
            f"select {columns} from read_parquet($1, hive_partitioning = true)", [files]
        ).fetchall()

    def markers(self) -> Counter[str]:
        """How often each marker is in the lake."""
        return Counter(row[0].removeprefix("whoami ") for row in self.rows(EVENTS, "command_line") if row[0])

    def found_markers(self) -> Counter[str]:
        """How often each marker is among the findings of the lake."""
        return Counter(
            json.loads(row[0])["CommandLine"].removeprefix("whoami ") for row in self.rows(FINDINGS, "event")
        )

    def alerts(self) -> list[dict[str, Any]]:
        """The alerts, with their titles and counts."""
        with sqlite3.connect(f"file:{self.folder / 'alerts.db'}?mode=ro", uri=True) as connection:
            return [dict(zip(("rule", "count"), row, strict=True)) for row in self._alerts(connection)]

    def _alerts(self, connection: sqlite3.Connection) -> Iterator[tuple[str, int]]:
        yield from connection.execute(
            "select a.rule, count(f.id) from alerts a join findings f on f.alert = a.n group by a.n"
        )

    def finding_count(self) -> int:
        """Findings of rules in the alerts' database; alarms of the service itself do not count."""
        with sqlite3.connect(f"file:{self.folder / 'alerts.db'}?mode=ro", uri=True) as connection:
            sql = "select count(*) from findings f join alerts a on f.alert = a.n where a.rule not like 'khien-%'"
            return int(connection.execute(sql).fetchone()[0])

    def check_lake(self) -> None:
        """`khien lake check` has no complaint."""
        command = [str(KHIEN), "lake", "check", "--lake", str(self.folder / "lake")]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
