"""The HTTP collector's listeners: TLS, client certificates, new configurations while it runs."""

from __future__ import annotations

import asyncio
import http.client
import ssl
from dataclasses import replace
from pathlib import Path

import pytest
import trustme

from collect.serving import Served, serving
from khien.collect.counters import Counters
from khien.collect.http_server import HttpCollector, ListenError
from khien.collect.keys import new_key
from khien.collect.settings import Address, Config, Listen, Tls
from khien.collect.spool import Spool


def certify(authority: trustme.CA, folder: Path, name: str = "127.0.0.1") -> Tls:
    made = authority.issue_cert(name)
    folder.mkdir(exist_ok=True)
    (folder / "cert.pem").write_bytes(b"".join(part.bytes() for part in made.cert_chain_pems))
    made.private_key_pem.write_to_path(folder / "key.pem")
    authority.cert_pem.write_to_path(folder / "ca.pem")
    return Tls(folder / "cert.pem", folder / "key.pem")


def post(served: Served, trust: ssl.SSLContext) -> int:
    connection = http.client.HTTPSConnection("127.0.0.1", served.port, context=trust, timeout=10)
    try:
        connection.request("POST", "/v1/ingest", b'{"a":1}', {"Authorization": f"Bearer {served.key.encoded}"})
        return connection.getresponse().status
    finally:
        connection.close()


def test_over_tls(tmp_path: Path) -> None:
    tls = certify(trustme.CA(), tmp_path / "tls")
    trust = ssl.create_default_context(cafile=str(tmp_path / "tls" / "ca.pem"))
    with serving(tmp_path / "spool", tls=tls) as served:
        assert post(served, trust) == 200
        with pytest.raises(ssl.SSLError):
            post(served, ssl.create_default_context())
        assert served.lines() == [b'{"a":1}']


def test_with_a_client_ca_every_sender_shows_a_certificate_of_it(tmp_path: Path) -> None:
    authority = trustme.CA()
    tls = replace(certify(authority, tmp_path / "tls"), client_ca=tmp_path / "tls" / "ca.pem")
    certify(authority, tmp_path / "agent", "agent")
    certify(trustme.CA(), tmp_path / "stranger", "stranger")
    with serving(tmp_path / "spool", tls=tls) as served:
        for name, welcome in (("", False), ("stranger", False), ("agent", True)):
            trust = ssl.create_default_context(cafile=str(tmp_path / "tls" / "ca.pem"))
            if name:
                trust.load_cert_chain(tmp_path / name / "cert.pem", tmp_path / name / "key.pem")
            if welcome:
                assert post(served, trust) == 200
            else:
                with pytest.raises((OSError, http.client.HTTPException)):
                    post(served, trust)
        assert len(served.lines()) == 1


def test_a_new_certificate_is_used_for_new_connections_and_a_bad_one_is_not(tmp_path: Path) -> None:
    first, second = trustme.CA(), trustme.CA()
    tls = certify(first, tmp_path / "tls")
    with serving(tmp_path / "spool", tls=tls) as served:
        (tmp_path / "tls" / "bad.pem").write_text("nothing")
        bad = replace(
            served.config,
            listen=replace(served.config.listen, tls=replace(tls, certificate=tmp_path / "tls" / "bad.pem")),
        )
        with pytest.raises(ListenError, match="certificate cannot be used"):
            served.collector.configure(bad)
        assert post(served, ssl.create_default_context(cafile=str(tmp_path / "tls" / "ca.pem"))) == 200
        certify(second, tmp_path / "tls")
        served.collector.configure(served.config)
        assert post(served, ssl.create_default_context(cafile=str(tmp_path / "tls" / "ca.pem"))) == 200


def test_keys_change_while_it_runs(tmp_path: Path) -> None:
    with serving(tmp_path) as served:
        (source,) = served.config.sources
        new = new_key("web")
        both = replace(source, keys=(*source.keys, new.hashed))
        served.loop.call_soon_threadsafe(served.collector.configure, replace(served.config, sources=(both,)))
        assert served.send("/v1/ingest", b"{}", key=new)[0] == 200
        assert served.send("/v1/ingest", b"{}")[0] == 200
        only_new = replace(source, keys=(new.hashed,))
        served.loop.call_soon_threadsafe(served.collector.configure, replace(served.config, sources=(only_new,)))
        assert served.send("/v1/ingest", b"{}", key=new)[0] == 200
        assert served.send("/v1/ingest", b"{}")[0] == 401


def test_an_address_in_use_is_told_and_nothing_stays_open(tmp_path: Path) -> None:
    with serving(tmp_path / "first") as served:
        taken = Config(Listen(http=(Address("127.0.0.1", 0), Address("127.0.0.1", served.port))))

        async def run() -> None:
            spool = Spool(tmp_path / "second")
            collector = HttpCollector(spool, taken, Counters(spool))
            with pytest.raises(ListenError, match=r"cannot listen.*another"):
                await collector.start()
            assert collector.addresses == []
            await spool.close()

        asyncio.run(run())
