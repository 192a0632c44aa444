"""Wrong keys, floods, slow and oversized senders: they get nothing, and cost the others nothing."""

from __future__ import annotations

import contextlib
import json
import socket
import statistics
import threading
import time
from ipaddress import ip_network
from pathlib import Path

import pytest
import structlog

from collect.serving import Served, serving
from khien.collect import http_connection
from khien.collect.keys import KeyRing, new_key
from khien.collect.settings import Limits, Source

pytestmark = pytest.mark.alone
QUICK = Limits(head_seconds=1.0, request=100_000)


def raw(served: Served) -> socket.socket:
    return socket.create_connection(("127.0.0.1", served.port), timeout=10)


def answer(peer: socket.socket) -> bytes:
    got = b""
    while part := peer.recv(65536):
        got += part
    return got


def head(served: Served, length: int, path: str = "/v1/ingest") -> bytes:
    return (
        f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: ApiKey {served.key.encoded}\r\nContent-Length: {length}\r\n\r\n"
    ).encode()


@pytest.mark.parametrize("path", ["/v1/ingest", "/_bulk", "/v1/logs", "/"])
def test_no_wrong_key_gets_in_and_all_get_the_same_answer(tmp_path: Path, path: str) -> None:
    with serving(tmp_path, web={}, other={}) as served:
        wrong = [new_key("web"), new_key("nobody"), new_key("")]
        answers = {served.send(path, b"{}", key=key)[::2] for key in wrong}
        for shown in ("", "ApiKey", "Bearer ???", "Basic AAAA", "Digest x", "ApiKey " + "A" * 5000, "Bearer \xff"):
            answers.add(served.send(path, b"{}", {"Authorization": shown})[::2])
        # The secret of one source does not open another.
        mixed = type(served.key)("other", served.keys["web"].secret, "")
        answers.add(served.send(path, b"{}", key=mixed)[::2])
        assert [status for status, _ in answers] == [401]
        assert served.counters.of("").rejected["key"] == 11
        assert served.parcels() == []


def test_a_wrong_key_takes_as_long_for_a_known_source_as_for_an_unknown_one() -> None:
    key = new_key("web")
    ring = KeyRing([Source("web", "http", keys=(key.hashed,))])
    assert ring.source(f"Bearer {key.encoded}".encode())
    assert ring.source(f"Bearer web:{key.secret}".encode())

    def seconds(shown: bytes) -> float:
        times = []
        for _ in range(1000):
            started = time.perf_counter()
            ring.source(shown)
            times.append(time.perf_counter() - started)
        return statistics.median(times)

    known, unknown = (f"ApiKey {new_key(name).encoded}".encode() for name in ("web", "nob"))
    # By turns, and the best of each: a busy machine slows one or the other down for a while.
    turns = [(seconds(known), seconds(unknown)) for _ in range(8)]
    assert min(turn[0] for turn in turns) == pytest.approx(min(turn[1] for turn in turns), rel=0.5)


def test_neither_keys_nor_events_are_logged(tmp_path: Path) -> None:
    with structlog.testing.capture_logs() as logs, serving(tmp_path) as served:
        served.send("/v1/ingest", b'{"password":"hunter2"}\n{bad hunter2')
        served.send("/v1/ingest", b'{"password":"hunter2"', {"Content-Encoding": "gzip"})
        served.send("/_bulk", b'{"create":{}}\n{"password":"hunter2"')
        wrong = new_key("web")
        served.send("/v1/ingest", b"hunter2", key=wrong)
        secrets = ("hunter2", wrong.secret, wrong.encoded, served.key.secret, served.key.encoded)
    assert any(entry["event"] == "wrong key" for entry in logs)
    assert not any(secret in str(logs) for secret in secrets)


