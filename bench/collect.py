"""How fast the HTTP collector takes events: from sent to synced in the spool and acknowledged.

    python bench/collect.py [--seconds N] [--json FILE] [--events FILE]

Sends batches of Windows events through `_bulk` (and other ways) from 4 connections of a separate
process, to a collector in its own process. Prints events/s, MB/s, the processor time of the
collector for each event, and the median and 95th percentile of a batch's way to its answer. A
client that only writes prepared requests costs little, but shares the machine's processors.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import zstandard

from khien.collect.keys import new_key

COLLECTOR = """
import asyncio, sys, signal
import uvloop
from khien.collect.counters import Counters
from khien.collect.http_server import HttpCollector
from khien.collect.sources import load_sources
from khien.collect.spool import CONSUMERS, Position, Spool
async def main():
    spool = Spool(sys.argv[2])
    collector = HttpCollector(spool, load_sources(sys.argv[1]), Counters(spool))
    await collector.start()
    print("port", collector.addresses[0][0].port, flush=True)
    await asyncio.Event().wait()
(uvloop.run if sys.argv[3] == "uvloop" else asyncio.run)(main())
"""


def made_events(count: int) -> list[bytes]:
    """Events like those of Sysmon, about 1.1 kB each."""
    events = []
    for n in range(count):
        event = {
            "@timestamp": f"2026-03-01T10:{n // 60 % 60:02d}:{n % 60:02d}.{n % 1000:03d}Z",
            "EventID": 1,
            "Channel": "Microsoft-Windows-Sysmon/Operational",
            "Computer": f"ws{n % 150:03d}.example.vn",
            "ProcessGuid": f"{{{n * 2654435761 % 2**32:08x}-1f2e-5f00-0000-{n:012x}}}",
            "ProcessId": n % 65536,
            "Image": "C:\\\\Windows\\\\System32\\\\svchost.exe",
            "CommandLine": f"C:\\\\Windows\\\\System32\\\\svchost.exe -k netsvcs -p -s Service{n % 97} /id:{n}",
            "ParentImage": "C:\\\\Windows\\\\System32\\\\services.exe",
            "User": f"EXAMPLE\\\\user{n % 400}",
            "Hashes": f"SHA256={n * 40503 % 2**61:064x},MD5={n * 2654435761 % 2**60:032x}",
            "Message": "Process Create: " + "the details of the event in words, again; " * 9,
        }
        events.append(json.dumps(event).encode())
    return events


def cpu_seconds(process: int) -> float:
    """Processor time of a process so far."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_mb(process: int) -> float:
    """The most memory a process had, in MB."""
    text = Path(f"/proc/{process}/status").read_text()
    return int(text.split("VmHWM:")[1].split()[0]) / 1000


async def send(port: int, request: bytes, until: float, times: list[float]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 22)
    while time.perf_counter() < until:
        started = time.perf_counter()
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        body = await reader.readexactly(length)
        if not head.startswith(b"HTTP/1.1 200") or b'"errors":true' in body[:60]:
            raise SystemExit(head.decode() + body[:300].decode())
        times.append(time.perf_counter() - started)
    writer.close()


