"""The console over HTTP with many alerts, while fifty more arrive each second.

    python bench/console.py [--quick] [--json FILE] [--alerts N] [--database URL] [--rounds N] [--keep FOLDER]

Fills a database of its own (default 1,000,000 alerts in SQLite; `--database postgres://...`: that one, which has to be
empty), starts the real server with uvicorn and a writer that feeds 50 alerts/s, each in the way the feed writes them,
and asks for pages over HTTP, one after another, as a person signed in does. Then an alert's way from the live service's
file through the feed to an open stream is timed, and ten thousand alerts are closed at once.
`--quick` ends within 45 seconds: 200,000 alerts in SQLite. The JSON has `p95_ms`, a map from page to milliseconds, and
`bulk_close_s`, `arrival_s`, `alerts` and more.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import platform
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

HERE = Path(__file__).resolve().parent
RATE = 50
TARGET_MS = {"sqlite": 200, "postgresql": 150}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def pages(lot: random.Random, people: Any) -> dict[str, list[str]]:
    """Kinds of pages, and addresses of each: what people ask for, and what is hard to find."""
    from django.urls import NoReverseMatch, reverse

    from console_drawn import WORDS
    from khien.console.alerts.models import Alert
    from khien.console.incidents.models import Incident

    def q(text: str, more: str = "") -> str:
        return f"/alerts/?q={quote(text)}{more}"

    newest = Alert.objects.order_by("-id").values_list("id", flat=True)[0]
    old = lot.sample(range(max(newest - 150_000, 1), newest), 12)
    tokens = [
        record["event"]["CommandLine"].split()[-1]
        for record in _records([newest - 40, max(newest // 2, 1), max(newest // 9, 1)])
    ]
    found = {
        "queue": ["/alerts/", "/alerts/?tab=unassigned", "/alerts/?tab=mine", "/alerts/?sort=level", "/alerts/?sort=count"],
        "filter": [
            q("level:high,critical status:new"), q("unit:bench-07"), q("unit:bench-31 status:closed level:critical"), q("host:u03-pc-0007"),
            q("rule:lsass"), q("technique:t1007"), q("status:new owner:none since:24h"), q("verdict:true_positive"), q("level:critical -unit:bench-00"),
            q("status:in_progress", "&sort=level"), q("since:30d until:20d level:low"), q("entity:u11-pc-00*"), q("status:new", "&group=rule"),
        ],
        "search": [
            *(q(token) for token in tokens), q("powershell"), q(f'"{lot.choice(WORDS)}"'), q("comsvcs.dll minidump"), q("level:critical powershell"),
            q("unit:bench-20 whoami"), q("host:u03-pc-0007 rundll32"), q("status:new schtasks"), q("certutil urlcache level:high verdict:true_positive"), q("nowhere-to-be-found"),
        ],
    }  # fmt: skip
    for kind, name, arguments in (
        ("detail", "alerts:detail", [[pk] for pk in old]),
        ("panel", "alerts:panel", [[pk] for pk in old]),
        ("incident", "incidents:detail", [[pk] for pk in Incident.objects.values_list("id", flat=True)[:10]]),
        ("incidents", "incidents:list", [[]]),
        ("work", "work", [[]]),
    ):
        try:
            addresses = [reverse(name, args=each) for each in arguments]
        except NoReverseMatch:
            continue
        if addresses:
            found[kind] = addresses
    return found


def _records(ids: list[int]) -> list[Any]:
    from khien.console.alerts.models import AlertFinding

    return [AlertFinding.objects.get(alert_id=pk, position=0).record for pk in ids]


def sample_work(people: Any) -> None:
    """Incidents with alerts and tasks, through the services, so that their pages have something to show."""
    from datetime import timedelta

    from django.db import transaction
    from django.utils import timezone

    from khien.console.alerts.models import Alert
    from khien.console.incidents.models import Incident
    from khien.console.incidents.services import open_incident

    if Incident.objects.exists():
        return  # a database that was kept
    from khien.console.directives.tasks import create_task

    newest = list(Alert.objects.order_by("-id").select_related("unit")[:400])
    with transaction.atomic():
        for number in range(10):
            part = newest[number * 40 : number * 40 + 30]
            incident = open_incident(people[0], title=f"Sự cố đo {number}", level=3, unit=part[0].unit, alerts=part)
            for task in range(12):
                due_at = timezone.now() + timedelta(days=task - 5)
                create_task(people[0], unit=people[0].unit, title=f"Việc đo {task}", due_at=due_at, incident=incident)


def signed_in(user: Any) -> str:
    """A session's key."""
    from django.conf import settings
    from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
    from django.contrib.sessions.backends.db import SessionStore

    store = SessionStore()
    store[SESSION_KEY] = str(user.pk)
    store[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
    store[HASH_SESSION_KEY] = user.get_session_auth_hash()
    store["second_factor"] = True
    store["language"] = "vi"
    store.create()
    return str(store.session_key)


class Browser:
    """One connection that is kept, signed in."""

    def __init__(self, port: int, session: str) -> None:
        self.port, self.cookies = port, {"sessionid": session}
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def ask(
        self, method: str, address: str, body: str = "", headers: dict[str, str] | None = None
    ) -> tuple[int, bytes, float]:
        """(status, body, seconds)."""
        head = {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items()), **(headers or {})}
        started = time.perf_counter()
        self.connection.request(method, address, body, head)
        answer = self.connection.getresponse()
        text = answer.read()
        took = time.perf_counter() - started
        for value in answer.headers.get_all("Set-Cookie") or []:
            name, _, rest = value.partition("=")
            self.cookies[name] = rest.partition(";")[0]
        return answer.status, text, took


