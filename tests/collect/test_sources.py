"""The sources file: what is valid, what errors say, and how it is reloaded."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from khien.collect.keys import new_key
from khien.collect.settings import Address, within
from khien.collect.sources import SourcesError, load_sources, parse_sources, watch

HASH = new_key("web").hashed

WHOLE = f"""
[listen]
http = ["0.0.0.0:9200", "[::1]:4318"]
syslog_udp = ":514"

[limits]
request = 1_000_000
idle_seconds = 60

[[source]]
id = "web"
kind = "http"
format = "json"
unit = "so-y-te"
system = "portal"
key = ["{HASH}", "{HASH}"]
events_per_second = 5000
networks = ["10.0.0.0/8", "2001:db8::1"]

[[source]]
id = "gates"
kind = "syslog"
senders = ["10.1.0.0/16"]
certificates = ["gate*.example.vn"]

[[source]]
id = "local"
kind = "file"
paths = ["/var/log/*.log"]
silent_after = 0
"""


def test_a_whole_file(tmp_path: Path) -> None:
    file = tmp_path / "sources.toml"
    file.write_text(WHOLE)
    config = load_sources(file)
    assert config.listen.http == (Address("0.0.0.0", 9200), Address("::1", 4318))
    assert config.listen.syslog_udp == (Address("", 514),)
    assert config.limits.request == 1_000_000
    web, gates, local = config.sources
    assert (web.unit, web.events_per_second, len(web.keys)) == ("so-y-te", 5000, 2)
    assert web.allows("10.2.3.4")
    assert web.allows("::ffff:10.2.3.4")
    assert not web.allows("11.2.3.4")
    assert within("10.1.2.3", gates.senders)
    assert local.paths == ("/var/log/*.log",)
    assert (local.silent_after, web.silent_after) == (0, 15)
    assert config.of_kind("syslog", "file") == (gates, local)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[listen\n", "sources.toml: this is not TOML"),
        ("surprise = 1\n", "sources.toml, line 1: surprise is not known"),
        ("\n[surprise]\n", "sources.toml, line 2, [surprise]: [surprise] is not known"),
        ("[listen]\nhttp = 'nowhere'\n", "line 2, [listen]: http holds 'nowhere', which is no address"),
        ("[listen]\nhttps = ':443'\n", "line 2, [listen]: https needs a certificate"),
        ("[listen]\nhttps=':443'\n[listen.tls]\ncertificate='gone.pem'\n", "line 4, [listen.tls]: certificate names"),
        ("[limits]\n\nrequest = '1 MB'\n", "line 3, [limits]: request must be a whole number"),
        (
            "[[source]]\nid='a'\nkind='smoke'\n",
            "line 3, [[source]] number 1: kind 'smoke' is not known. Use one of 'http'",
        ),
        ("[[source]]\nid='a b'\n", "line 2, [[source]] number 1: id 'a b' is not an id"),
        ("[[source]]\nkind='http'\n", "line 1, [[source]] number 1: id is missing"),
        ("[[source]]\nid='a'\nkind='http'\n", "key is missing. Make a key"),
        (
            "[[source]]\nid='a'\nkind='http'\nkey='secret'\n",
            "line 4, [[source]] number 1: key is not the hash of a key",
        ),
        ("[[source]]\nid='a'\nkind='file'\n", "paths is missing"),
        ("[[source]]\nid='a'\nkind='file'\nsilent_after=-1\n", "silent_after must be a whole number from 0 to 525600"),
        ("[[source]]\nid='a'\nkind='syslog'\n", "senders is missing"),
        ("[[source]]\nid='a'\nkind='syslog'\nsenders=['10.0.0.1/8']\n", "senders holds '10.0.0.1/8'"),
        (
            f"[[source]]\nid='a'\nkind='http'\nkey='{HASH}'\npaths=['/x']\n",
            "paths means nothing for a source of kind 'http'",
        ),
        (f"[[source]]\nid='a'\nkind='http'\nkey='{HASH}'\nformat='soup'\n", "format 'soup' is not known"),
        (
            f"[[source]]\nid='a'\nkind='http'\nkey='{HASH}'\ncolour=1\n",
            "line 5, [[source]] number 1: colour is not known",
        ),
        (
            f"[[source]]\nid='a'\nkind='http'\nkey='{HASH}'\n\n[[source]] # two\nid = 'a'\nkind='http'\nkey='{HASH}'\n",
            "line 7, [[source]] number 2: id 'a' is used twice",
        ),
    ],
)
def test_errors_name_file_line_table_key_and_remedy(tmp_path: Path, text: str, expected: str) -> None:
    with pytest.raises(SourcesError) as raised:
        parse_sources(text.encode(), tmp_path / "sources.toml")
    assert expected in str(raised.value)
    assert "sources.toml" in raised.value.where
    assert HASH not in str(raised.value)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(SourcesError, match="cannot be read"):
        load_sources(tmp_path / "none.toml")


def test_changes_are_taken_up_and_invalid_ones_reported_once(tmp_path: Path) -> None:
    file = tmp_path / "sources.toml"
    file.write_text(WHOLE)
    errors: list[SourcesError] = []

    async def run() -> None:
        configs = watch(file, errors.append, every=0.01)
        assert len((await anext(configs)).sources) == 3
        file.write_text("[[source]]\nid = 1\n")
        waiting = asyncio.ensure_future(anext(configs))
        await asyncio.sleep(0.1)
        assert not waiting.done()
        assert len(errors) == 1
        file.unlink()
        await asyncio.sleep(0.1)
        assert len(errors) == 2
        file.write_text(WHOLE.replace('"portal"', '"other"'))
        assert (await asyncio.wait_for(waiting, 5)).sources[0].system == "other"

    asyncio.run(run())
