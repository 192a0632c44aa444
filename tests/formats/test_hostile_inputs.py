"""Bad input: no crash, no hang, bounded memory, one clear line each, and the other files are still hunted."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
import random
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
from pathlib import Path

import pytest
import zstandard
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
        ("cut.zst", zstandard.ZstdCompressor().compress(os.urandom(200_000))[:-1000], "cut.zst"),
        ("cut.xz", lzma.compress(os.urandom(200_000))[:-1000], "cut.xz"),
        ("cut.bz2", bz2.compress(os.urandom(200_000))[:-1000], "cut.bz2"),
        ("cut.tar", b"a".ljust(257, b"\x00") + b"ustar" + b"\xff" * 300, "cut.tar"),
        ("deep.syslog", b"Mar  2 01:02:03 h a: " + b'{"a":' * 100_000 + b"\n", ""),
        ("nul.log", b"Mar  2 01:02:03 h a\x00pp: x\x00\n" + b"\x00" * 10_000, ""),
        ("noise16.log", b"\xff\xfe" + os.urandom(9_999), "noise16.log"),
        ("cut16.json", ('{"EventID": 1, "Channel": "Security", "a": "' + "x" * 50).encode("utf-16"), "cut16.json"),
        ("cut.xml", b"<Events><Event><System><EventID>1</EventID></System>", "cut.xml"),
        ("cut.csv", b'a,b,c\n1,2,3\n1,"2\n' + b"x" * 5_000_000, "cut.csv"),
        ("zeros.log", b"\x00" * 1_000_000, "zeros.log"),
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


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-8-sig", "utf-32"])
def test_events_in_other_encodings_are_found(tmp_path: Path, encoding: str) -> None:
    event = {**GOOD, "SubjectUserName": "Nguyễn"}
    (tmp_path / "a.json").write_bytes("\r\n".join([json.dumps(event, ensure_ascii=False)] * 3).encode(encoding))
    rule = tmp_path / "rule.yml"
    rule.write_text(
        "title: t\nid: 5f0c3c1e-0b1f-4c38-9a83-2f6d1b6f7d12\nstatus: test\nlogsource: {product: windows, service: security}\n"
        "detection: {a: {SubjectUserName: NGUYỄN}, condition: a}\nlevel: high\n",
        encoding="utf-8",
    )
    done = subprocess.run(
        [KHIEN, "hunt", str(tmp_path / "a.json"), "--rules", str(rule), "--format", "ndjson"],
        capture_output=True,
        check=False,
    )
    assert [json.loads(line)["record"] for line in done.stdout.splitlines()] == [1, 2, 3], done.stderr


def test_hostile_names_and_links_in_archives_reach_nothing_outside(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("../../../../escaped.json", json.dumps(GOOD))
        link = zipfile.ZipInfo("link")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    with tarfile.open(tmp_path / "b.tar", "w") as archive:
        info = tarfile.TarInfo("/tmp/escaped.json")
        info.size = len(json.dumps(GOOD))
        archive.addfile(info, io.BytesIO(json.dumps(GOOD).encode()))
        info = tarfile.TarInfo("link")
        info.type, info.linkname = tarfile.SYMTYPE, "../../etc/passwd"
        archive.addfile(info)
    before = sorted(tmp_path.parent.iterdir())
    code, good, told = hunt(tmp_path)
    assert (code, good) == (3, 1)
    assert "a.zip!link" in told
    assert "b.tar!link" in told
    assert sorted(tmp_path.parent.iterdir()) == before
    assert not Path("/tmp/escaped.json").exists()


def test_an_encrypted_member_is_named_and_the_others_are_hunted(tmp_path: Path) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("secret.json", json.dumps(GOOD))
    packed = bytearray(out.getvalue())
    packed[6] |= 1
    packed[packed.index(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "a.zip").write_bytes(packed)
    code, good, told = hunt(tmp_path)
    assert (code, good) == (3, 1)
    assert "a.zip!secret.json: is encrypted" in " ".join(told.split())


def test_a_file_that_vanishes_is_named_and_the_others_are_hunted(tmp_path: Path) -> None:
    gone, good = tmp_path / "gone.json", tmp_path / "zz-good.json"
    for path in (gone, good):
        path.write_text(json.dumps(GOOD) + "\n")
    hunting = subprocess.Popen(
        [KHIEN, "hunt", "-", str(gone), str(good)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    time.sleep(1)
    gone.unlink()
    out, told = hunting.communicate(json.dumps(GOOD).encode() + b"\n", timeout=120)
    assert hunting.returncode == 3
    assert b"zz-good.json" in out
    assert b"gone.json" in told
    assert b"Traceback" not in told


def test_a_file_that_grows_all_the_time_has_an_end(tmp_path: Path) -> None:
    line = json.dumps(GOOD).encode() + b"\n"
    (tmp_path / "growing.json").write_bytes(line * 20_000)
    stop = threading.Event()

    def grow() -> None:
        with (tmp_path / "growing.json").open("ab") as more:
            while not stop.is_set():
                more.write(line * 5_000)
                time.sleep(0.01)

    writer = threading.Thread(target=grow)
    writer.start()
    try:
        done = subprocess.run([KHIEN, "hunt", str(tmp_path)], capture_output=True, check=False, timeout=120)
    finally:
        stop.set()
        writer.join()
    assert done.returncode == 0, done.stderr
    assert b"growing.json" in done.stdout


@pytest.mark.skipif(os.geteuid() != 0, reason="gives up root's rights to be refused")
def test_a_file_without_permission_is_named_and_the_others_are_hunted(tmp_path: Path) -> None:
    for name, mode in (("secret.json", 0o000), ("zz-good.json", 0o644)):
        (tmp_path / name).write_text(json.dumps(GOOD) + "\n")
        (tmp_path / name).chmod(mode)
    script = (
        "import os, sys; from khien.formats.inputs import find_inputs\n"
        "os.setgid(65534); os.setuid(65534)\n"
        "for one in find_inputs([sys.argv[1]], lambda problem: print(problem)): print('read', one.path)"
    )
    for parent in (tmp_path, *tmp_path.parents):
        if parent.stat().st_mode & 0o005 != 0o005 and str(parent).startswith("/tmp/"):
            parent.chmod(parent.stat().st_mode | 0o055)
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, check=False, text=True)
    assert f"read {tmp_path}/zz-good.json" in done.stdout, done.stderr
    assert "secret.json: cannot be opened: permission denied" in done.stdout
    assert "read " + str(tmp_path / "secret.json") not in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "start"),
    [
        ("long.log", b"Mar  2 01:02:03 h app: "),
        ("long.txt", b"2026-03-02 01:02:03,500 ERROR "),
        ("long.csv", b'a,b,c\n1,2,3\n4,"'),
        ("pretty.json", b'{\n  "a": "'),
        ("array.json", b'[{"a": "'),
        ("long.xml", b"<Events><Event><System>"),
    ],
)
def test_a_line_without_end_takes_bounded_memory_in_every_format(tmp_path: Path, name: str, start: bytes) -> None:
    with gzip.open(tmp_path / f"{name}.gz", "wb", compresslevel=1) as out:
        out.write(start)
        draw = random.Random(3).randbytes(300_000).hex().encode()  # compresses to half: no bomb
        for _ in range(400):
            out.write(draw)
    _, told, most = hunt_measured(tmp_path)
    assert name in told
    assert most < 500


def hunt_measured(folder: Path) -> tuple[bytes, str, int]:
    """Output, messages, and the most memory used, in MB."""
    script = (
        "import resource, subprocess, sys; "
        f"done = subprocess.run([{KHIEN!r}, 'hunt', {str(folder)!r}], capture_output=True); "
        "sys.stdout.buffer.write(done.stdout); sys.stderr.buffer.write(done.stderr); "
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False, timeout=300)
    assert b"Traceback" not in done.stderr, done.stderr
    return done.stdout, done.stderr.decode(), int(done.stderr.splitlines()[-1])


@pytest.mark.slow
def test_a_line_of_a_gigabyte_is_skipped_in_bounded_memory(tmp_path: Path) -> None:
    with (tmp_path / "long.json").open("wb") as out:
        out.write(b'{"EventID": 1, "Channel": "Security", "x": "')
        out.seek(1 << 30)
        out.write(b'"}\n' + json.dumps(GOOD).encode() + b"\n")
    found, told, most = hunt_measured(tmp_path)
    assert found.count(b"\n") >= 1
    assert "longer than 16 MB" in told
    assert most < 500


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
