"""Syslog listeners over real sockets: what arrives stands in the spool, whoever sends and however."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import socket
import ssl
from dataclasses import replace
from pathlib import Path

import pytest
import trustme

from collect.listening import HOST, LIMITS, Memory, count, everyone, in_loop, listening, send, spooled, until
from khien.collect.spool import Spool
from khien.collect.syslog import CertificateError, Endpoint, Origin, Peer, PortError, SyslogListener, tls_context


@in_loop
async def test_both_framings_arrive_in_a_real_spool(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool")
    async with listening(spool, "tcp") as listener:
        await send(listener.ports[0], b"".join(b"<13>line %d\n" % n for n in range(1000)))
        await send(listener.ports[0], b"14 <13>counted 00")
        await until(lambda: count(listener) == 1001)
    await spool.close()
    parcels = spooled(tmp_path / "spool")
    assert {(parcel.source, parcel.format) for parcel in parcels} == {("office", "syslog")}
    assert sum(parcel.count for parcel in parcels) == 1001
    lines = b"".join(parcel.data for parcel in parcels).splitlines()
    assert sorted(lines) == sorted([b"<13>line %d" % n for n in range(1000)] + [b"<13>counted 00"])


@in_loop
async def test_stopping_takes_in_what_was_sent() -> None:
    memory = Memory()
    async with listening(memory, "tcp") as listener:
        writers = [await send(listener.ports[0], b"<13>a\n" * 50_000 + b"<13>half", close=False) for _ in range(4)]
    assert memory.lines().count(b"<13>a") == 200_000
    assert memory.lines().count(b"<13>half") == 4
    for writer in writers:
        writer.close()


@in_loop
async def test_a_full_spool_stops_the_reading_and_loses_nothing() -> None:
    memory = Memory()
    memory.full = True
    limits = replace(LIMITS, waiting_bytes=1 << 20, parcel_bytes=64 << 10)
    message = b"<13>" + b"x" * 1000 + b"\n"
    async with listening(memory, "tcp", limits=limits) as listener:
        _, writer = await asyncio.open_connection(HOST, listener.ports[0])
        writer.write(message * 40_000)
        await until(lambda: listener.figures.streams.pauses)
        await asyncio.sleep(0.3)
        assert listener.figures.sources["office"].bytes < 3 << 20
        assert writer.transport.get_write_buffer_size() > 10 << 20
        memory.full = False
        await until(lambda: count(listener) == 40_000)
        writer.close()
    assert b"".join(parcel.data for parcel in memory.parcels) == message * 40_000


@in_loop
async def test_stopping_says_how_much_a_full_spool_did_not_take() -> None:
    memory = Memory()
    memory.full = True
    limits = replace(LIMITS, stop_seconds=0.3)
    listener = SyslogListener(memory, everyone, [Endpoint("tcp", HOST)], limits=limits)
    await listener.start()
    await send(listener.ports[0], b"<13>a\n<13>b\n")
    await until(lambda: listener.figures.sources)
    assert await listener.stop() == 2


@in_loop
async def test_a_source_over_its_rate_waits_and_the_others_do_not() -> None:
    memory = Memory()
    ports: list[int] = []

    def resolve(peer: Peer) -> Origin | None:
        return Origin("slow", events_per_second=2000) if peer.local_port == ports[0] else Origin("fast")

    async with listening(memory, "tcp", "tcp", resolve=resolve) as listener:
        ports += listener.ports
        begun = asyncio.get_running_loop().time()
        await send(ports[0], b"<13>slow\n" * 6000)
        await send(ports[1], b"<13>fast\n" * 100_000)
        await until(lambda: count(listener, "fast") == 100_000)
        assert asyncio.get_running_loop().time() - begun < 1.5
        await send(ports[0], b"<13>slow\n" * 100)
        await until(lambda: count(listener, "slow") == 6100)
        assert asyncio.get_running_loop().time() - begun > 0.9
        assert listener.figures.sources["slow"].rate_limited > 0


@in_loop
async def test_a_burst_of_datagrams_is_taken_whole() -> None:
    memory = Memory()
    async with listening(memory, "udp") as listener:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for number in range(20_000):
                sender.sendto(b"<13>datagram %d" % number, (HOST, listener.ports[0]))
        await until(lambda: count(listener) == 20_000)
        assert listener.figures.datagrams.kernel_drops == 0
    assert memory.lines() == [b"<13>datagram %d" % number for number in range(20_000)]


@in_loop
async def test_datagrams_the_kernel_drops_are_counted() -> None:
    memory = Memory()
    async with listening(memory, "udp", limits=replace(LIMITS, receive_buffer=4096)) as listener:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for number in range(5_000):
                sender.sendto(b"<13>datagram %d" % number, (HOST, listener.ports[0]))
    figures = listener.figures
    assert figures.datagrams.kernel_drops > 0
    assert len(memory.lines()) + figures.datagrams.kernel_drops == 5_000


@in_loop
async def test_a_datagram_is_one_line_whatever_is_in_it() -> None:
    memory = Memory()
    async with listening(memory, "udp", limits=replace(LIMITS, max_line=1000)) as listener:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for data in (b"<13>a\nb\x00c\xff\n", b"", b"\n", b"<13>" + b"x" * 60_000):
                sender.sendto(data, (HOST, listener.ports[0]))
        await until(lambda: listener.figures.datagrams.received == 4)
    assert memory.lines() == [b"<13>a#012b\x00c\xff", b"<13>" + b"x" * 996]
    assert (listener.figures.datagrams.empty, listener.figures.datagrams.oversized) == (2, 1)


@in_loop
async def test_datagrams_over_the_rate_or_a_full_spool_are_dropped_and_counted() -> None:
    memory = Memory()
    memory.full = True
    limits = replace(LIMITS, udp_waiting_bytes=1000)
    async with listening(memory, "udp", "udp", limits=limits, resolve=lambda peer: Origin("full")) as listener:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for _ in range(10):
                sender.sendto(b"<13>" + b"x" * 500, (HOST, listener.ports[0]))
                await asyncio.sleep(0.02)
        await until(lambda: listener.figures.sources["full"].dropped["spool full"] >= 6)
        memory.full = False
    async with listening(memory, "udp", resolve=lambda peer: Origin("rated", events_per_second=10)) as listener:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for _ in range(30):
                sender.sendto(b"<13>x", (HOST, listener.ports[0]))
                await asyncio.sleep(0.005)
        await until(lambda: listener.figures.datagrams.received == 30)
        assert listener.figures.sources["rated"].dropped["over the rate"] > 5


@in_loop
async def test_unknown_senders_are_refused() -> None:
    memory = Memory()
    async with listening(memory, "tcp", "udp", resolve=lambda peer: None) as listener:
        await send(listener.ports[0], b"<13>a\n")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"<13>a", (HOST, listener.ports[1]))
        await until(lambda: listener.figures.streams.refused["no source for this sender"] == 1)
        await until(lambda: listener.figures.datagrams.refused == 1)
    assert not memory.parcels


@in_loop
async def test_wrong_framing_closes_that_connection_alone() -> None:
    memory = Memory()
    async with listening(memory, "tcp") as listener:
        good = await send(listener.ports[0], b"<13>before\n", close=False)
        reader, bad = await asyncio.open_connection(HOST, listener.ports[0])
        bad.write(b"8 <13>goodnonsense")
        with contextlib.suppress(ConnectionError):
            assert await asyncio.wait_for(reader.read(), 5) == b""
        good.write(b"<13>after\n")
        await until(lambda: len(memory.lines()) == 4)
        assert sum(listener.figures.streams.closed.values()) == 1
        assert listener.figures.streams.open == 1
        good.close()
        bad.close()
    assert sorted(memory.lines()) == [b"<13>after", b"<13>before", b"<13>good", b"nonsense"]


@in_loop
async def test_bytes_arriving_one_by_one_make_the_same_messages() -> None:
    memory = Memory()
    data = b"7 <13>abc10 <13>d\ne\x00\xff\xfe8 <13>last"
    async with listening(memory, "tcp") as listener:
        _, writer = await asyncio.open_connection(HOST, listener.ports[0])
        for byte in data:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0.001)
        writer.close()
        await until(lambda: listener.figures.streams.open == 0)
    assert memory.lines() == [b"<13>abc", b"<13>d#012e\x00\xff\xfe", b"<13>last"]


@in_loop
async def test_a_line_of_a_hundred_megabytes_costs_no_memory_and_disturbs_no_one() -> None:
    memory = Memory()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    async with listening(memory, "tcp") as listener:
        _, writer = await asyncio.open_connection(HOST, listener.ports[0])
        for _ in range(100):
            writer.write(b"x" * (1 << 20))
            await writer.drain()
        other = await send(listener.ports[0], b"<13>other\n")
        writer.write(b"\n<13>after\n")
        writer.close()
        await until(lambda: len(memory.lines()) == 3)
        other.close()
    assert sorted(len(line) for line in memory.lines()) == [9, 9, 256 << 10]
    assert listener.figures.streams.oversized == 1
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 40 << 10


@in_loop
async def test_slow_loris_is_closed_and_what_it_sent_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("khien.collect.syslog_tcp._SWEEP_SECONDS", 0.05)
    memory = Memory()
    async with listening(memory, "tcp", limits=replace(LIMITS, message_seconds=0.3, idle_seconds=1.0)) as listener:
        slow = await send(listener.ports[0], b"<13>sl", close=False)
        steady = await send(listener.ports[0], b"<13>ok\n", close=False)
        for _ in range(20):
            with contextlib.suppress(RuntimeError):  # uvloop's word for a closed connection
                slow.write(b"o")
            steady.write(b"<13>ok\n")
            await asyncio.sleep(0.03)
        await until(lambda: listener.figures.streams.closed["a message took too long"] == 1)
        assert listener.figures.streams.open == 1
        await until(lambda: listener.figures.streams.closed["idle"] == 1)
        steady.close()
        slow.close()
    assert memory.lines().count(b"<13>ok") == 21
    assert any(line.startswith(b"<13>slo") for line in memory.lines())


@in_loop
async def test_connections_are_limited_by_address_and_served_ones_stay() -> None:
    memory = Memory()
    limits = replace(LIMITS, connections_per_address=500, connections=1000)
    async with listening(memory, "tcp", limits=limits) as listener:
        served = await send(listener.ports[0], b"<13>first\n", close=False)
        writers = [await send(listener.ports[0], b"<13>f", close=False) for _ in range(2000)]
        await until(lambda: listener.figures.streams.refused["too many connections of one address"] == 1501)
        served.write(b"<13>second\n")
        await until(lambda: b"<13>second" in memory.lines())
        for writer in (served, *writers):
            writer.close()
        await until(lambda: listener.figures.streams.open == 0)


@in_loop
async def test_unfinished_messages_share_a_bounded_memory() -> None:
    memory = Memory()
    async with listening(memory, "tcp", limits=replace(LIMITS, held_bytes=1 << 20)) as listener:
        small = await send(listener.ports[0], b"<13>small", close=False)
        writers = [await send(listener.ports[0], b"<13>" + b"x" * 200_000, close=False) for _ in range(10)]
        await until(lambda: listener.figures.streams.closed["unfinished messages take too much memory"] >= 5)
        small.write(b" one\n")
        await until(lambda: b"<13>small one" in memory.lines())
        for writer in (small, *writers):
            writer.close()


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


def server_context(authority: trustme.CA, folder: Path, require: bool) -> ssl.SSLContext:
    certificate = authority.issue_cert("localhost", HOST)
    certificate.private_key_and_cert_chain_pem.write_to_path(folder / "server.pem")
    authority.cert_pem.write_to_path(folder / "ca.pem")
    return tls_context(folder / "server.pem", client_ca=folder / "ca.pem", require_client=require)


def client_context(authority: trustme.CA, name: str = "") -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    if name:
        authority.issue_cert(name).configure_cert(context)
    return context


@in_loop
async def test_the_certificate_names_the_source(authority: trustme.CA, tmp_path: Path) -> None:
    memory = Memory()
    context = server_context(authority, tmp_path, require=False)
    async with listening(memory, "tls", tls=context) as listener:
        port = listener.ports[0]
        await send(
            port, b"7 <13>one", ssl=client_context(authority, "web01.agency.example"), server_hostname="localhost"
        )
        await send(port, b"<13>two\n", ssl=client_context(authority), server_hostname="localhost")
        await until(lambda: len(memory.lines()) == 2)
    assert {parcel.source: parcel.data for parcel in memory.parcels} == {
        "web01.agency.example": b"<13>one\n",
        "office": b"<13>two\n",
    }


@in_loop
async def test_a_wrong_or_missing_client_certificate_is_refused(authority: trustme.CA, tmp_path: Path) -> None:
    memory = Memory()
    context = server_context(authority, tmp_path, require=True)
    stranger = trustme.CA()
    async with listening(memory, "tls", tls=context, limits=replace(LIMITS, handshake_seconds=0.5)) as listener:
        port = listener.ports[0]
        wrong = client_context(authority)
        stranger.issue_cert("web01.agency.example").configure_cert(wrong)
        for bad in (wrong, client_context(authority)):
            with contextlib.suppress(OSError):
                await send(port, b"<13>bad\n", ssl=bad, server_hostname="localhost")
        plain = await send(port, b"<13>plain text\n", close=False)
        silent = await send(port, b"", close=False)
        await until(lambda: sum(listener.figures.streams.refused.values()) == 4)
        await send(port, b"<13>good\n", ssl=client_context(authority, "a.example"), server_hostname="localhost")
        await until(lambda: memory.lines() == [b"<13>good"])
        plain.close()
        silent.close()
        await until(lambda: listener.figures.streams.open == 0)


@in_loop
async def test_much_over_tls_with_a_full_spool_in_between_arrives_whole(authority: trustme.CA, tmp_path: Path) -> None:
    memory = Memory()
    memory.full = True
    limits = replace(LIMITS, waiting_bytes=1 << 20, parcel_bytes=64 << 10)
    data = b"".join(b"<13>message number %d\n" % number for number in range(300_000))
    async with listening(memory, "tls", tls=server_context(authority, tmp_path, False), limits=limits) as listener:
        _, writer = await asyncio.open_connection(
            HOST, listener.ports[0], ssl=client_context(authority), server_hostname="localhost"
        )
        writer.write(data)
        await until(lambda: listener.figures.streams.pauses)
        await asyncio.sleep(0.2)
        memory.full = False
        await writer.drain()
        writer.close()
        await until(lambda: count(listener) == 300_000)
    assert b"".join(parcel.data for parcel in memory.parcels) == data


@in_loop
async def test_a_tls_hello_on_a_plain_port_is_told(authority: trustme.CA) -> None:
    memory = Memory()
    async with listening(memory, "tcp") as listener:
        with pytest.raises((ConnectionError, ssl.SSLError)):
            await send(listener.ports[0], b"", ssl=client_context(authority), server_hostname="localhost")
        assert listener.figures.streams.closed == {"a TLS handshake on a port without TLS": 1}
    assert not memory.parcels


@in_loop
async def test_a_port_in_use_and_a_bad_certificate_are_told_plainly(tmp_path: Path) -> None:
    with socket.create_server((HOST, 0)) as taken:
        port = taken.getsockname()[1]
        listener = SyslogListener(Memory(), everyone, [Endpoint("udp", HOST), Endpoint("tcp", HOST, port)])
        with pytest.raises(PortError, match=str(port)):
            await listener.start()
    with pytest.raises(CertificateError, match="cannot be used"):
        tls_context(tmp_path / "none.pem")
    with pytest.raises(CertificateError):
        SyslogListener(Memory(), everyone, [Endpoint("tls", HOST)])


@in_loop
async def test_connections_and_lines_are_limited_by_source() -> None:
    memory = Memory()
    resolve = lambda peer: Origin("small", format="cef", max_line=20, connections=2)  # noqa: E731
    async with listening(memory, "tcp", "udp", resolve=resolve) as listener:
        writers = [await send(listener.ports[0], b"<13>" + b"x" * 50 + b"\n", close=False) for _ in range(2)]
        writers.append(await send(listener.ports[0], b"<13>third\n", close=False))
        await until(lambda: listener.figures.streams.refused["too many connections of one source"] == 1)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"<13>" + b"y" * 50, (HOST, listener.ports[1]))
        await until(lambda: count(listener, "small") == 3)
        for writer in writers:
            writer.close()
    assert sorted(memory.lines()) == [b"<13>" + b"x" * 16, b"<13>" + b"x" * 16, b"<13>" + b"y" * 16]
    assert {parcel.format for parcel in memory.parcels} == {"cef"}


@in_loop
async def test_hostile_connections_do_not_slow_the_served_ones() -> None:
    memory = Memory()
    limits = replace(LIMITS, connections_per_address=1000)
    message = b"<13>" + b"x" * 200 + b"\n"
    async with listening(memory, "tcp", limits=limits) as listener:
        hostile = [await send(listener.ports[0], b"<", close=False) for _ in range(500)]
        hostile += [await send(listener.ports[0], b"99999 <", close=False) for _ in range(100)]

        async def drip() -> None:
            while True:
                for writer in hostile:
                    writer.write(b"1")
                await asyncio.sleep(0.01)

        dripping = asyncio.create_task(drip())
        begun = asyncio.get_running_loop().time()
        await send(listener.ports[0], message * 60_000)
        await until(lambda: count(listener) == 60_000)
        assert asyncio.get_running_loop().time() - begun < 2.0, "less than 30,000 messages/s, senders in the same loop"
        dripping.cancel()
        for writer in hostile:
            writer.close()
