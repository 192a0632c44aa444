"""What hinders the live service is said before anything of it starts."""

from __future__ import annotations

import fcntl
import socket
from pathlib import Path

import pytest

from cli.runs import khien


def refused(folder: Path, *arguments: str) -> str:
    """What `khien up` says when it ends with wrong usage."""
    done = khien("up", "--data", folder, *arguments)
    assert done.returncode == 2
    assert not (folder / "spool").exists()
    text = done.stderr.decode()
    assert "Traceback" not in text
    return text


@pytest.mark.parametrize(("kind", "name"), [(socket.SOCK_STREAM, "http"), (socket.SOCK_DGRAM, "syslog_udp")])
def test_a_port_in_use_is_named(tmp_path: Path, kind: socket.SocketKind, name: str) -> None:
    with socket.socket(socket.AF_INET, kind) as other:
        other.bind(("127.0.0.1", 0))
        if kind == socket.SOCK_STREAM:
            other.listen()
        address = f"127.0.0.1:{other.getsockname()[1]}"
        (tmp_path / "sources.toml").write_text(f'[listen]\n{name} = ["{address}"]\n')
        text = refused(tmp_path)
    assert address in text
    assert "cannot listen" in text


def test_a_data_folder_belongs_to_one_service(tmp_path: Path) -> None:
    (tmp_path / "sources.toml").write_text("[listen]\nhttp = []\n")
    with (tmp_path / "lock").open("wb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert "another khien up works in this data folder" in refused(tmp_path)


def test_folders_that_cannot_be_made_and_sizes_that_are_none_are_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "the data folder cannot be made" in refused(tmp_path / "file" / "data")
    assert "the lake's folder cannot be made" in refused(tmp_path, "--lake", str(tmp_path / "file" / "lake"))
    assert "--keep-size" in refused(tmp_path, "--keep-size", "much")
    assert "no such sources file" in refused(tmp_path, "--sources", str(tmp_path / "none.toml"))
