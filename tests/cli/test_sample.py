"""The sample: it holds nothing real, it comes out the same, and `make run` shows what a hunt is."""

from __future__ import annotations

import gzip
import ipaddress
import re
import subprocess
import sys
from pathlib import Path

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


def test_the_run_prints_the_summary_and_where_the_report_is(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, SAMPLES / "run_sample.py"], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert re.search(r"found +\d+ findings: \d+ critical", done.stdout)
    report = Path(done.stdout.strip().splitlines()[-1].partition(": ")[2])
    assert report.is_file()
    assert report.read_text(encoding="utf-8").startswith("<!doctype html>")
