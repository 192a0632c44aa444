"""The collector's process is killed at random moments under load: what it acknowledged is in the spool, once."""

from __future__ import annotations

import http.client
import json
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from khien.collect.keys import Key, new_key
from khien.collect.spool import LaneReader

COLLECTOR = """
import asyncio, sys
from khien.collect.counters import Counters
from khien.collect.http_server import HttpCollector
from khien.collect.sources import load_sources
from khien.collect.spool import Spool
async def main():
    spool = Spool(sys.argv[2], segment_bytes=300_000)
    collector = HttpCollector(spool, load_sources(sys.argv[1]), Counters(spool))
    await collector.start()
    print(collector.addresses[0][0].port, flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
"""


def sender(name: str, port: int, key: Key, acknowledged: list[int], stop: threading.Event) -> None:
    headers = {"Authorization": f"ApiKey {key.encoded}", "Content-Type": "application/x-ndjson"}
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    number = 0
    while not stop.is_set():
        events = [{"sender": name, "n": number + each, "text": "x" * random.randrange(300)} for each in range(20)]
        number += len(events)
        if number % 3:
            path, lines = "/v1/ingest", [json.dumps(each) for each in events]
        else:
            path, lines = "/_bulk", [line for each in events for line in ('{"create":{}}', json.dumps(each))]
        try:
            connection.request("POST", path, "\n".join(lines) + "\n", headers)
            answer = connection.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException):
            return
        if answer.status == 200:
            acknowledged.extend(each["n"] for each in events)


@pytest.mark.parametrize("lives", [5])
def test_killed_under_load_it_loses_and_doubles_nothing(tmp_path: Path, lives: int) -> None:
    key = new_key("web")
    sources = tmp_path / "sources.toml"
    sources.write_text(f'[listen]\nhttp = "127.0.0.1:0"\n[[source]]\nid = "web"\nkind = "http"\nkey = "{key.hashed}"\n')
    everything: set[tuple[str, int]] = set()
    for life in range(lives):
        command = [sys.executable, "-c", COLLECTOR, str(sources), str(tmp_path / "spool")]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        lines = (line.strip() for line in process.stdout)
        port = next(int(line) for line in lines if line.isdecimal())
        stop = threading.Event()
        taken: dict[str, list[int]] = {f"{life}.{n}": [] for n in range(4)}
        threads = [threading.Thread(target=sender, args=(name, port, key, got, stop)) for name, got in taken.items()]
        for thread in threads:
            thread.start()
        time.sleep(random.uniform(0.2, 0.6))
        process.send_signal(signal.SIGKILL)
        stop.set()
        for thread in threads:
            thread.join()
        process.wait()
        process.stdout.close()
        everything |= {(name, n) for name, got in taken.items() for n in got}
    reader, after, numbers, found = LaneReader(tmp_path / "spool", 0), 0, [], []
    while got := reader.read(after):
        after = got[-1][0]
        numbers += [number for number, _ in got]
        events = [json.loads(line) for _, parcel in got for line in parcel.data.splitlines()]
        found += [(event["sender"], event["n"]) for event in events]
    assert len(everything) > 500
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(found) == len(set(found))
    assert everything <= set(found)
    assert reader.problems == []
