"""Start the whole product with the sample province: live service, console, and the recording that flows through them.

    python samples/run_product.py [--folder out/product] [--port 8080] [--seconds 0]

Everything stays in one folder and goes on from there the next time. Ctrl-C stops it.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import play_recording

ROOT = Path(__file__).resolve().parent.parent
KHIEN = str(Path(sys.executable).with_name("khien"))


def free_port(wanted: int) -> int:
    """The port, or a free one when something listens there."""
    for port in (wanted, 0):
        with socket.socket() as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                trial.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(trial.getsockname()[1])
    raise SystemExit("no free port")


def wait_until(
    answers: Callable[[], bool], what: str, children: list[subprocess.Popen[bytes]], seconds: float = 90
) -> None:
    """Wait; leave when a child has ended or it takes too long."""
    deadline = time.monotonic() + seconds
    while not answers():
        ended = next((child for child in children if child.poll() is not None), None)
        if ended is not None or time.monotonic() > deadline:
            raise SystemExit(f"{what} has not started; its log is beside its data")
        time.sleep(0.3)


def answers(url: str) -> Callable[[], bool]:
    """Whether an address answers well."""

    def ask() -> bool:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return answer.status == 200
        except (OSError, urllib.error.URLError):
            return False

    return ask


def main() -> int:
    """Run until stopped; 0 when all went well."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=ROOT / "out" / "product")
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--seconds", type=float, default=0, help="stop after so long; 0: when told to")
    parser.add_argument("--speed", type=float, default=30, help="how many times faster the recording is played")
    given = parser.parse_args()
    folder: Path = given.folder.resolve()
    live, console = folder / "live", folder / "console"
    for each in (live, console):
        each.mkdir(parents=True, exist_ok=True)
    port, ingest, syslog = (free_port(each) for each in (given.port, 8514, 8601))
    play_recording.write_sources(live, ingest, syslog)
    environment = {
        **os.environ,
        "KHIEN_CONSOLE_DATA": str(console),
        "KHIEN_LIVE_DATA": str(live),
        "KHIEN_ADDRESS": f"http://localhost:{port}",
    }
    print("making the sample province ...", flush=True)
    subprocess.run([KHIEN, "console", "migrate"], env=environment, check=True, stdout=subprocess.DEVNULL)
    logins = subprocess.run([KHIEN, "console", "sample"], env=environment, check=True, capture_output=True, text=True)
    ending = threading.Event()
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, lambda *_: ending.set())
    children: list[subprocess.Popen[bytes]] = []
    player = None
    try:
        for name, command in (
            ("live", [KHIEN, "up", "--data", str(live), "--store-seconds", "3"]),
            ("console", [KHIEN, "console", "serve", "--port", str(port)]),
        ):
            log = (folder / f"{name}.log").open("ab")
            # A session of its own: Ctrl-C reaches this program, which stops them in order.
            children.append(subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True))
        print("starting the live service and the console ...", flush=True)
        wait_until(answers(f"http://127.0.0.1:{ingest}/health"), "the live service", children)
        wait_until(answers(f"http://127.0.0.1:{port}/health"), "the console", children)
        print(logins.stdout)
        print(f"A code for a second factor:  {KHIEN} console sample-code E-MAIL --data {console}")
        print(f"The console:       http://localhost:{port}")
        print(f"Everything is in:  {folder}  (logs: live.log, console.log)")
        print("Alerts arrive within seconds. Ctrl-C stops it all.", flush=True)
        player = threading.Thread(
            target=play_recording.play, args=(live, given.speed, 0, ending.is_set), name="player", daemon=True
        )
        player.start()
        deadline = time.monotonic() + given.seconds if given.seconds else float("inf")
        while not ending.wait(0.5) and time.monotonic() < deadline:
            ended = next((child for child in children if child.poll() is not None), None)
            if ended is not None:
                print(f"{' '.join(map(str, ended.args[:3]))} has ended by itself; see the logs", file=sys.stderr)  # type: ignore[index]
                return 1
        return 0
    finally:
        ending.set()
        if player is not None:
            player.join(10)
        for child in children:
            if child.poll() is None:
                child.terminate()
        for child in children:
            try:
                child.wait(30)
            except subprocess.TimeoutExpired:
                child.kill()


if __name__ == "__main__":
    sys.exit(main())
