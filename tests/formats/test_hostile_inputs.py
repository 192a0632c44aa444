"""Bad input: no crash, no hang, bounded memory, one clear line each, and the other files are still hunted."""

from __future__ import annotations

import gzip
import io
import json
import os
import random
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from khien.errors import Problem
from khien.formats import archives
from khien.formats.sniff import formats

KHIEN = str(Path(sys.executable).with_name("khien"))
GOOD = {"EventID": 1102, "Channel": "Security", "Computer": "h", "TimeCreated": "2026-03-02T01:02:03Z"}


def hunt(folder: Path, *arguments: str) -> tuple[int, int, str]:
    (folder / "zz-good.json").write_text(json.dumps(GOOD) + "\n")
    done = subprocess.run([KHIEN, "hunt", str(folder), *arguments], capture_output=True, check=False, timeout=300)
    assert b"Traceback" not in done.stderr
    good = [line for line in done.stdout.splitlines() if b"zz-good.json" in line]
    return done.returncode, min(len(good), 1), done.stderr.decode()


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("deep.json", b'{"a":' * 10_000 + b"1" + b"}" * 10_000, "deep.json"),
        ("deep-array.json", b"[" * 100_000, ""),
        ("nul.json", b'{"EventID": 1, "Chan\x00nel": "x"}\n\x00\x00\x00\n', ""),
        ("latin.json", b'{"EventID": 1, "Channel": "S\xe9curit\xe9"}\n', ""),
        ("noise.bin", bytes(range(256)) * 64, "noise.bin"),
        ("cut.gz", gzip.compress(os.urandom(200_000))[:-1000], "cut.gz"),
        ("cut.zip", b"PK\x03\x04" + b"\x00" * 100, "cut.zip"),
        ("cut.evtx", b"ElfFile\x00" + b"\x00" * 4088, "cut.evtx"),
        ("half.json", b'{"EventID": 1, "Channel": "Security"', "half.json"),
    ],
)
def test_a_bad_file_is_named_and_the_good_one_is_still_hunted(
    tmp_path: Path, name: str, data: bytes, says: str
) -> None:
    (tmp_path / name).write_bytes(data)
    code, good, told = hunt(tmp_path)
    assert good == 1
    assert says in told
    assert code == (3 if says else code)


def test_a_zip_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive, archive.open("bomb", "w") as out:
        for _ in range(200):
            out.write(b"\x00" * (1 << 20))
    monkeypatch.setattr(archives, "FREE_BYTES", 1 << 20)
    problems: list[Problem] = []
    path = str(tmp_path / "bomb.zip")
    (member,) = archives.members(path, None, lambda: Path(path).open("rb"), problems.append)
    with member.open() as stream, pytest.raises(archives.InputError, match="packed size"):
        for _ in iter(lambda: stream.read(1 << 20), b""):
            pass


def test_a_device_a_pipe_and_a_loop_of_links_are_left_out(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "dead").symlink_to(tmp_path / "nowhere")
    code, good, told = hunt(tmp_path)
    assert (code, good) == (3, 1)
    assert "not a plain file" in told
    assert "dead" in told


@pytest.mark.slow
def test_a_line_of_a_gigabyte_is_skipped_in_bounded_memory(tmp_path: Path) -> None:
    with (tmp_path / "long.json").open("wb") as out:
        out.write(b'{"EventID": 1, "Channel": "Security", "x": "')
        out.seek(1 << 30)
        out.write(b'"}\n' + json.dumps(GOOD).encode() + b"\n")
    script = (
        "import resource, subprocess, sys; "
        f"done = subprocess.run([{KHIEN!r}, 'hunt', {str(tmp_path)!r}], capture_output=True); "
        "sys.stdout.buffer.write(done.stdout); sys.stderr.buffer.write(done.stderr); "
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False, timeout=300)
    assert done.stdout.count(b"\n") >= 1
    assert b"longer than 16 MB" in done.stderr
    assert int(done.stderr.splitlines()[-1]) < 500


@pytest.mark.parametrize("name", [name for name in formats() if name != "evtx"])
@settings(max_examples=60, deadline=None)
@given(data=st.binary(max_size=400))
def test_no_reader_raises_for_any_bytes(name: str, data: bytes) -> None:
    known = formats()[name]
    assert 0.0 <= known.sniff(data) <= 1.0
    for block in known.read(io.BytesIO(data), "x", lambda problem: None):
        assert len(block.numbers) == len(block.records)


def test_flipped_bits_in_an_evtx_file_do_not_stop_it(sigma_data: Path) -> None:
    draw = random.Random(5)
    whole = next(iter(sorted((sigma_data / "regression_data").rglob("*.evtx")))).read_bytes()
    for _ in range(30):
        data = bytearray(whole)
        for _ in range(draw.randint(1, 40)):
            data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
        problems: list[Problem] = []
        for block in formats()["evtx"].read(io.BytesIO(bytes(data)), "flipped.evtx", problems.append):
            assert block.records
        assert len(problems) <= 1
    for cut in (100, 4096, 5000, len(whole) // 2):
        list(formats()["evtx"].read(io.BytesIO(whole[:cut]), "cut.evtx", lambda problem: None))
