"""Bad senders on the wire, while an honest one keeps its rate and its findings come within seconds."""

from __future__ import annotations

import contextlib
import gzip
import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from flow.live_service import LiveService, whoami
from khien.collect.keys import new_key
from khien.lake.schema import EVENTS

pytestmark = pytest.mark.slow
FLOOD = new_key("flood")
FOR = 4.0


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveService]:
    limited = (
        f'[[source]]\nid = "flood"\nkind = "http"\nkey = "{FLOOD.hashed}"\nevents_per_second = 1000\nconnections = 4\n'
        "[limits]\nhead_seconds = 1\ninflated = 8388608\n"
    )
    with LiveService(tmp_path_factory.mktemp("limits") / "data", sources=limited) as live:
        yield live


def raw(service: LiveService) -> socket.socket:
    return socket.create_connection(("127.0.0.1", service.port), timeout=5)


def post(service: LiveService, body: bytes, encoded: str, encoding: str = "identity") -> int:
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=10)
    try:
        headers = {"Authorization": f"ApiKey {encoded}", "Content-Encoding": encoding}
        connection.request("POST", "/v1/ingest", body, headers)
        answer = connection.getresponse()
        answer.read()
        return answer.status
    finally:
        connection.close()


def slowloris(service: LiveService) -> None:
    peers = [raw(service) for _ in range(30)]
    for peer in peers:
        for _ in range(8):
            with contextlib.suppress(OSError):
                peer.sendall(b"GET / HTTP/1.1\r\nX")
            time.sleep(0.005)
    time.sleep(0.5)
    for peer in peers:
        peer.close()


def oversized_lines(service: LiveService) -> None:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", service.syslog_port), 5) as peer:
        peer.sendall(b"<13>" + b"x" * 5_000_000 + b"\n")
    assert post(service, json.dumps({"message": "y" * 3_000_000}).encode(), service.key) in (200, 400, 413)


def wrong_framing(service: LiveService) -> None:
    for garbage in (b"99999999999 <13>x", b"0 ", b"\x16\x03\x01\x02\x00\x01", b"\0" * 5_000, b"12 <13>short\n5 x"):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", service.syslog_port), 5) as peer:
            peer.sendall(garbage)
    with contextlib.suppress(OSError), raw(service) as peer:
        peer.sendall(b"POST /v1/ingest HTTP/1.1\r\nContent-Length: x\r\n\r\n")


def gzip_bomb(service: LiveService) -> None:
    assert post(service, gzip.compress(b"0" * 200_000_000, 9), service.key, "gzip") in (400, 413)


def wrong_key(service: LiveService) -> None:
    for _ in range(50):
        assert post(service, b"{}", new_key("agents").encoded) == 401


def flood(service: LiveService) -> None:
    body = b'{"message": "flooding"}\n' * 500
    for _ in range(20):
        assert post(service, body, FLOOD.encoded) in (200, 429)


@pytest.mark.parametrize("attack", [slowloris, oversized_lines, wrong_framing, gzip_bomb, wrong_key, flood])
def test_an_honest_source_keeps_its_rate_and_its_findings_come_within_seconds(
    service: LiveService, attack: Callable[[LiveService], None]
) -> None:
    stop = threading.Event()
    problems: list[BaseException] = []

    def attacking() -> None:
        try:
            while not stop.is_set():
                attack(service)
        except OSError:
            pass  # turned away
        except BaseException as error:  # shown below
            problems.append(error)

    before = service.finding_count()
    attackers = [threading.Thread(target=attacking) for _ in range(2)]
    for attacker in attackers:
        attacker.start()
    sent, times, ends = 0, [], time.monotonic() + FOR
    while time.monotonic() < ends:
        started = time.monotonic()
        service.send(*[whoami(f"{attack.__name__} {sent + n}") for n in range(20)])
        times.append(time.monotonic() - started)
        sent += 20
        time.sleep(0.05)
    service.wait_for("the findings", lambda: service.finding_count() >= before + sent, 5)
    stop.set()
    for attacker in attackers:
        attacker.join(20)
    assert problems == []
    assert sent > 200
    assert sorted(times)[len(times) // 2] < 0.5
    assert service.process is not None
    assert service.process.poll() is None
    service.wait_for("health", lambda: service.request("GET", "/health")[0] == 200, 10)


def test_what_a_flood_was_not_given_is_not_taken(service: LiveService) -> None:
    service.wait_for("all rows", lambda: service.statuses()["store-00"].lag == 0, 30)
    seconds = FOR + 5
    flooded = [source for (source,) in service.rows(EVENTS, "source")].count("flood")
    assert 0 < flooded < 1000 * (seconds + 2) + 1000


def test_a_source_whose_clock_is_years_off_is_found_and_filed_under_the_day_it_came(service: LiveService) -> None:
    for year in (1999, 2019, 2055, 2999):
        service.send(whoami(f"clock {year}", TimeCreated=f"{year}-01-01T00:00:00Z"))
    wanted = {f"clock {year}" for year in (1999, 2019, 2055, 2999)}
    service.wait_for("the rows", lambda: wanted <= set(service.markers()), 30)
    rows = service.rows(EVENTS, "command_line, time = received, cast(day as varchar)")
    today = time.strftime("%Y-%m-%d", time.gmtime())
    for line, as_it_came, day in rows:
        if line and "clock" in line:
            assert as_it_came
            assert day >= today[:8]
    service.wait_for("the findings", lambda: wanted <= set(service.found_markers()), 30)


def test_the_service_ends_well_after_all_that(service: LiveService) -> None:
    assert service.stop() == 0
    assert set(service.markers().values()) == {1}
    assert service.markers() == service.found_markers()
    assert service.finding_count() == sum(service.markers().values())
    service.check_lake()
