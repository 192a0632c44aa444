"""kill -9 of the receiving process under TCP load: what the spool acknowledged stays, once."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

from collect.listening import HOST, spooled

RUN = """
import asyncio, sys
from pathlib import Path
from khien.collect.spool import Spool
from khien.collect.syslog import Endpoint, Limits, Origin, SyslogListener

async def main(folder):
    spool = Spool(folder)
    limits = Limits(parcel_bytes=50_000, parcel_seconds=0.02)
    listener = SyslogListener(spool, lambda peer: Origin("office"), [Endpoint("tcp", "127.0.0.1")], limits=limits)
    await listener.start()
    print(listener.ports[0], flush=True)
    while True:
        await asyncio.sleep(0.005)
        if listener.figures.sources:
            print(listener.figures.sources["office"].spooled, flush=True)

asyncio.run(main(Path(sys.argv[1])))
"""


class Sender(threading.Thread):
    """Sends numbered messages on one connection until it breaks."""

    def __init__(self, name: str, port: int) -> None:
        super().__init__(daemon=True)
        self.sender = name
        self.port = port
        self.sent = 0

    def run(self) -> None:
        with contextlib.suppress(OSError), socket.create_connection((HOST, self.port)) as stream:
            while True:
                block = range(self.sent, self.sent + 500)
                stream.sendall(b"".join(b"<13>%s %d\n" % (self.sender.encode(), number) for number in block))
                self.sent += 500


def test_killed_under_load_the_spool_holds_an_unbroken_beginning_of_every_connection(tmp_path: Path) -> None:
    chance = random.Random(5)
    (tmp_path / "run.py").write_text(RUN)
    acknowledged, senders = 0, []
    for kill in range(int(os.environ.get("KHIEN_KILLS", "4"))):
        command = [sys.executable, str(tmp_path / "run.py"), str(tmp_path / "spool")]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        port = 0
        while not port:  # a log line may stand before it
            line = process.stdout.readline()
            port = int(line) if line.strip().isdigit() else 0
        mine = [Sender(f"{kill}.{number}", port) for number in range(3)]
        senders += mine
        for sender in mine:
            sender.start()
        counts: list[int] = []
        reader = threading.Thread(target=lambda out=process.stdout, to=counts: to.extend(map(int, out)))
        reader.start()
        time.sleep(chance.uniform(0.3, 1.0))
        process.send_signal(signal.SIGKILL)
        process.wait()
        reader.join()
        acknowledged += counts[-1] if counts else 0
        for sender in mine:
            sender.join(10)
    lines = b"".join(parcel.data for parcel in spooled(tmp_path / "spool")).splitlines()
    assert acknowledged > 0
    assert len(lines) >= acknowledged
    of: dict[str, list[int]] = {}
    for line in lines:
        name, number = line.removeprefix(b"<13>").split()
        of.setdefault(name.decode(), []).append(int(number))
    for sender in senders:
        numbers = of.get(sender.sender, [])
        assert numbers == list(range(len(numbers))), "a gap, a double or another order"
        assert len(numbers) <= sender.sent + 500