def test_a_key_used_from_elsewhere_is_refused(tmp_path: Path) -> None:
    networks = {"web": (ip_network("10.0.0.0/8"),), "near": (ip_network("127.0.0.0/8"),)}
    sources = {name: {"networks": each} for name, each in networks.items()}
    with serving(tmp_path, **sources) as served:
        assert served.send("/v1/ingest", b"{}")[0] == 403
        assert served.send("/v1/ingest", b"{}", key=served.keys["near"])[0] == 200


def test_a_body_larger_than_allowed_is_refused_before_it_is_read(tmp_path: Path) -> None:
    with serving(tmp_path, limits=QUICK) as served:
        with raw(served) as peer:
            peer.sendall(head(served, 5_000_000))
            assert b" 413 " in answer(peer).split(b"\r\n")[0]
        with raw(served) as peer:
            chunked = head(served, 0).replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
            peer.sendall(chunked + b"186a1\r\n" + b"x" * 100_001)
            assert b" 413 " in answer(peer).split(b"\r\n")[0]
        assert served.counters.of("web").rejected["size"] == 2
        assert served.collector.held == 0


def test_endless_heads_and_garbage_are_cut_off(tmp_path: Path) -> None:
    with serving(tmp_path) as served:
        for garbage, status in [
            (b"GET / HTTP/1.1\r\nX: " + b"a" * 70_000, b"431"),
            (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 9000 + b"\r\n", b"431"),
            (b"\x16\x03\x01\x02\x00garbage\r\n\r\n", b"400"),
            (b"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n", b"400"),
            (b"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", b"400"),
        ]:
            with raw(served) as peer:
                peer.sendall(garbage)
                assert answer(peer).split(b" ")[1] == status
        assert served.send("/v1/ingest", b"{}")[0] == 200


def test_slow_senders_are_cut_off_and_the_others_served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_connection, "BODY_GRACE", 1.0)
    with serving(tmp_path, limits=QUICK) as served:
        silent = [raw(served) for _ in range(50)]
        heads = [raw(served) for _ in range(50)]
        bodies = [raw(served) for _ in range(50)]
        started = time.monotonic()
        for peer in heads:
            peer.sendall(b"GET / HTTP/1.1\r\n")
        for peer in bodies:
            peer.sendall(head(served, 50_000))
        while time.monotonic() - started < 3.5:
            for peer in heads:
                with contextlib.suppress(OSError):
                    peer.sendall(b"X")
            began = time.monotonic()
            assert served.send("/v1/ingest", b"{}")[0] == 200
            assert time.monotonic() - began < 1
            time.sleep(0.3)
        for peer in (*silent, *bodies):
            got = answer(peer)
            assert got == b"" or b" 408 " in got
            peer.close()
        for peer in heads:
            peer.close()
        time.sleep(0.3)
        assert len(served.collector._connections) == 0
        assert served.counters.of("web").rejected["slow"] == 50


def test_connections_are_limited_by_address_and_by_source(tmp_path: Path) -> None:
    with serving(tmp_path, limits=Limits(connections_per_address=5), web={"connections": 2}) as served:
        request = head(served, 2).replace(b"Host", b"X-A: b\r\nHost") + b"{}"
        open_ones = [raw(served) for _ in range(5)]
        time.sleep(0.1)
        with raw(served) as sixth:
            assert sixth.recv(10) == b""
        statuses = []
        for peer in open_ones[:3]:
            peer.sendall(request)
            statuses.append(peer.recv(4096).split(b" ")[1])
        assert statuses == [b"200", b"200", b"429"]
        for peer in open_ones:
            peer.close()
        time.sleep(0.2)
        assert served.send("/v1/ingest", b"{}")[0] == 200


