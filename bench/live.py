"""The live service under load: `_bulk` from four connections, then syslog over TCP.

    python bench/live.py [--quick] [--json FILE] [--seconds S] [--rate EVENTS_PER_S]

Starts `khien up` with the whole Sigma corpus in a folder of its own, and sends recorded Windows
telemetry from a separate process at a fixed rate (default 20,000 events/s for three minutes; `--rate 0`: as fast
as it is taken). Then it waits until all is worked on, and counts what was acknowledged against what is in
the lake. Latency is from the arrival of a request (before it is acknowledged) until its finding is durable.
`--quick` ends within 45 seconds. The JSON has `events_per_s`, `p95_s`, `lost`, `doubled`, `rss_mb`, `compression`
and more.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import platform
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import psutil

from khien.collect.keys import new_key
from khien.flow.status import ProcessStatus, quantile, read_all
from khien.lake.schema import EVENTS
from khien.lake.store import Lake
from lanes import corpus, windows_lane

KHIEN = Path(sys.executable).with_name("khien")
CONNECTIONS = 4
BATCH = 1_000
QUICK_BYTES = 150_000_000
SYSLOG_LINES = (
    "<38>1 2026-11-24T03:00:{:02d}Z web{:02d} sshd {} - - Failed password for invalid user test from 203.0.113.{} port {} ssh2",
    "<86>1 2026-11-24T03:00:{:02d}Z web{:02d} CRON {} - - pam_unix(cron:session): session opened for user root {} {}",
)


def bodies(lane: Path, limit: int) -> list[tuple[bytes, int]]:
    """Request bodies of `BATCH` events each, and how many."""
    found = []
    lines: list[bytes] = []
    with lane.open("rb") as stream:
        for line in stream:
            lines.append(b'{"create":{}}\n' + line)
            if len(lines) == BATCH:
                found.append((b"".join(lines), BATCH))
                lines = []
            if stream.tell() > limit if limit and not lines else False:
                break
    return found


def send(argv: list[str]) -> None:
    """The sending process: `send PORT KEY LANE LIMIT RATE SECONDS`; prints what was acknowledged as JSON."""
    port, key, lane, limit, rate, seconds = (
        int(argv[0]),
        argv[1],
        Path(argv[2]),
        int(argv[3]),
        float(argv[4]),
        float(argv[5]),
    )
    ready = bodies(lane, limit)
    headers = {"Authorization": f"ApiKey {key}", "Content-Type": "application/x-ndjson"}
    started = time.monotonic()
    totals = [[0, 0, 0, 0.0] for _ in range(CONNECTIONS)]

    def run(which: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        mine = totals[which]
        turn = which
        while (now := time.monotonic() - started) < seconds:
            body, count = ready[turn % len(ready)]
            if rate and (ahead := mine[0] * CONNECTIONS / rate - now) > 0:
                time.sleep(min(ahead, 0.5))
                continue
            connection.request("POST", "/_bulk", body, headers)
            answer = connection.getresponse()
            text = answer.read()
            if answer.status == 429:
                mine[2] += 1
                time.sleep(0.2)
                continue
            if answer.status != 200 or b'"errors":false' not in text[:200]:
                raise SystemExit(f"{answer.status} {text[:300]!r}")
            mine[0] += count
            mine[1] += len(body) - count * len(b'{"create":{}}\n')
            turn += CONNECTIONS
        mine[3] = time.monotonic() - started

    threads = [threading.Thread(target=run, args=(which,)) for which in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = max(mine[3] for mine in totals)
    print(
        json.dumps(
            {
                "events": sum(m[0] for m in totals),
                "bytes": sum(m[1] for m in totals),
                "asked_to_wait": sum(m[2] for m in totals),
                "seconds": took,
            }
        )
    )


class Service:
    """`khien up` in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        key = new_key("bench")
        self.key = key.encoded
        self.port, self.syslog_port = free_port(), free_port()
        (folder / "sources.toml").write_text(
            f'[listen]\nhttp = ["127.0.0.1:{self.port}"]\nsyslog_tcp = ["127.0.0.1:{self.syslog_port}"]\n'
            f'[[source]]\nid = "bench"\nkind = "bulk"\nunit = "Sample unit"\nkey = "{key.hashed}"\n'
            '[[source]]\nid = "syslog"\nkind = "syslog"\nsenders = ["127.0.0.0/8"]\n'
        )
        rules = [each for path in corpus() for each in ("--rules", path)]
        self.log = (folder / "log").open("wb")
        self.process = subprocess.Popen(
            [str(KHIEN), "up", "--data", str(folder), *rules], stderr=self.log, stdout=self.log
        )
        self.peak = 0.0
        self.cpu: dict[str, float] = {}
        self.rss: dict[str, float] = {}

    def wait_ready(self) -> None:
        """Until every process has reported and the port answers."""
        deadline = time.monotonic() + 60
        names = {"collect", "detect-00", "store-00", "correlate"}
        while time.monotonic() < deadline:
            if names <= {each.name for each in self.statuses()} and answers(self.port):
                return
            time.sleep(0.2)
        raise SystemExit(f"khien up did not start: {(self.folder / 'log').read_text()[-2000:]}")

    def statuses(self) -> list[ProcessStatus]:
        """What the processes say."""
        return read_all(self.folder / "status")

    def status(self, name: str) -> ProcessStatus:
        """What one process says."""
        return next(each for each in self.statuses() if each.name == name)

    def taken(self, source: str) -> int:
        """Events of a source that the collector has put into the spool."""
        found = self.status("collect").sources.get(source)
        return found.events if found else 0

    def measure(self) -> float:
        """Resident memory of all processes together now, MB; their peak is kept, and their CPU seconds by role."""
        total = 0.0
        by_role: dict[str, float] = {}
        parent = psutil.Process(self.process.pid)
        for each in [parent, *parent.children(recursive=True)]:
            try:
                resident = each.memory_info().rss / 1e6
                total += resident
                line = each.cmdline()
                role = line[3] if "khien.flow.process" in line else "supervise"
                by_role[role] = resident
                times = each.cpu_times()
                self.cpu[role] = times.user + times.system
            except psutil.Error:
                continue
        if total > self.peak:
            self.peak, self.rss = total, by_role
        return total

    def wait_worked_off(self, events: int, seconds: float) -> float:
        """Until detection and lake have done all; how long that took."""
        started = time.monotonic()
        while time.monotonic() - started < seconds:
            self.measure()
            found = self.statuses()
            done = {each.name: each.events for each in found}
            lag = sum(each.lag for each in found if each.name != "collect")
            if done.get("detect-00", 0) >= events and done.get("store-00", 0) >= events and not lag:
                break
            time.sleep(0.2)
        return time.monotonic() - started

    def stop(self) -> float:
        """One signal; how long the graceful end took."""
        started = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(120)
        self.log.close()
        return time.monotonic() - started


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(port: int) -> bool:
    """Whether somebody listens."""
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def in_lake(folder: Path, source: str) -> tuple[int, int, int]:
    """Events of a source in the lake, how many of them are there twice, and the lake's bytes."""
    import duckdb

    lake = Lake(folder / "lake", create=False)
    files = [str(folder / "lake" / "events" / each.path) for each in lake.files(EVENTS)]
    if not files:
        return 0, 0, 0
    connection = duckdb.connect(config={"autoinstall_known_extensions": False, "autoload_known_extensions": False})
    row = connection.execute(
        "select count(*), count(distinct spool) from read_parquet($1) where source = $2", [files, source]
    ).fetchone()
    assert row is not None
    size = sum(each.stat().st_size for each in (folder / "lake" / "events").rglob("*.parquet"))
    return row[0], row[0] - row[1], size