def write_alerts(stop: threading.Event, counted: list[int]) -> None:
    """Fifty alerts a second through the live service's own file and the real feed, which is a process elsewhere."""
    from console_live import finding
    from khien.alerts.sink import SqliteAlerts

    live = SqliteAlerts(Path(os.environ["KHIEN_LIVE_DATA"]) / "alerts.db")
    started, position = time.monotonic(), 0
    while not stop.is_set():
        due = int((time.monotonic() - started) * RATE) - counted[0]
        if due > 0:
            position += 1
            live.take(0, position, [finding(counted[0] + n) for n in range(due)])
            counted[0] += due
        stop.wait(0.2)


def arrival(browser: Browser, port: int, times: int) -> list[float]:
    """Seconds from a finding's taking in the live service's file until an open stream tells of it."""
    from console_live import finding
    from khien.alerts.sink import SqliteAlerts

    live = SqliteAlerts(Path(os.environ["KHIEN_LIVE_DATA"]) / "alerts.db")
    found = []
    for number in range(times):
        marker = f"marker{number}x{random.getrandbits(40):x}"
        stream = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        cookie = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
        stream.request("GET", f"/alerts/stream/?q={marker}", headers={"Cookie": cookie, "Accept": "text/event-stream"})
        answer = stream.getresponse()
        while b"event: ready" not in answer.readline():
            pass
        time.sleep(0.7)
        live.take(1, live.position(1) + 1, [finding(10**9 + number, marker)])
        started = time.perf_counter()
        while b"event: alerts" not in answer.readline():
            pass
        found.append(time.perf_counter() - started)
        stream.close()
    return found


def quantile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--quick", action="store_true")
    arguments.add_argument("--json", type=Path)
    arguments.add_argument("--alerts", type=int, default=1_000_000)
    arguments.add_argument("--database", default="")
    arguments.add_argument("--rounds", type=int, default=12)
    arguments.add_argument("--keep", type=Path, help="a folder to keep the SQLite database in, and use it again")
    given = arguments.parse_args()
    began = time.monotonic()
    if given.quick:
        given.alerts = min(given.alerts, 200_000)
    folder = given.keep or Path(tempfile.mkdtemp(prefix="khien-bench-console-"))
    folder.mkdir(parents=True, exist_ok=True)
    os.environ.update(
        KHIEN_CONSOLE_DATA=str(folder),
        KHIEN_LIVE_DATA=str(folder / "live"),
        DJANGO_SETTINGS_MODULE="khien.console.settings",
    )
    os.environ["KHIEN_LOG_LEVEL"] = "ERROR"
    if given.database:
        os.environ["KHIEN_DATABASE_URL"] = given.database
    else:
        os.environ.pop("KHIEN_DATABASE_URL", None)
    (folder / "live").mkdir(exist_ok=True)
    try:
        return measure(given, folder, began)
    finally:
        if not given.keep:
            shutil.rmtree(folder, ignore_errors=True)


def measure(given: Any, folder: Path, began: float) -> int:
    sys.path.insert(0, str(HERE))
    import django

    django.setup()
    from django.core.management import call_command
    from django.db import connection

    import console_data
    from khien.alerts.sink import SqliteAlerts
    from khien.console.alerts.models import Alert

    call_command("migrate", verbosity=0)
    filled = 0.0 if Alert.objects.exists() else console_data.fill(given.alerts)
    people = console_data.province()[1]
    sample_work(people)
    SqliteAlerts(folder / "live" / "alerts.db").close()
    kinds = pages(random.Random(5), people)
    vendor = connection.vendor
    sessions = [signed_in(people[0]), signed_in(people[1])]
    connection.close()

    port = free_port()
    python = sys.executable
    environment = {**os.environ, "KHIEN_HOSTS": "127.0.0.1,localhost"}
    server = subprocess.Popen(
        [
            python,
            "-m",
            "uvicorn",
            "khien.console.asgi:application",
            "--port",
            str(port),
            "--log-level",
            "error",
            "--timeout-keep-alive",
            "60",
            "--timeout-graceful-shutdown",
            "1",
        ],
        env=environment,
    )
    feeder = subprocess.Popen([python, str(HERE / "console_live.py"), "feed"], env=environment)
    stop, counted = threading.Event(), [0]
    writer = threading.Thread(target=write_alerts, args=(stop, counted), daemon=True)
    try:
        browsers = [Browser(port, session) for session in sessions]
        deadline = time.monotonic() + 30
        while True:
            try:
                if browsers[0].ask("GET", "/health")[0] == 200:
                    break
            except OSError:
                browsers[0].connection.close()
            if time.monotonic() > deadline:
                raise SystemExit("the server does not answer")
            time.sleep(0.1)
        writer.start()
        ends = began + 35 if given.quick else float("inf")
        times, slowest = ask_pages(kinds, browsers, given.rounds, ends)
        arrived = arrival(browsers[0], port, 3 if given.quick else 8)
        closed, seconds = close_many(browsers[0])
    finally:
        stop.set()
        for process in (server, feeder):
            process.send_signal(signal.SIGTERM)
        for process in (server, feeder):
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
    report(given, vendor, filled, times, slowest, arrived, closed, seconds, counted[0], began)
    return 0


