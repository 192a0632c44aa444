"""Processes that die are started again, those that hang are ended, and clocks that are set deceive nobody."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from khien.flow.process import Units, decode, encode
from khien.flow.settings import FlowSettings
from khien.flow.status import ProcessStatus, Reporter
from khien.flow.supervising import Child, Supervisor


@pytest.fixture
def supervisor(tmp_path: Path) -> Supervisor:
    """A supervisor of one small process: a collector without sources, which gives no signs."""
    made = Supervisor(FlowSettings(folder=tmp_path, rules=()), [Child("collect", 0)], hangs_after=600)
    yield made
    for child in made.children:
        if child.process is not None:
            child.process.kill()
            child.process.wait()


def until(supervisor: Supervisor, holds: Callable[[], bool], wait: float = 20.0) -> None:
    deadline = time.monotonic() + wait
    while not holds():
        assert time.monotonic() < deadline
        supervisor.look()
        time.sleep(0.02)


def test_a_process_that_dies_is_started_again(supervisor: Supervisor) -> None:
    (child,) = supervisor.children
    supervisor.look()
    assert child.process is not None
    first = child.process.pid
    child.process.kill()
    until(supervisor, lambda: child.process is not None and child.process.pid != first)
    assert child.restarts == 1


def test_a_process_that_gives_no_sign_is_ended_and_started_again(supervisor: Supervisor) -> None:
    supervisor.hangs_after = 0.3
    until(supervisor, lambda: supervisor.children[0].restarts == 1)


def test_a_clock_that_is_set_does_not_make_a_living_process_hang(supervisor: Supervisor, tmp_path: Path) -> None:
    supervisor.hangs_after = 1.0
    (child,) = supervisor.children
    supervisor.look()
    assert child.process is not None
    (tmp_path / "status").mkdir()
    year = 365 * 86_400 * 1_000_000
    ends = time.monotonic() + 3
    step = 0
    while time.monotonic() < ends:
        step += 1
        at = time.time_ns() // 1000 + (year if step % 2 else -year) + step
        status = ProcessStatus("collect", child.process.pid, at, at)
        (tmp_path / "status" / "collect.json").write_bytes(msgspec.json.encode(status))
        supervisor.look()
        time.sleep(0.1)
    assert child.restarts == 0
    assert child.process.poll() is None


def test_lanes_given_up_are_not_missed(tmp_path: Path) -> None:
    for name in ("detect-00", "detect-01", "store-01"):
        Reporter(tmp_path / "status", name).tick(force=True)
    made = Supervisor(FlowSettings(folder=tmp_path, rules=(tmp_path,)))
    made.start()
    try:
        assert not {"detect-01", "store-01"} & {path.stem for path in (tmp_path / "status").iterdir()}
        assert (tmp_path / "status" / "detect-00.json").exists()
    finally:
        made.stop(patience=0.0)


def test_stopping_ends_what_does_not_end_by_itself(supervisor: Supervisor) -> None:
    (child,) = supervisor.children
    supervisor.look()
    assert child.process is not None
    process = child.process
    process.send_signal(signal.SIGSTOP)
    supervisor.stop(patience=0.5)
    assert process.returncode in (-signal.SIGKILL, -signal.SIGTERM)


def test_a_new_source_has_its_unit_from_its_first_parcel_on(tmp_path: Path) -> None:
    file = tmp_path / "sources.toml"
    entry = '[[source]]\nid = "{0}"\nkind = "file"\nunit = "Unit of {0}"\npaths = ["/x"]\n'
    file.write_text(entry.format("a"))
    units = Units(file)
    assert units.of("a") == "Unit of a"
    file.write_text(entry.format("a") + entry.format("b"))
    assert (units.of("b"), units.of("c")) == ("Unit of b", "")


def test_settings_reach_a_process_as_they_are(tmp_path: Path) -> None:
    settings = FlowSettings(
        folder=tmp_path,
        rules=(tmp_path / "a", tmp_path / "b"),
        sources=tmp_path / "sources.toml",
        lake="s3://bucket/prefix",
        lake_options={"region": "x"},
        lanes=3,
        placeholders=tmp_path / "p.yml",
        store_seconds=2.5,
    )
    assert decode(encode(settings)) == settings
    assert decode(encode(FlowSettings(tmp_path, ()))) == FlowSettings(tmp_path, ())
