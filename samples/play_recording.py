"""Play the sample recording into a running `khien up`, as its agents and servers would have sent it, with times of now.

    python samples/play_recording.py LIVE_FOLDER [--speed 60] [--rounds 0]

Windows records go by `_bulk` with the key of their unit, syslog by TCP, connections by HTTP, and the web server's and
the audit log are files that grow. Three hours, from just before the attack on, are played again and again, each time
against another office. `write_sources` makes the sources file that fits.
"""

from __future__ import annotations

import argparse
import gzip
import heapq
import json
import re
import socket
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from khien.collect.keys import new_key

DAY = Path(__file__).parent / "province-day"
FIRST, LAST = datetime(2026, 3, 2, 2, 13, tzinfo=UTC), datetime(2026, 3, 2, 5, 20, tzinfo=UTC)
UNITS = ("so-y-te", "so-tai-chinh", "so-giao-duc", "van-phong")
PORTAL = "van-phong"
KEYS = "sample-keys.json"
_SYSLOG_HEAD = re.compile(r"^\w{3} [ \d]\d \d\d:\d\d:\d\d ")
_WEB_TIME = re.compile(r"\[[^\]]+\]")
_AUDIT_TIME = re.compile(r"audit\(\d+\.\d+:")


@dataclass(order=True)
class Piece:
    """A record of the recording: when it was, and how it is sent with a new time in round `n`."""

    at: datetime
    order: int
    stream: str = field(compare=False)
    text: str = field(compare=False)


def write_sources(folder: Path, http: int, syslog: int) -> None:
    """Write `sources.toml` and, beside it, the keys of the sample's senders."""
    (folder / "logs").mkdir(parents=True, exist_ok=True)
    keys = {f"windows-{unit}": new_key(f"windows-{unit}") for unit in UNITS}
    keys["border"] = new_key("border")
    lines = ["[listen]", f'http = ["127.0.0.1:{http}"]', f'syslog_tcp = ["127.0.0.1:{syslog}"]', ""]
    for name, key in keys.items():
        unit = name.removeprefix("windows-") if name != "border" else PORTAL
        kind = "bulk" if name != "border" else "http"
        lines += ["[[source]]", f'id = "{name}"', f'kind = "{kind}"', f'unit = "{unit}"', f'key = "{key.hashed}"', ""]
    lines += [
        "[[source]]",
        'id = "portal-syslog"',
        'kind = "syslog"',
        f'unit = "{PORTAL}"',
        'senders = ["127.0.0.0/8"]',
        "",
    ]
    for name in ("access", "audit"):
        path = folder / "logs" / f"{name}.log"
        path.touch()
        lines += [
            "[[source]]",
            f'id = "portal-{name}"',
            'kind = "file"',
            f'unit = "{PORTAL}"',
            f'paths = ["{path}"]',
            "",
        ]
    (folder / "sources.toml").write_text("\n".join(lines), encoding="utf-8")
    secret = {"http": http, "syslog": syslog, "keys": {name: key.encoded for name, key in keys.items()}}
    place = folder / KEYS
    place.touch(mode=0o600)
    place.write_text(json.dumps(secret), encoding="utf-8")


def pieces() -> list[Piece]:
    """The three hours, in order of time."""
    found: list[Piece] = []

    def add(stream: str, text: str, at: datetime) -> None:
        if FIRST <= at <= LAST:
            found.append(Piece(at, len(found), stream, text))

    for line in (DAY / "windows.ndjson").read_text().splitlines():
        add("windows", line, datetime.fromisoformat(json.loads(line)["TimeCreated"]))
    for line in gzip.decompress((DAY / "border-conn.json.gz").read_bytes()).decode().splitlines():
        add("border", line, datetime.fromtimestamp(json.loads(line)["ts"], UTC))
    for line in (DAY / "cong-dvc01-auth.log").read_text().splitlines():
        add("syslog", line, datetime.strptime(f"2026 {line[:15]}", "%Y %b %d %H:%M:%S").replace(tzinfo=UTC))
    for line in (DAY / "cong-dvc01-access.log").read_text().splitlines():
        add("access", line, datetime.strptime(line.split("[")[1][:26], "%d/%b/%Y:%H:%M:%S %z"))
    for line in (DAY / "cong-dvc01-audit.log").read_text().splitlines():
        add("audit", line, datetime.fromtimestamp(float(line.split("audit(")[1].split(":")[0]), UTC))
    heapq.heapify(found)
    return [heapq.heappop(found) for _ in range(len(found))]


