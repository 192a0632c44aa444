"""The sample: it holds nothing real, it comes out the same, and `make run` starts the whole product on it."""

from __future__ import annotations

import gzip
import http.cookiejar
import ipaddress
import os
import re
import signal
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from console_databases import OwnDatabase

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = ROOT / "samples"
INVENTED = [
    ipaddress.ip_network(each)
    for each in ("10.0.0.0/8", "127.0.0.0/8", "192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24")
]


def recording(folder: Path) -> dict[str, bytes]:
    return {
        path.name: gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        for path in sorted(folder.iterdir())
    }


def test_addresses_and_domains_are_those_reserved_for_examples() -> None:
    for name, data in recording(SAMPLES / "province-day").items():
        text = data.decode()
        for address in set(re.findall(r"(?<![\d.v])\d{1,3}(?:\.\d{1,3}){3}(?![\d.])", text)):
            assert any(ipaddress.ip_address(address) in each for each in INVENTED), (name, address)
        for domain in set(re.findall(r"[a-z0-9-]+\.[a-z0-9.-]*(?:vn|com|net|org)\b", text)):
            assert not domain.endswith((".vn", ".com", ".org")), (name, domain)
    said = (SAMPLES / "README.md").read_text().lower()
    assert "nothing in it is real" in said
    assert "invented" in said


def test_the_recording_comes_out_the_same_each_time(tmp_path: Path) -> None:
    subprocess.run([sys.executable, SAMPLES / "make_recording.py", tmp_path], check=True)
    assert recording(tmp_path) == recording(SAMPLES / "province-day")


class Visitor:
    """A browser without scripts: cookies, and forms with their token."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))

    def get(self, path: str) -> str:
        with self._opener.open(self._address + path, timeout=30) as answer:
            return str(answer.read().decode())

    def post(self, path: str, **fields: str) -> str:
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', self.get(path))
        assert token
        body = urllib.parse.urlencode({"csrfmiddlewaretoken": token[1], **fields}).encode()
        with self._opener.open(urllib.request.Request(self._address + path, body), timeout=30) as answer:
            return str(answer.read().decode())


@pytest.mark.slow
def test_the_run_starts_everything_and_alerts_appear_while_one_watches(
    tmp_path: Path, own_database: OwnDatabase
) -> None:
    command = [sys.executable, SAMPLES / "run_product.py", "--folder", tmp_path, "--port", "8391", "--speed", "300"]
    with (tmp_path / "printed").open("w+") as printed:
        plain = {name: value for name, value in os.environ.items() if not name.startswith(("DJANGO_", "KHIEN_"))}
        environment = {**plain, **own_database.environment}
        run = subprocess.Popen(command, stdout=printed, stderr=subprocess.STDOUT, env=environment)
        try:
            text = _until(lambda: (tmp_path / "printed").read_text(), "Ctrl-C stops it all", run, 240)
            address = re.search(r"http://localhost:\d+", text)
            password = re.search(r"with the password (\S+)", text)
            assert address
            assert password
            visitor = Visitor(address[0])
            visitor.post("/account/login/", login="truc.so-y-te@tinh-mau.example", password=password[1])
            page = _until(lambda: visitor.get("/alerts/"), "so-y-te-pc04", run, 120)
            assert 'lang="vi"' in page
        finally:
            run.send_signal(signal.SIGINT)
            assert run.wait(60) == 0
    for child in ("live.log", "console.log"):
        assert "Traceback" not in (tmp_path / child).read_text()


def _until(read: Callable[[], str], wanted: str, run: subprocess.Popen[bytes], seconds: float) -> str:
    deadline = time.monotonic() + seconds
    while wanted not in (text := read()):
        assert run.poll() is None, text
        assert time.monotonic() < deadline, text[-3000:]
        time.sleep(0.5)
    return text