def syslog(port: int, messages: int) -> int:
    """Send RFC 5424 over one TCP connection, newline framing, as fast as it is taken; how many messages."""
    lines = "".join(
        SYSLOG_LINES[n % 2].format(n % 60, n % 40, 1000 + n % 5000, n % 250, 1024 + n) + "\n" for n in range(5_000)
    ).encode()
    sent = 0
    with socket.create_connection(("127.0.0.1", port)) as out:
        while sent < messages:
            out.sendall(lines)
            sent += 5_000
    return sent


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="at most 45 seconds")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--rate", type=float, default=20_000, help="events/s to send; 0: as fast as they are taken")
    parser.add_argument("--lane", type=Path, help="a file of Windows events as JSON lines; default: recorded ones")
    args = parser.parse_args()
    seconds = args.seconds or (12 if args.quick else 180)
    with tempfile.TemporaryDirectory(prefix="khien-live-") as name:
        folder = Path(name)
        lane = args.lane or windows_lane(folder, QUICK_BYTES if args.quick else 0)
        results = measure(folder, lane, seconds, args.rate, args.quick)
    results |= {
        "date": time.strftime("%Y-%m-%d"),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "quick": args.quick,
    }
    show(results)
    if args.json:
        args.json.write_text(json.dumps(results, indent=2) + "\n")
    return 0


