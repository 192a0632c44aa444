"""A worker that is killed in the middle of a file: the next makes it, once."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import quote

import pytest
from django.conf import settings
from django.db import connection
from django.urls import reverse

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


def _database() -> str:
    told = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{told['NAME']}"
    host, user = quote(str(told["HOST"]), safe=""), quote(str(told["USER"]), safe="")
    secret = f":{quote(str(told['PASSWORD']), safe='')}" if told["PASSWORD"] else ""
    return f"postgres://{user}{secret}@{host}{':' + str(told['PORT']) if told['PORT'] else ''}/{told['NAME']}"


def _worker() -> subprocess.Popen[bytes]:
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "console_settings",
        "PYTHONPATH": str(Path(__file__).resolve().parents[2]),
        "KHIEN_TEST_DATA": str(settings.DATA),
        "KHIEN_LIVE_DATA": str(settings.LIVE),
        "KHIEN_DATABASE_URL": _database(),
    }
    return subprocess.Popen([sys.executable, "-c", WORKER], env=environment)


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
