from __future__ import annotations

import http.server
import io
import ssl
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from khien.rules.sync import SyncError, sync

RULE = "title: r{n}\nlogsource: {{product: windows}}\ndetection: {{s: {{a: b{n}}}, condition: s}}\n"


def archive(count: int = 5, extra: dict[str, str] | None = None) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as target:
        for n in range(count):
            target.writestr(f"rules/windows/r{n}.yml", RULE.format(n=n))
        for name, text in (extra or {}).items():
            target.writestr(name, text)
    return out.getvalue()


class Server:
    """A real HTTPS server with an invented authority's certificate."""

    def __init__(self) -> None:
        self.body = archive()
        self.status = 200
        self.etag = '"one"'
        self.cut = False
        self.asked = 0
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked += 1
                if outer.status == 302:
                    self.send_response(302)
                    self.send_header("Location", "http://127.0.0.1:1/x.zip")
                    self.end_headers()
                    return
                if outer.status == 200 and self.headers.get("If-None-Match") == outer.etag:
                    self.send_response(304)
                    self.end_headers()
                    return
                self.send_response(outer.status)
                self.send_header("ETag", outer.etag)
                self.send_header("Content-Length", str(len(outer.body)))
                self.end_headers()
                self.wfile.write(outer.body[: len(outer.body) // 2] if outer.cut else outer.body)

            def log_message(self, format: str, *args: object) -> None:
                pass

        authority = trustme.CA()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(context)
        self.trust = ssl.create_default_context()
        authority.configure_trust(self.trust)
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.url = f"https://127.0.0.1:{self.server.server_address[1]}/sigma.zip"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.server.shutdown()
    made.server.server_close()


def run(server: Server, folder: Path, sha256: str | None = None) -> tuple[bool, int]:
    result = sync(server.url, folder, sha256, server.trust, timeout=10, least_rules=3)
    return result.changed, result.rules


def test_a_release_is_fetched_once_and_replaced_by_the_next(server: Server, tmp_path: Path) -> None:
    assert run(server, tmp_path) == (True, 5)
    assert len(list((tmp_path / "current" / "rules").rglob("*.yml"))) == 5
    assert run(server, tmp_path) == (False, 5)
    server.body, server.etag = archive(7), '"two"'
    assert run(server, tmp_path) == (True, 7)
    assert len(list((tmp_path / "current" / "rules").rglob("*.yml"))) == 7


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"status": 503}, "answers 503"),
        ({"status": 302}, "without HTTPS"),
        ({"cut": True}, "broke off"),
        ({"body": b"not a zip"}, "damaged"),
        ({"body": archive()[:-200]}, "damaged"),
        ({"body": archive(1)}, "only 1 of 1"),
        ({"body": archive(5, {"../../evil.yml": RULE})}, "path '../../evil.yml'"),
        ({"body": archive(5, {f"x{n}.yml": "a: 1" for n in range(9)})}, "are Sigma rules"),
    ],
)
def test_what_is_wrong_is_said_and_the_last_good_release_stays(
    server: Server, tmp_path: Path, change: dict[str, object], says: str
) -> None:
    run(server, tmp_path)
    server.etag = '"new"'
    for name, value in change.items():
        setattr(server, name, value)
    with pytest.raises(SyncError) as caught:
        run(server, tmp_path)
    assert says in str(caught.value)
    assert len(list((tmp_path / "current" / "rules").rglob("*.yml"))) == 5
    assert not list(tmp_path.glob(".part-*"))
    assert not (tmp_path.parent / "evil.yml").exists()


def test_a_wrong_hash_an_unknown_authority_and_plain_http_are_refused(server: Server, tmp_path: Path) -> None:
    with pytest.raises(SyncError, match="SHA-256"):
        run(server, tmp_path, "0" * 64)
    with pytest.raises(SyncError, match="cannot be fetched"):
        sync(server.url, tmp_path, timeout=10)
    with pytest.raises(SyncError, match="HTTPS only"):
        sync(server.url.replace("https", "http"), tmp_path)
    assert not (tmp_path / "current").exists()