def measure(folder: Path, lane: Path, seconds: float, rate: float, quick: bool) -> dict[str, Any]:
    """The whole run."""
    data = folder / "data"
    data.mkdir()
    service = Service(data)
    try:
        service.wait_ready()
        command = [sys.executable, __file__, "send", str(service.port), service.key, str(lane)]
        command += [str(QUICK_BYTES if quick else 400_000_000), str(rate), str(seconds)]
        sender = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        lags = []
        while sender.poll() is None:
            time.sleep(0.5)
            service.measure()
            lags.append(service.status("detect-00").lag_seconds)
        assert sender.stdout is not None
        sent = json.loads(sender.stdout.read())
        after = service.wait_worked_off(sent["events"], 120)
        cpu = dict(service.cpu)
        stages = {each.name: dict(each.stages) for each in service.statuses()}
        detecting = service.status("detect-00")
        started = time.monotonic()
        messages = syslog(service.syslog_port, 100_000 if quick else 1_000_000)
        while service.taken("syslog") < messages and time.monotonic() - started < 60:
            time.sleep(0.05)
        syslog_s = messages / (time.monotonic() - started)
        service.wait_worked_off(sent["events"] + messages, 180)
    finally:
        stop_s = service.stop()
    stored, doubled, lake_bytes = in_lake(data, "bench")
    stored_syslog, doubled_syslog, _ = in_lake(data, "syslog")
    half = len(lags) // 2
    return {
        "events_per_s": sent["events"] / sent["seconds"],
        "events": sent["events"],
        "seconds": sent["seconds"],
        "asked_to_wait": sent["asked_to_wait"],
        "p95_s": quantile(detecting.latency, 0.95),
        "p50_s": quantile(detecting.latency, 0.5),
        "findings": sum(detecting.latency),
        "lag_first_half_s": max(lags[:half], default=0.0),
        "lag_second_half_s": max(lags[half:], default=0.0),
        "worked_off_s": after,
        "lost": sent["events"] - stored + messages - stored_syslog,
        "doubled": doubled + doubled_syslog,
        "rss_mb": service.peak,
        "rss_by_process_mb": service.rss,
        "compression": sent["bytes"] / lake_bytes if lake_bytes else None,
        "syslog_per_s": syslog_s,
        "stop_s": stop_s,
        "cpu_s": cpu,
        "stages_s": stages,
    }


def show(results: dict[str, Any]) -> None:
    """Print the tables."""
    print(f"{results['date']}, {results['cores']} cores, Python {results['python']}")
    print(
        f"_bulk: {results['events']:,} events in {results['seconds']:.0f} s: {results['events_per_s']:,.0f} events/s; asked to wait {results['asked_to_wait']} times"
    )
    print(
        f"arrival to durable finding: p95 at most {results['p95_s']:.2f} s ({results['findings']:,} findings); greatest lag in the first half {results['lag_first_half_s']:.1f} s, in the second {results['lag_second_half_s']:.1f} s"
    )
    print(
        f"lost {results['lost']}, doubled {results['doubled']}; all worked off {results['worked_off_s']:.1f} s after the last; stopped in {results['stop_s']:.1f} s"
    )
    parts = ", ".join(f"{role} {size:.0f}" for role, size in results["rss_by_process_mb"].items())
    print(
        f"memory of all processes at its peak: {results['rss_mb']:.0f} MB ({parts}); on disk {results['compression']:.1f} times smaller than as sent"
    )
    print(f"syslog over TCP: {results['syslog_per_s']:,.0f} messages/s")
    print("CPU seconds by process, for the _bulk part:")
    for role, spent in sorted(results["cpu_s"].items()):
        print(f"  {role:10} {spent:7.1f} s  {spent / results['events'] * 1e6:6.1f} us an event")
    for name, stages in results["stages_s"].items():
        for stage, spent in stages.items():
            print(f"  {name:10} {stage:10} {spent:7.1f} s  {spent / results['events'] * 1e6:6.1f} us an event")


if __name__ == "__main__":
    if sys.argv[1:2] == ["send"]:
        send(sys.argv[2:])
    else:
        sys.exit(main())