def test_a_flood_from_one_source_leaves_the_others_their_rate(tmp_path: Path) -> None:
    sources = {"calm": {}, "flood": {"events_per_second": 1000, "connections": 8}}
    with serving(tmp_path, **sources) as served:
        stop = threading.Event()
        body = b'{"n":1}\n' * 500

        def flood() -> None:
            while not stop.is_set():
                served.send("/v1/ingest", body, key=served.keys["flood"])

        threads = [threading.Thread(target=flood) for _ in range(8)]
        for thread in threads:
            thread.start()
        started, times = time.monotonic(), []
        while time.monotonic() - started < 3:
            began = time.monotonic()
            assert served.send("/v1/ingest", body, key=served.keys["calm"])[0] == 200
            times.append(time.monotonic() - began)
        stop.set()
        for thread in threads:
            thread.join()
        assert statistics.median(times) < 0.1
        flooded = served.counters.of("flood")
        assert flooded.events < 1000 * 3 + 2000 + 8 * 500
        assert flooded.rejected["rate"] > 5


def test_requests_sent_ahead_are_answered_in_order(tmp_path: Path) -> None:
    with serving(tmp_path) as served, raw(served) as peer:
        peer.sendall(b"".join(head(served, 8) + b'{"n":%2d}' % n for n in range(10, 30)))
        got = b""
        while got.count(b"HTTP/1.1 200") < 20:
            got += peer.recv(65536)
        assert [json.loads(line)["n"] for line in served.lines()] == list(range(10, 30))


def test_health_is_open_and_metrics_count_by_source(tmp_path: Path) -> None:
    with serving(tmp_path) as served:
        served.send("/v1/ingest", b'{"a":1}\n{"a":2}\n')
        served.send("/v1/ingest", b"{}", key=new_key("web"))
        nothing = {"Authorization": ""}
        assert served.send("/health", None, nothing, method="GET")[::2] == (200, b'{"status":"ok"}')
        _, _, text = served.send("/metrics", None, nothing, method="GET")
        assert b'khien_collect_events_total{source="web"} 2.0' in text
        assert b'khien_collect_rejected_total{reason="key",source=""} 1.0' in text
        assert b"khien_spool_bytes" in text


def test_a_sender_that_asks_first_is_refused_before_it_sends(tmp_path: Path) -> None:
    with serving(tmp_path) as served, raw(served) as peer:
        peer.sendall(b"POST /v1/ingest HTTP/1.1\r\nContent-Length: 10\r\nExpect: 100-continue\r\n\r\n")
        assert answer(peer).startswith(b"HTTP/1.1 401 ")


def test_one_header_again_and_again_costs_nothing(tmp_path: Path) -> None:
    with serving(tmp_path) as served, raw(served) as peer:
        started = time.monotonic()
        peer.sendall(b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 40_000 + b"\r\n")
        assert b" 431 " in answer(peer)
        assert time.monotonic() - started < 1


def test_bodies_of_nothing_but_structure_are_refused(tmp_path: Path) -> None:
    with serving(tmp_path) as served:
        assert served.send("/v1/ingest", b"\n" * 20_000_000)[0] == 413
        assert served.send("/_bulk", b"{}\n" * 5_000_000)[0] == 413
        assert served.send("/v1/ingest", b"[" + b"[]," * 6_000_000 + b"{}]")[0] == 413
        protobuf = {"Content-Type": "application/x-protobuf"}
        assert served.send("/v1/logs", b"\x0a\x00" * 9_000_000, protobuf)[0] == 413


def test_stopping_lets_requests_under_way_end(tmp_path: Path) -> None:
    acknowledged: list[int] = []
    with serving(tmp_path) as served:
        stop = threading.Event()

        def send() -> None:
            while not stop.is_set():
                try:
                    status, _, _ = served.send("/v1/ingest", b'{"n":1}\n' * 2000)
                except OSError:
                    return
                acknowledged.append(status)

        threads = [threading.Thread(target=send) for _ in range(6)]
        for thread in threads:
            thread.start()
        time.sleep(0.5)
    stop.set()
    for thread in threads:
        thread.join()
    # Every request that reached the spool was also answered: nobody sends it again.
    assert acknowledged.count(200) == len(served.parcels()) > 10
