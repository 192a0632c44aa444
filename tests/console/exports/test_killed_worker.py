"""A worker that is killed in the middle of a file: the next makes it, once."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest
from django.urls import reverse

from console_databases import as_the_tests
from console_lists import LONG, write_mails
from khien.console.audit.models import Entry
from khien.console.exports import services
from khien.console.exports.models import FileState, MadeFile
from khien.console.notifications.models import Notice

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]
ROWS = 60_000
WORKER = (
    "import django; django.setup(); from khien.console import worker; worker.run(lambda: False, chores=[], renews=1)"
)


def _worker() -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", WORKER], env=as_the_tests())


def _until(met) -> MadeFile:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        made = MadeFile.objects.get()
        if met(made):
            return made
        time.sleep(0.05)
    raise AssertionError(f"still {made.state}, {made.done} of {made.total} rows, {made.reason}")


def test_a_killed_worker_s_file_is_made_by_the_next_once(province, signed_in):
    write_mails(ROWS)
    client = signed_in(province.admin)
    assert client.get(LONG)["Location"] == reverse("exports:list")
    first = _worker()
    try:
        begun = _until(lambda made: made.done > 0)
        assert begun.total == ROWS
    finally:
        first.kill()
        first.wait()
    assert MadeFile.objects.get().state == FileState.MAKING
    second = _worker()
    try:
        made = _until(lambda made: not made.unfinished)
    finally:
        second.kill()
        second.wait()
    assert (made.state, made.reason) == (FileState.READY, "")
    assert made.maker != begun.maker
    body = b"".join(client.get(reverse("exports:download", args=[made.pk])).streaming_content)
    assert body.count(b"@example.vn") == ROWS
    assert Notice.objects.filter(kind="file.ready").count() == 1
    assert Entry.objects.filter(action="export").count() == 1
    assert [path.name for path in services.folder().iterdir() if path.name == made.place] == [made.place]