def drive(port: int, seconds: float, connections: int, prepared: Path) -> dict[str, float]:
    """Send from this process, for so long; what it saw. Called in a process of its own."""
    request = prepared.read_bytes()
    times: list[float] = []

    async def run() -> None:
        until = time.perf_counter() + seconds
        await asyncio.gather(*(send(port, request, until, times) for _ in range(connections)))

    started = time.perf_counter()
    asyncio.run(run())
    took = time.perf_counter() - started
    times.sort()
    return {
        "requests": len(times),
        "seconds": took,
        "p50_ms": times[len(times) // 2] * 1000,
        "p95_ms": times[int(len(times) * 0.95)] * 1000,
    }


def lane(
    name: str, path: str, body: bytes, events: int, seconds: float, loop: str, headers: str = "", connections: int = 4
) -> dict[str, Any]:
    """One way of sending, measured."""
    key = new_key("bench")
    with tempfile.TemporaryDirectory(prefix="bench-", dir=Path.cwd()) as folder:
        sources = Path(folder) / "sources.toml"
        sources.write_text(f'[listen]\nhttp="127.0.0.1:0"\n[[source]]\nid="bench"\nkind="http"\nkey="{key.hashed}"\n')
        spool = Path(folder) / "spool"
        command = [sys.executable, "-c", COLLECTOR, str(sources), str(spool), loop]
        collector = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            assert collector.stdout is not None
            port = next(int(line.split()[1]) for line in collector.stdout if line.startswith("port "))
            head = (
                f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: ApiKey {key.encoded}\r\n{headers}"
                f"Content-Length: {len(body)}\r\n\r\n"
            )
            prepared = Path(folder) / "request"
            prepared.write_bytes(head.encode() + body)
            before = cpu_seconds(collector.pid)
            client = [sys.executable, __file__, "--drive", str(port), str(seconds), str(connections), str(prepared)]
            seen = json.loads(subprocess.run(client, capture_output=True, text=True, check=True).stdout)
            spent = cpu_seconds(collector.pid) - before
            memory = peak_mb(collector.pid)
            stored = sum(file.stat().st_size for file in spool.glob("lane-*/*.seg"))
        finally:
            collector.kill()
            collector.wait()
    total = seen["requests"] * events
    raw = seen["requests"] * len(body)
    return {
        "lane": name,
        "events_per_s": round(total / seen["seconds"]),
        "mb_per_s": round(raw / seen["seconds"] / 1e6, 1),
        "cpu_us_per_event": round(spent / total * 1e6, 2),
        "cores": round(spent / seen["seconds"], 2),
        "p50_ms": round(seen["p50_ms"], 1),
        "p95_ms": round(seen["p95_ms"], 1),
        "rss_mb": round(memory),
        "times_smaller": round(raw / max(1, stored), 1),
    }


def main() -> None:
    if sys.argv[1:2] == ["--drive"]:
        port, seconds, connections, prepared = sys.argv[2:6]
        print(json.dumps(drive(int(port), float(seconds), int(connections), Path(prepared))))
        return
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seconds", type=float, default=5.0)
    options.add_argument("--json", type=Path)
    options.add_argument("--events", type=Path, help="a file of JSON lines to take the events from")
    options.add_argument("--loop", choices=("uvloop", "asyncio"), default="uvloop")
    chosen = options.parse_args()
    events = chosen.events.read_bytes().splitlines()[:1000] if chosen.events else made_events(1000)
    size = sum(map(len, events)) / len(events)
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores; events of {size:.0f} bytes")

    def bulk(count: int) -> bytes:
        return b"".join(b'{"create":{"_index":"logs"}}\n' + event + b"\n" for event in events[:count])

    lines = b"\n".join(events) + b"\n"
    ways: list[Callable[[], dict[str, Any]]] = [
        lambda: lane("_bulk, 1000 an answer", "/_bulk", bulk(1000), 1000, chosen.seconds, chosen.loop),
        lambda: lane("_bulk, 50 an answer", "/_bulk", bulk(50), 50, chosen.seconds, chosen.loop),
        lambda: lane(
            "_bulk, 1000, gzip",
            "/_bulk",
            gzip.compress(bulk(1000), 6),
            1000,
            chosen.seconds,
            chosen.loop,
            "Content-Encoding: gzip\r\n",
        ),
        lambda: lane("ingest, 1000", "/v1/ingest", lines, 1000, chosen.seconds, chosen.loop),
        lambda: lane(
            "ingest, 1000, zstd",
            "/v1/ingest",
            zstandard.compress(lines),
            1000,
            chosen.seconds,
            chosen.loop,
            "Content-Encoding: zstd\r\n",
        ),
        lambda: lane("ingest, 1, 64 connections", "/v1/ingest", events[0], 1, chosen.seconds, chosen.loop, "", 64),
    ]
    results = []
    columns = ("events_per_s", "mb_per_s", "cpu_us_per_event", "cores", "p50_ms", "p95_ms", "rss_mb", "times_smaller")
    print(f"{'lane':28}" + "".join(f"{column:>17}" for column in columns))
    for way in ways:
        result = way()
        results.append(result)
        print(f"{result['lane']:28}" + "".join(f"{result[column]:>17}" for column in columns), flush=True)
    if chosen.json:
        chosen.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