def ask_pages(
    kinds: dict[str, list[str]], browsers: list[Browser], rounds: int, ends: float
) -> tuple[dict[str, list[float]], dict[str, tuple[float, str]]]:
    """Seconds by kind of page: each address in each round, kinds in turn, by an analyst and by a duty officer in turn.

    A page of each kind is asked for once before, to warm up.
    """
    times: dict[str, list[float]] = {kind: [] for kind in kinds}
    slowest: dict[str, tuple[float, str]] = {}

    def ask(kind: str, place: int, number: int) -> float:
        address = kinds[kind][place]
        alone = kind in ("detail", "panel", "incident") or "unit:" in address
        browser = browsers[0 if alone else (number + place) % 2]
        status, text, took = browser.ask("GET", address)
        if status != 200:
            raise SystemExit(f"{address} answers {status}: {text[:300]!r}")
        return took

    for kind in kinds:
        ask(kind, 0, 0)
        ask(kind, 0, 1)
    for number in range(rounds):
        for place in range(max(map(len, kinds.values()))):
            for kind, addresses in kinds.items():
                if place < len(addresses):
                    took = ask(kind, place, number)
                    times[kind].append(took)
                    slowest[kind] = max(slowest.get(kind, (0.0, "")), (took, addresses[place]))
            if time.monotonic() > ends:
                return times, slowest
    return times, slowest


def close_many(browser: Browser) -> tuple[int, float]:
    """Close ten thousand alerts at once, as the page's button does."""
    _, text, _ = browser.ask("GET", "/alerts/")
    page = text.decode()
    token = page.split('"X-CSRFToken": "')[1].split('"')[0]
    upto = page.split('data-upto="')[1].split('"')[0]
    body = f"action=close&verdict=benign&all=1&q=-verdict%3Abenign&tab=&upto={upto}"
    headers = {
        "X-CSRFToken": token,
        "Content-Type": "application/x-www-form-urlencoded",
        "Origin": f"http://127.0.0.1:{browser.port}",
    }
    status, text, took = browser.ask("POST", "/alerts/act/", body, headers)
    if status != 200:
        raise SystemExit(f"closing answers {status}: {text[:300]!r}")
    print(f"closing: {json.loads(text)['text']}")
    return 10_000, took


def report(
    given: Any,
    vendor: str,
    filled: float,
    times: dict[str, list[float]],
    slowest: dict[str, tuple[float, str]],
    arrived: list[float],
    closed: int,
    seconds: float,
    fed: int,
    began: float,
) -> None:
    target = TARGET_MS[vendor]
    figures = {kind: round(quantile(each, 0.95) * 1000, 1) for kind, each in times.items() if each}
    print(
        f"{given.alerts:,} alerts in {vendor}, {RATE} more each second ({fed:,} in all); filled in {filled:.0f} s; {platform.machine()}, {os.cpu_count()} cores"
    )
    print(f"{'page':<12}{'asked':>7}{'p50 ms':>9}{'p95 ms':>9}   at most {target} ms; slowest")
    for kind, each in times.items():
        if each:
            took, address = slowest[kind]
            print(
                f"{kind:<12}{len(each):>7}{quantile(each, 0.5) * 1000:>9.1f}{figures[kind]:>9.1f}   {took * 1000:.0f} ms {address}"
            )
    print(f"closing {closed:,} alerts: {seconds:.2f} s (at most 5)")
    print(
        f"from the live service's file to the screen: p50 {quantile(arrived, 0.5):.2f} s, worst {max(arrived):.2f} s (at most 2)"
    )
    print(f"all of it: {time.monotonic() - began:.0f} s")
    if given.json:
        given.json.write_text(
            json.dumps(
                {
                    "alerts": given.alerts,
                    "database": vendor,
                    "p95_ms": figures,
                    "p50_ms": {kind: round(quantile(each, 0.5) * 1000, 1) for kind, each in times.items() if each},
                    "bulk_close_s": round(seconds, 2),
                    "arrival_s": round(max(arrived), 2),
                    "arriving_per_s": RATE,
                    "cores": os.cpu_count(),
                    "seconds": round(time.monotonic() - began, 1),
                },
                indent=1,
            )
        )


if __name__ == "__main__":
    sys.exit(main())
