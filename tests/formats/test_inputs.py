"""From the paths a person gives to readable streams."""

from __future__ import annotations

import gzip
import os
import socket
import zipfile
from pathlib import Path

import pytest

from khien.errors import Problem
from khien.formats import inputs
from khien.formats.inputs import Input, find_inputs


def found(*paths: Path | str) -> tuple[list[Input], list[Problem]]:
    problems: list[Problem] = []
    return list(find_inputs([str(path) for path in paths], problems.append)), problems


def content(one: Input) -> bytes:
    with one.open() as stream:
        return b"".join(iter(lambda: stream.read(1 << 16), b""))


def test_a_folder_is_read_whole_in_sorted_order(tmp_path: Path) -> None:
    for name in ("b/2.json", "a/1.json", "c.json", "a/0.json", ".hidden"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    listed, problems = found(tmp_path)
    assert [one.path.removeprefix(f"{tmp_path}/") for one in listed] == [
        ".hidden",
        "c.json",
        "a/0.json",
        "a/1.json",
        "b/2.json",
    ]
    assert problems == []


def test_a_file_named_twice_or_linked_is_read_once(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_text("x")
    (tmp_path / "hard.json").hardlink_to(file)
    (tmp_path / "soft.json").symlink_to(file)
    assert len(found(tmp_path, file, file)[0]) == 1


def test_links_to_folders_inside_a_folder_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a.json").write_text("x")
    (tmp_path / "loop").symlink_to(tmp_path)
    assert [one.path for one in found(tmp_path)[0]] == [f"{tmp_path}/real/a.json"]


def test_plain_files_may_be_split_and_members_may_not(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("plain")
    (tmp_path / "b.gz").write_bytes(gzip.compress(b"packed"))
    with zipfile.ZipFile(tmp_path / "c.zip", "w") as archive:
        archive.writestr("in.json", "member")
    listed, _ = found(tmp_path)
    assert [(one.path.removeprefix(f"{tmp_path}/"), one.splittable, content(one)) for one in listed] == [
        ("a.json", True, b"plain"),
        ("b.gz", False, b"packed"),
        ("c.zip!in.json", False, b"member"),
    ]
    assert [one.size for one in listed] == [5, None, 6]


def test_empty_files_are_passed_over_in_silence(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    assert found(tmp_path) == ([], [])


def test_what_is_no_readable_file_is_named_with_a_remedy(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "dead").symlink_to("nowhere")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        listed, problems = found(tmp_path, tmp_path / "missing", "/dev/null")
    assert listed == []
    told = {Path(problem.path).name: problem.what for problem in problems}
    assert told["pipe"] == told["socket"] == told["null"] == "is not a plain file"
    assert told["dead"] == told["missing"] == "cannot be opened: No such file or directory"
    assert all(problem.remedy for problem in problems)


def test_a_file_without_permission_is_named_with_a_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secret").write_text("x")
    (tmp_path / "open").write_text("x")
    allowed = os.access
    monkeypatch.setattr(
        inputs.os, "access", lambda path, mode: not str(path).endswith("secret") and allowed(path, mode)
    )
    listed, (problem,) = found(tmp_path)
    assert [Path(one.path).name for one in listed] == ["open"]
    assert "permission denied" in problem.what


def test_a_folder_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "closed").mkdir()
    (tmp_path / "open").write_text("x")
    real = os.scandir

    def scandir(path: str) -> object:
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    listed, (problem,) = found(tmp_path)
    assert len(listed) == 1
    assert (problem.path, "cannot be read" in problem.what) == (f"{tmp_path}/closed", True)


def test_names_that_are_no_utf8_are_read(tmp_path: Path) -> None:
    name = os.fsdecode(b"log-\xff.json")
    (tmp_path / name).write_text("x")
    (one,) = found(tmp_path)[0]
    assert content(one) == b"x"


def test_a_file_that_grows_is_read_to_the_end_of_the_line_it_had(tmp_path: Path) -> None:
    file = tmp_path / "a.log"
    file.write_bytes(b"first\nsec")
    (one,) = found(file)[0]
    with file.open("ab") as more:
        more.write(b"ond\nthird\n" * 1000)
    assert content(one) == b"first\nsecond\n"
    with one.open() as stream:
        assert stream.read(3) + stream.read(4) == b"first\ns"
        assert [len(piece) for piece in iter(lambda: stream.read(4), b"")] == [2, 4]
        assert stream.seek(-3, os.SEEK_END) == stream.tell()
