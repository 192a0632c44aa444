"""Uploads are kept whole or not at all, under their hash, and never shown."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import signal
import stat
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import SimpleUploadedFile, UploadedFile
from django.utils import translation

from khien.console.accounts.models import User
from khien.console.chores import all_chores
from khien.console.files import services
from khien.console.files.models import StoredFile
from khien.console.files.responses import SavedPieces


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, settings) -> Iterator[Path]:
    settings.DATA = tmp_path
    with translation.override("en"):
        yield tmp_path / "files"


def _upload(content: bytes, name: str = "log.txt", content_type: str = "text/plain") -> SimpleUploadedFile:
    upload = SimpleUploadedFile("x", content, content_type)
    upload._name = name
    return upload


def _store(upload: UploadedFile, by: User | None, **most: int) -> StoredFile:
    with services.received([upload], **most) as (arrived,):
        return services.keep(arrived, by)


def _lying(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


class Made(UploadedFile):
    """An upload whose pieces are made while they are read."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        super().__init__(None, "made.bin", "application/octet-stream")
        self._pieces = pieces

    def chunks(self, chunk_size: int | None = None) -> Iterator[bytes]:
        yield from self._pieces


@pytest.mark.django_db
def test_a_file_lies_under_its_hash_and_cannot_be_written(own_folder: Path, province) -> None:
    stored = _store(_upload(b"hello"), province.analyst)
    digest = hashlib.sha256(b"hello").hexdigest()
    assert (stored.sha256, stored.size, stored.name) == (digest, 5, "log.txt")
    assert _lying(own_folder) == [own_folder / digest[:2] / digest]
    assert stat.S_IMODE((own_folder / digest[:2] / digest).stat().st_mode) == 0o440
    assert services.open_file(stored).read() == b"hello"


@pytest.mark.django_db
def test_equal_content_lies_once_and_each_upload_keeps_its_name(own_folder: Path) -> None:
    first, second = _store(_upload(b"same", "a"), None), _store(_upload(b"same", "b"), None)
    assert (first.sha256, first.name, second.name) == (second.sha256, "a", "b")
    assert len(_lying(own_folder)) == 1


@pytest.mark.django_db
def test_an_empty_file_is_refused(own_folder: Path) -> None:
    with pytest.raises(ValidationError, match="empty"):
        _store(_upload(b""), None)
    assert _lying(own_folder) == []
    assert not StoredFile.objects.exists()


@pytest.mark.django_db
def test_a_file_beyond_the_limit_is_refused_before_it_is_all_read(own_folder: Path) -> None:
    read = 0

    def pieces() -> Iterator[bytes]:
        nonlocal read
        for _ in range(1000):
            read += 1
            yield b"x" * 1024

    with pytest.raises(ValidationError, match="larger"):
        _store(Made(pieces()), None, most=10 * 1024)
    assert read == 11
    assert _lying(own_folder) == []


@pytest.mark.django_db
def test_a_huge_file_is_kept_and_sent_in_pieces(own_folder: Path) -> None:
    piece = os.urandom(1 << 20)
    stored = _store(Made(piece for _ in range(48)), None)
    assert stored.size == 48 << 20
    response = services.download(stored)
    sizes = [len(each) for each in response.streaming_content]
    assert sum(sizes) == stored.size
    assert max(sizes) <= 1 << 20
    response.close()


@pytest.mark.django_db
@pytest.mark.parametrize("failure", [KeyboardInterrupt(), RuntimeError("connection lost")])
def test_an_upload_that_breaks_off_leaves_nothing(own_folder: Path, failure: BaseException) -> None:
    def pieces() -> Iterator[bytes]:
        yield b"half"
        raise failure

    with pytest.raises(type(failure)):
        _store(Made(pieces()), None)
    assert _lying(own_folder) == []
    assert not StoredFile.objects.exists()


@pytest.mark.django_db
def test_a_full_disk_is_told_and_leaves_nothing(own_folder: Path) -> None:
    def pieces() -> Iterator[bytes]:
        yield b"half"
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(ValidationError, match="no room"):
        _store(Made(pieces()), None)
    assert _lying(own_folder) == []


