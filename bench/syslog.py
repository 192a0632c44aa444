"""How many syslog messages a second the listeners take into the spool, and what a message costs.

    python bench/syslog.py [--seconds 8] [--connections 4] [--json FILE]

A process sends as fast as it can (TCP, TLS) or at a steady rate (UDP); another receives them into
a spool on disk. A core is the processor time of the receiver, spool and all, over the time it took.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import platform
import resource
import socket
import ssl
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path

import trustme
import uvloop

from khien.collect.spool import Spool
from khien.collect.syslog import Endpoint, Limits, Origin, SyslogListener, tls_context

TEXT = (
    b"<38>1 2026-11-24T10:00:00.000000+07:00 web%02d sshd 4242 - - Failed password for invalid user admin%07d "
    b"from 203.0.113.%d port %d ssh2: connection from the public network, not in the list of known addresses"
)
SHAPES = ("tcp newline", "tcp counted", "tls newline", "udp 30,000/s", "udp 100,000/s")


def messages(start: int, count: int, counted: bool, newline: bool = True) -> list[bytes]:
    out = []
    for n in range(start, start + count):
        text = TEXT % (n % 90, n, n % 250, 1024 + n % 60000)
        out.append(b"%d %s" % (len(text), text) if counted else text + b"\n" if newline else text)
    return out


def send(shape: str, port: int, seconds: float, authority: bytes, pipe: Connection) -> None:
    block = b"".join(messages(0, 2000, "counted" in shape))
    context = ssl.create_default_context(cadata=authority.decode())
    with socket.create_connection(("127.0.0.1", port)) as plain:
        stream = context.wrap_socket(plain, server_hostname="localhost") if "tls" in shape else plain
        pipe.recv()
        sent, until = 0, time.monotonic() + seconds
        while time.monotonic() < until:
            stream.sendall(block)
            sent += 2000
        pipe.send(sent)
        stream.close()


def send_udp(shape: str, port: int, seconds: float, authority: bytes, pipe: Connection) -> None:
    rate = int(shape.split()[1].replace(",", "").partition("/")[0])
    texts = messages(0, 2000, False, newline=False)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        out.connect(("127.0.0.1", port))
        pipe.recv()
        sent, begun = 0, time.monotonic()
        while (passed := time.monotonic() - begun) < seconds:
            due = int(passed * rate)
            while sent < due:
                out.send(texts[sent % 2000])
                sent += 1
            time.sleep(0.001)
        pipe.send(sent)


async def measure(shape: str, seconds: float, connections: int, folder: Path) -> dict[str, float | str]:
    authority = trustme.CA()
    certificate = folder / "server.pem"
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(certificate)
    transport = shape.split()[0]
    spool = Spool(folder / f"spool {shape.replace('/', ' ')}")
    listener = SyslogListener(
        spool,
        lambda peer: Origin("bench"),
        [Endpoint(transport, "127.0.0.1")],  # type: ignore[arg-type]
        tls=tls_context(certificate),
        limits=Limits(),
    )
    await listener.start()
    many = multiprocessing.get_context("spawn")
    senders, pipes = [], []
    for _ in range(connections if transport != "udp" else 1):
        here, there = many.Pipe()
        run = send_udp if transport == "udp" else send
        args = (shape, listener.ports[0], seconds, authority.cert_pem.bytes(), there)
        senders.append(many.Process(target=run, args=args, daemon=True))
        senders[-1].start()
        pipes.append(here)
    await asyncio.sleep(1.5)
    before, begun = resource.getrusage(resource.RUSAGE_SELF), time.monotonic()
    for pipe in pipes:
        pipe.send(True)
    sent = 0
    for pipe in pipes:
        while not pipe.poll():
            await asyncio.sleep(0.05)
        sent += pipe.recv()
    while True:
        figures = listener.figures
        done = figures.sources["bench"].spooled if figures.sources else 0
        if done >= sent or (transport == "udp" and done + figures.datagrams.kernel_drops >= sent):
            break
        if time.monotonic() - begun > seconds + 20:
            break
        await asyncio.sleep(0.01)
    took = time.monotonic() - begun
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    await listener.stop()
    await spool.close()
    for sender in senders:
        sender.join(5)
    source = listener.figures.sources["bench"]
    return {
        "shape": shape,
        "sent": sent,
        "spooled": source.spooled,
        "lost": sent - source.spooled,
        "messages_per_s": source.spooled / took,
        "mb_per_s": source.bytes / took / 1e6,
        "cores": cpu / took,
        "us_per_message": cpu / max(1, source.spooled) * 1e6,
        "rss_mb": after.ru_maxrss / 1024,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--connections", type=int, default=4)
    parser.add_argument("--shape", choices=SHAPES, action="append")
    parser.add_argument("--folder", type=Path, help="where the spool stands while measuring")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    print(
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} processors, Python {platform.python_version()}"
    )
    print(f"{'shape':<16}{'messages/s':>12}{'MB/s':>8}{'cores':>8}{'us/message':>12}{'lost':>8}{'RSS MB':>8}")
    rows = []
    for shape in options.shape or SHAPES:
        runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
        with tempfile.TemporaryDirectory(dir=options.folder) as folder, runner:
            row = runner.run(measure(shape, options.seconds, options.connections, Path(folder)))
        rows.append(row)
        print(
            f"{row['shape']:<16}{row['messages_per_s']:>12,.0f}{row['mb_per_s']:>8.1f}{row['cores']:>8.2f}"
            f"{row['us_per_message']:>12.2f}{row['lost']:>8,}{row['rss_mb']:>8.0f}",
            flush=True,
        )
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
