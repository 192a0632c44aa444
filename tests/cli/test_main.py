"""The command as a whole: help, version, errors."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path

from cli.runs import KHIEN, at_terminal, khien
from khien import __version__

EVENT = {"EventID": 1102, "Channel": "Security", "Computer": "may-01", "TimeCreated": "2026-03-02T01:02:03Z"}


def test_version_and_help() -> None:
    assert khien("--version").stdout.decode().strip() == f"khien {__version__}"
    for command in ((), ("hunt",), ("explain",), ("rules",), ("rules", "sync")):
        done = khien(*command, "--help")
        assert done.returncode == 0
        assert b"Usage" in done.stdout


def test_a_full_disk_is_said_in_one_line() -> None:
    events = (json.dumps(EVENT).encode() + b"\n") * 100
    done = khien("hunt", "-", "--format", "ndjson", "--output", "/dev/full", stdin=events)
    assert done.returncode == 1
    assert done.stderr.decode().splitlines()[-1] == "khien: stopped: No space left on device"
    assert b"Traceback" not in done.stderr


def test_an_output_that_cannot_be_written_is_wrong_usage(tmp_path: Path) -> None:
    done = khien("hunt", "-", "--output", tmp_path / "none" / "x.html", stdin=b"")
    assert done.returncode == 2
    assert b"the output cannot be written" in done.stderr


def test_an_interrupted_hunt_leaves_no_half_output(tmp_path: Path) -> None:
    output = tmp_path / "report.html"
    output.write_text("the last good report")
    process = subprocess.Popen(
        [KHIEN, "hunt", "-", "--format", "html", "--output", str(output)],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert process.stdin
    process.stdin.write(json.dumps(EVENT).encode() + b"\n")
    process.stdin.flush()
    time.sleep(2)  # it waits for more events
    process.send_signal(signal.SIGINT)
    process.stdin.close()
    assert process.stderr
    said = process.stderr.read()
    assert process.wait(timeout=30) == 130
    assert said.decode().splitlines()[-1] == "khien: stopped"
    assert b"Traceback" not in said
    assert [each.name for each in tmp_path.iterdir()] == ["report.html"]
    assert output.read_text() == "the last good report"


def test_a_page_is_not_written_to_a_terminal() -> None:
    code, said = at_terminal("hunt", "samples", "--format", "html")
    assert code == 2
    assert "--output report.html" in said


def test_a_reader_that_goes_away_early_is_no_error_to_talk_about(tmp_path: Path) -> None:
    log = tmp_path / "log.json"
    log.write_bytes((json.dumps(EVENT).encode() + b"\n") * 20_000)
    done = subprocess.run(
        ["bash", "-c", f"{KHIEN} hunt {log} --format ndjson | head -1 > /dev/null"], capture_output=True, check=False
    )
    assert b"Traceback" not in done.stderr
