"""Archives and compressed files, read in place."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import random
import struct
import tarfile
import zipfile
from collections.abc import Callable
from contextlib import nullcontext
from typing import BinaryIO, cast

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from khien.errors import InputError, Problem
from khien.formats import archives
from khien.formats.archives import kind_of, members

TEXT = b'{"EventID": 1}\n' * 1000
PACK: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": lambda data: zstandard.ZstdCompressor(write_checksum=True).compress(data),
}


def zipped(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


def tarred(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def unpacked(data: bytes) -> tuple[dict[str, bytes], list[Problem]]:
    """What is in the data, by label, and the problems; a member that breaks gives what came before."""
    problems: list[Problem] = []
    out: dict[str, bytes] = {}
    for member in members("a", len(data), lambda: nullcontext(cast(BinaryIO, io.BytesIO(data))), problems.append):
        out[member.label] = b""
        try:
            with member.open() as stream:
                while piece := stream.read(10_000):
                    out[member.label] += piece
        except InputError as error:
            problems.append(Problem(error.where, "", error.what, error.remedy))
    return out, problems


@pytest.mark.parametrize("kind", PACK)
def test_a_compressed_file_is_its_content(kind: str) -> None:
    packed = PACK[kind](TEXT)
    assert kind_of(packed) == kind
    assert unpacked(packed) == ({"a": TEXT}, [])


@pytest.mark.parametrize("kind", PACK)
def test_compressed_pieces_one_after_another_are_one_content(kind: str) -> None:
    assert unpacked(PACK[kind](TEXT) + PACK[kind](b"more")) == ({"a": TEXT + b"more"}, [])


def test_members_are_named_by_their_archive_in_its_order() -> None:
    files = {"z.json": b"1", "folder/a.json": b"2", "empty": b""}
    expected = {"a!z.json": b"1", "a!folder/a.json": b"2"}
    for packed in (zipped(files), tarred(files), gzip.compress(tarred(files)), lzma.compress(tarred(files))):
        found, problems = unpacked(packed)
        assert list(found.items()) == list(expected.items())
        assert problems == []


def test_archives_are_read_inside_archives_three_deep_and_no_deeper() -> None:
    two = zipped({"in.tar": tarred({"log.gz": TEXT})})
    assert unpacked(two)[0] == {"a!in.tar!log.gz": TEXT}
    three = zipped({"in.tar": tarred({"log.gz": gzip.compress(TEXT)})})
    assert unpacked(three)[0] == {"a!in.tar!log.gz": TEXT}
    found, (problem,) = unpacked(zipped({"b.zip": three}))
    assert found == {}
    assert (problem.path, problem.remedy) == ("a!b.zip!in.tar!log.gz", "Unpack it first")


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "..\\..\\x", "a/../../x", "C:\\x", "n\x01\nx"])
def test_what_a_member_is_called_does_no_harm(name: str) -> None:
    for packed in (zipped({name: TEXT}), tarred({name: TEXT})):
        (content,) = unpacked(packed)[0].values()
        assert content == TEXT


def test_links_devices_and_pipes_in_a_tar_are_left_out_with_a_word() -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, kind in (
            ("soft", tarfile.SYMTYPE),
            ("hard", tarfile.LNKTYPE),
            ("dev", tarfile.CHRTYPE),
            ("pipe", tarfile.FIFOTYPE),
        ):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc/passwd"
            archive.addfile(info)
        info = tarfile.TarInfo("log")
        info.size = 1
        archive.addfile(info, io.BytesIO(b"x"))
    found, problems = unpacked(out.getvalue())
    assert found == {"a!log": b"x"}
    assert [problem.path for problem in problems] == ["a!soft", "a!hard", "a!dev", "a!pipe"]


def test_a_link_in_a_zip_is_left_out_with_a_word() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        info = zipfile.ZipInfo("link")
        info.external_attr = 0o120777 << 16
        archive.writestr(info, "/etc/passwd")
        archive.writestr("log", "x")
    found, (problem,) = unpacked(out.getvalue())
    assert found == {"a!log": b"x"}
    assert (problem.path, "link" in problem.what) == ("a!link", True)


def test_an_encrypted_member_is_left_out_with_a_word() -> None:
    packed = bytearray(zipped({"secret": TEXT, "open": b"x"}))
    packed[6] |= 1  # the flag in the first local header, and in the first entry of the directory
    packed[packed.index(b"PK\x01\x02") + 8] |= 1
    found, (problem,) = unpacked(bytes(packed))
    assert found == {"a!open": b"x"}
    assert (problem.path, problem.what) == ("a!secret", "is encrypted")
    assert "password" in problem.remedy


@pytest.mark.parametrize("kind", [*PACK, "zip", "tar", "tar.gz"])
def test_a_cut_file_gives_what_can_be_read_and_one_problem(kind: str) -> None:
    noise = random.Random(1).randbytes(3_000_000)
    packed = {**PACK, "zip": lambda data: zipped({"x": data}), "tar": lambda data: tarred({"x": data, "y": data}),
              "tar.gz": lambda data: gzip.compress(tarred({"x": data, "y": data}))}[kind](noise)  # fmt: skip
    found, problems = unpacked(packed[: len(packed) * 3 // 4])
    assert len(problems) == 1
    assert problems[0].path.startswith("a")
    assert problems[0].remedy
    if kind != "zip":  # its directory stands at the end
        content = next(iter(found.values()))
        assert content == noise[: len(content)]
        assert len(content) > 100_000


@pytest.mark.parametrize("kind", [*PACK, "zip"])
def test_a_bomb_is_refused(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "FREE_BYTES", 1 << 20)
    monkeypatch.setattr(archives, "MOST_RATIO", 20)
    packed = {**PACK, "zip": lambda data: zipped({"x": data})}[kind](b"\x00" * (8 << 20))
    found, (problem,) = unpacked(packed)
    assert len(next(iter(found.values()))) < 2 << 20
    assert "more than 1 MB" in problem.what
    assert "bomb" in problem.remedy


def test_a_bomb_inside_a_tar_inside_a_gz_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "FREE_BYTES", 1 << 20)
    found, problems = unpacked(gzip.compress(tarred({"x": b"\x00" * (30 << 20)})))
    assert sum(map(len, found.values())) < 30 << 20
    assert len(problems) == 1
    assert "packed size" in problems[0].what


def test_a_zip_that_lies_about_sizes_is_read_as_far_as_it_goes() -> None:
    packed = bytearray(zipped({"x": TEXT}))
    directory = packed.index(b"PK\x01\x02")
    struct.pack_into("<I", packed, directory + 24, 1 << 30)
    assert unpacked(bytes(packed)) == ({"a!x": TEXT}, [])


def test_an_archive_with_very_many_members_is_read_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MOST_MEMBERS", 3)
    files = {f"f{at}": b"x" for at in range(5)}
    for packed in (zipped(files), tarred(files)):
        found, problems = unpacked(packed)
        assert len(found) == 3
        assert "more than 3 members" in problems[0].what


@pytest.mark.parametrize("head", [b"", b"PK", b"\x1f\x8b", b"plain", b"x" * 600, b"BZ"])
def test_what_is_no_archive_is_itself(head: bytes) -> None:
    assert kind_of(head) is None
    assert unpacked(head) == ({"a": head}, [])


@settings(deadline=None, max_examples=150)
@given(st.sampled_from([*PACK, "zip", "tar", "tar.gz"]), st.data())
def test_damage_anywhere_never_raises(kind: str, data: st.DataObject) -> None:
    whole = {**PACK, "zip": lambda d: zipped({"x": d, "y": d}), "tar": lambda d: tarred({"x": d, "y": d}),
             "tar.gz": lambda d: gzip.compress(tarred({"x": d, "y": d}))}[kind](TEXT[:3000])  # fmt: skip
    packed = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 8))):
        packed[data.draw(st.integers(0, len(packed) - 1))] = data.draw(st.integers(0, 255))
    unpacked(bytes(packed))