def test_a_killed_process_leaves_no_half_file_under_a_hash(tmp_path: Path) -> None:
    program = f"""
        import os, sys, django
        os.environ["KHIEN_CONSOLE_DATA"] = {str(tmp_path)!r}
        os.environ["DJANGO_SETTINGS_MODULE"] = "khien.console.settings"
        django.setup()
        from django.core.files.uploadedfile import UploadedFile
        from khien.console.files.services import received
        class Endless(UploadedFile):
            def chunks(self, chunk_size=None):
                yield b"x" * 100_000
                print("half", flush=True)
                sys.stdin.read()
        with received([Endless(None, "a", "b")]):
            pass
    """
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)], stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "half\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdin.close()
    process.stdout.close()
    left = _lying(tmp_path / "files")
    assert [path.suffix for path in left] == [".part"]
    assert services.clear_parts() == 0
    assert services.clear_parts(time.time() + 90_000) == 1
    assert _lying(tmp_path / "files") == []


@pytest.mark.django_db
def test_the_worker_clears_parts_and_nothing_else(own_folder: Path) -> None:
    chore = next(each for each in all_chores() if each.name == "files.clear_parts")
    assert chore.run() == 0  # there is no folder yet
    stored = _store(_upload(b"kept"), None)
    old = own_folder / ".0123.part"
    old.write_bytes(b"x")
    for path in (old, services.path_of(stored.sha256)):
        os.utime(path, (1, 1))
    assert chore.run() == 1
    assert _lying(own_folder) == [services.path_of(stored.sha256)]


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("../../etc/passwd", "_.._etc_passwd"),
        ("C:\\Windows\\win.ini", "C_Windows_win.ini"),
        ("a\x00b\r\nSet-Cookie: x", "a_b_Set-Cookie_ x"),
        ("invoice\u202efdp.exe", "invoice_fdp.exe"),
        ("a\u200bb\ufeff.txt", "a_b_.txt"),
        ("...", "file"),
        ("", "file"),
        ("   ", "file"),
        ("CON.txt", "_CON.txt"),
        ("nul", "_nul"),
        ("báo cáo số 1.docx", "báo cáo số 1.docx"),
        ("x" * 300 + ".pdf", "x" * 196 + ".pdf"),
        ("<script>\"'.html", "_script_'.html"),
        ("a\ud800b", "a_b"),
    ],
)
def test_hostile_names_become_harmless(given: str, kept: str) -> None:
    assert services.safe_name(given) == kept


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("name", "content_type", "content"),
    [
        ("a.html", "text/html", b"<script>alert(1)</script>"),
        ("a.svg", "image/svg+xml", b"<svg onload='alert(1)'/>"),
        ("bomb.zip", "application/zip", b"PK\x03\x04" + b"\0" * 100),
    ],
)
def test_nothing_uploaded_is_ever_shown(name: str, content_type: str, content: bytes) -> None:
    response = services.download(_store(_upload(content, name, content_type), None))
    assert response["Content-Type"] == "application/octet-stream"
    assert response["Content-Disposition"].startswith("attachment")
    assert response["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in response["Content-Security-Policy"]
    assert b"".join(response.streaming_content) == content
    response.close()


@pytest.mark.django_db
def test_a_name_in_any_writing_arrives_in_the_header() -> None:
    response = services.download(_store(_upload(b"x", 'báo "cáo".txt'), None))
    assert response["Content-Disposition"] == "attachment; filename*=utf-8''b%C3%A1o%20_c%C3%A1o_.txt"
    response.close()


@pytest.mark.django_db
def test_changed_or_lost_bytes_are_found(own_folder: Path) -> None:
    stored = _store(_upload(b"as it was"), None)
    assert services.is_intact(stored)
    path = services.path_of(stored.sha256)
    path.chmod(0o640)
    path.write_bytes(b"as it is!")
    assert not services.is_intact(stored)
    path.unlink()
    assert not services.is_intact(stored)


@pytest.mark.django_db
def test_what_is_known_of_a_file_never_changes() -> None:
    stored = _store(_upload(b"x"), None)
    stored.name = "other"
    with pytest.raises(TypeError):
        stored.save()


def test_under_asgi_pieces_are_made_while_they_are_sent() -> None:
    made: list[int] = []

    def pieces() -> Iterator[bytes]:
        for number in range(5):
            made.append(number)
            yield b"x"

    async def read() -> list[int]:
        return [len(made) async for _ in SavedPieces(pieces(), "a.zip")]

    assert asyncio.run(read()) == [1, 2, 3, 4, 5]
