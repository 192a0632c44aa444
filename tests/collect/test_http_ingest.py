"""POST /v1/ingest: JSON lines, arrays and text, compressed or not, kept before the answer."""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
import time
import zlib
from pathlib import Path

import pytest
import zstandard

from collect.serving import serving
from khien.collect.settings import Limits

needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")


def test_lines_are_in_the_spool_when_the_answer_comes(tmp_path: Path) -> None:
    with serving(tmp_path) as served:
        status, _, body = served.send("/v1/ingest", b'{"a":1}\n{"a":2}')
        assert (status, json.loads(body)) == (200, {"accepted": 2, "malformed": 0})
        (parcel,) = served.parcels()
        assert (parcel.source, parcel.format, parcel.count, parcel.data) == ("web", "json", 2, b'{"a":1}\n{"a":2}\n')
        assert abs(parcel.received / 1e6 - time.time()) < 5


@pytest.mark.parametrize(
    ("body", "lines"),
    [
        (b'[{"a":1},\n {"b":"x"}]', [b'{"a":1}', b'{"b":"x"}']),
        (b'{\n  "a": 1\n}\n', [b'{"a":1}']),
        (b'\xef\xbb\xbf{"a":1}\r\n\r\n{"a":2}\r\n', [b'{"a":1}', b'{"a":2}']),
        (b'{"a":1}\nnonsense\n', [b'{"a":1}', b"nonsense"]),
        (b"Oct 11 22:14:15 host su: failed\n", [b"Oct 11 22:14:15 host su: failed"]),
    ],
)
def test_every_shape_becomes_an_event_a_line(tmp_path: Path, body: bytes, lines: list[bytes]) -> None:
    with serving(tmp_path) as served:
        assert served.send("/v1/ingest", body)[0] == 200
        assert served.lines() == lines


def test_a_source_with_a_text_format_sends_its_lines_as_they_are(tmp_path: Path) -> None:
    with serving(tmp_path, web={"format": "auditd"}) as served:
        assert served.send("/v1/ingest", b"type=SYSCALL msg=audit(1.1:1):\n{x\n")[0] == 200
        (parcel,) = served.parcels()
        assert (parcel.format, parcel.count) == ("auditd", 2)


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [
        ("gzip", gzip.compress),
        ("gzip", lambda body: gzip.compress(body[:9]) + gzip.compress(body[9:]) + b"\0\0"),
        ("deflate", zlib.compress),
        ("zstd", zstandard.compress),
        ("zstd", lambda body: zstandard.ZstdCompressor(write_content_size=False).compress(body)),
        ("zstd", lambda body: zstandard.compress(body[:9]) + zstandard.compress(body[9:])),
    ],
)
def test_compressed_bodies_are_taken(tmp_path: Path, encoding: str, pack) -> None:
    body = b'{"event":"%s"}\n' % (b"x" * 50_000) * 40
    with serving(tmp_path) as served:
        assert served.send("/v1/ingest", pack(body), {"Content-Encoding": encoding})[0] == 200
        assert b"".join(parcel.data for parcel in served.parcels()) == body


def test_what_cannot_be_inflated_is_refused(tmp_path: Path) -> None:
    whole = gzip.compress(b'{"a":1}\n' * 1000)
    packed = zstandard.compress(b'{"a":1}\n' * 1000)
    with serving(tmp_path) as served:
        for body, encoding, expected in [
            (whole[:-9], "gzip", 400),
            (b"no gzip", "gzip", 400),
            (packed[:-3], "zstd", 400),
            (b"no zstd", "zstd", 400),
            (b"{}", "br", 415),
        ]:
            assert served.send("/v1/ingest", body, {"Content-Encoding": encoding})[0] == expected
        assert served.parcels() == []


def test_bombs_are_refused_without_being_inflated(tmp_path: Path) -> None:
    limits = Limits(inflated=1 << 20)
    squeeze = zstandard.ZstdCompressor(write_content_size=False)
    with serving(tmp_path, limits=limits) as served:
        for body, encoding in [
            (gzip.compress(b" " * (200 << 20), 9), "gzip"),
            (squeeze.compress(b" " * (200 << 20)), "zstd"),
            (zstandard.compress(b" " * (200 << 20)), "zstd"),
        ]:
            status, _, answer = served.send("/v1/ingest", body, {"Content-Encoding": encoding})
            assert status == 413
            assert b"decompressed" in answer
        assert served.send("/v1/ingest", gzip.compress(b"") * 5000, {"Content-Encoding": "gzip"})[0] == 400
        assert served.counters.of("web").rejected["size"] == 3


@pytest.mark.parametrize("body", [b"", b"\n\n", b"[]", b'[{"a":1}', b'[1, "x"'])
def test_a_body_without_events_is_refused(tmp_path: Path, body: bytes) -> None:
    with serving(tmp_path, web={"format": "json"}) as served:
        status, _, answer = served.send("/v1/ingest", body)
        assert status == 400
        assert "error" in json.loads(answer)
        assert served.parcels() == []


def test_an_event_that_is_too_long_is_refused(tmp_path: Path) -> None:
    with serving(tmp_path, web={"max_line": 1000}) as served:
        assert served.send("/v1/ingest", b'{"a":"%s"}\n' % (b"x" * 2000))[0] == 413


@needs_curl
def test_curl_sends_lines_arrays_and_gzip(tmp_path: Path) -> None:
    lines = tmp_path / "events.ndjson"
    lines.write_bytes(b'{"n":1}\n{"n":2}\n')
    (tmp_path / "events.gz").write_bytes(gzip.compress(lines.read_bytes()))
    large = tmp_path / "large.ndjson"
    large.write_bytes(b'{"n":%d}\n' % 7 * 300_000)
    with serving(tmp_path / "spool") as served:

        def curl(*options: str) -> str:
            command = ["curl", "-sS", "-w", " %{http_code}", f"{served.url}/v1/ingest", *options]
            return subprocess.run(command, capture_output=True, text=True, check=True).stdout

        bearer = ("-H", f"Authorization: Bearer {served.key.encoded}")
        basic = ("-u", f"web:{served.key.secret}")
        assert curl(*bearer, "--data-binary", f"@{lines}").endswith(" 200")
        assert curl(*basic, "-H", "Content-Type: application/json", "-d", '[{"n":3}]').endswith(" 200")
        assert curl(*bearer, "-H", "Content-Encoding: gzip", "--data-binary", f"@{tmp_path / 'events.gz'}").endswith(
            " 200"
        )
        assert curl(*bearer, "-H", "Transfer-Encoding: chunked", "-T", str(large)).endswith(" 200")
        assert curl(*bearer, "-H", "Expect: 100-continue", "--data-binary", f"@{large}").endswith(" 200")
        assert curl("-u", "web:wrong", "--data-binary", f"@{lines}").endswith(" 401")
        assert len(served.lines()) == 2 + 1 + 2 + 600_000