class Player:
    """Sends pieces. `folder`: the live service's data folder, with the sources file written here."""

    def __init__(self, folder: Path) -> None:
        told = json.loads((folder / KEYS).read_text(encoding="utf-8"))
        self._folder, self._http, self._port, self._keys = folder, told["http"], told["syslog"], told["keys"]
        self._connection: socket.socket | None = None
        self._renew = {
            "windows": self._windows,
            "border": self._border,
            "syslog": self._syslog,
            "access": self._access,
            "audit": self._audit,
        }
        self.sent = 0

    def send(self, batch: list[Piece], round_: int, now: datetime) -> None:
        """Send some pieces as of now. Raises OSError when the service does not answer."""
        bodies: dict[str, list[str]] = {}
        for piece in batch:
            name, text = self._renew[piece.stream](piece.text, round_, now)
            bodies.setdefault(name, []).append(text)
        for name, texts in bodies.items():
            if name.startswith("windows-"):
                lines = "".join(f'{{"create":{{}}}}\n{text}\n' for text in texts)
                self._post("/_bulk", name, lines)
            elif name == "border":
                self._post("/v1/ingest", name, "".join(f"{text}\n" for text in texts))
            elif name == "syslog":
                self._say("".join(f"<38>{text}\n" for text in texts))
            else:
                with (self._folder / "logs" / f"{name}.log").open("a", encoding="utf-8") as log:
                    log.write("".join(f"{text}\n" for text in texts))
        self.sent += len(batch)

    def _windows(self, text: str, round_: int, now: datetime) -> tuple[str, str]:
        victim = UNITS[round_ % len(UNITS)]
        text = text.replace("so-y-te", "\0").replace(victim, "so-y-te").replace("\0", victim)
        record = json.loads(text)
        record["TimeCreated"] = f"{now:%Y-%m-%dT%H:%M:%S}.{now.microsecond // 1000:03d}Z"
        unit = next(unit for unit in UNITS if record["Computer"].startswith(unit))
        return f"windows-{unit}", json.dumps(record)

    def _border(self, text: str, round_: int, now: datetime) -> tuple[str, str]:
        return "border", json.dumps({**json.loads(text), "ts": now.timestamp()})

    def _syslog(self, text: str, round_: int, now: datetime) -> tuple[str, str]:
        return "syslog", _SYSLOG_HEAD.sub(f"{now:%b} {now.day:2d} {now:%H:%M:%S} ", text)

    def _access(self, text: str, round_: int, now: datetime) -> tuple[str, str]:
        return "access", _WEB_TIME.sub(f"[{now:%d/%b/%Y:%H:%M:%S} +0000]", text, count=1)

    def _audit(self, text: str, round_: int, now: datetime) -> tuple[str, str]:
        return "audit", _AUDIT_TIME.sub(f"audit({now.timestamp():.3f}:", text, count=1)

    def _post(self, path: str, name: str, body: str) -> None:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self._http}{path}",
            body.encode(),
            {"Authorization": f"ApiKey {self._keys[name]}", "Content-Type": "application/x-ndjson"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            answer.read()

    def _say(self, lines: str) -> None:
        if self._connection is None:
            self._connection = socket.create_connection(("127.0.0.1", self._port), timeout=30)
        try:
            self._connection.sendall(lines.encode())
        except OSError:
            self._connection = None
            raise


def play(folder: Path, speed: float, rounds: int, stopping: Callable[[], bool] = lambda: False) -> int:
    """Play until `stopping()` or so many rounds are done (0: for ever); how many records were sent."""
    player, recording = Player(folder), pieces()
    for number in _rounds(rounds):
        began = time.monotonic()
        place = 0
        while place < len(recording):
            if stopping():
                return player.sent
            reached = FIRST + timedelta(seconds=(time.monotonic() - began) * speed)
            upto = place
            while upto < len(recording) and recording[upto].at <= reached:
                upto += 1
            if upto > place:
                _insist(player, recording[place:upto], number, stopping)
                place = upto
            time.sleep(0.25)
    return player.sent


def _rounds(rounds: int) -> Iterator[int]:
    number = 0
    while not rounds or number < rounds:
        yield number
        number += 1


def _insist(player: Player, batch: list[Piece], number: int, stopping: Callable[[], bool]) -> None:
    while not stopping():
        try:
            player.send(batch, number, datetime.now(UTC))
            return
        except (OSError, urllib.error.URLError) as error:
            print(f"the live service does not take the recording: {error}; trying again", file=sys.stderr)
            time.sleep(2)


def main() -> None:
    """Play from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--speed", type=float, default=30.0, help="how many times faster than it was recorded")
    parser.add_argument("--rounds", type=int, default=0, help="how often it is played; 0: until stopped")
    given = parser.parse_args()
    print(f"{play(given.folder, given.speed, given.rounds)} records sent")


if __name__ == "__main__":
    main()
