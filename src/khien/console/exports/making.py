"""The worker makes a file: the request is asked again, its answer kept, and the person told.

Killed in the middle, it begins anew; whoever then makes it has a new name, so what an earlier one still does is thrown
away. Row, bytes and notice become one in a single transaction.
"""

from __future__ import annotations

import errno
import os
import time
import uuid
from collections.abc import Iterator
from email.message import Message
from typing import Any

import structlog
from django.db import transaction
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_noop
from django_tasks import task

from khien.console.exports.models import FileState, MadeFile, MadeFileQuerySet, Reason
from khien.console.exports.progress import NotMade, telling
from khien.console.exports.replay import Refused, ask_again, rights_after, rights_of
from khien.console.exports.services import KEPT, folder, has_room
from khien.console.files.services import safe_name
from khien.console.notifications.services import notify

MOST_BYTES = 1 << 30
"""Bytes of one file."""
_EVERY = 1.0
"""Seconds between two words of how far it is."""
_log = structlog.get_logger()


class Superseded(BaseException):
    """Given up by the person, or made by another worker: whatever happens here counts no more."""


@task()
def make(pk: int) -> None:
    """Make the file, unless that is done."""
    maker = uuid.uuid4().hex
    mine = MadeFile.objects.filter(pk=pk)
    if not mine.unfinished().update(state=FileState.MAKING, maker=maker, started_at=timezone.now(), done=0, total=0):
        return
    made = mine.select_related("by").get()
    place = f"{made.pk}-{maker}"
    try:
        before = rights_of(made.by)
        with telling(_Teller(made)):
            name, size = _keep(ask_again(made, made.by), place)
        rights = rights_after(made.by, before)
        if not _end(_still(made), made, FileState.READY, place=place, name=name, size=size, rights=rights):
            raise Superseded
    except Superseded:
        (folder() / place).unlink(missing_ok=True)
    except Exception as error:
        (folder() / place).unlink(missing_ok=True)
        reason = _reason(error)
        if reason == Reason.BROKEN:
            _log.error("file not made", file=made.pk, address=made.address, exc_info=True)
        _end(_still(made), made, FileState.FAILED, reason=reason)


def fail(made: MadeFile, reason: Reason) -> bool:
    """Nobody makes the file any more: the person is told. False where it is ready, failed or given up already."""
    return _end(MadeFile.objects.unfinished().filter(pk=made.pk), made, FileState.FAILED, reason=reason)


class _Teller:
    """Writes down how far it is, now and then; ends what was given up, and what fills the disk."""

    def __init__(self, made: MadeFile) -> None:
        self._made, self._next = made, 0.0

    def __call__(self, done: int, total: int) -> None:
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + _EVERY
        if not _still(self._made).update(done=done, total=total):
            raise Superseded
        if not has_room():
            raise NotMade(Reason.NO_ROOM)


def _still(made: MadeFile) -> MadeFileQuerySet:
    return MadeFile.objects.filter(pk=made.pk, maker=made.maker, state=FileState.MAKING)


def _reason(error: Exception) -> Reason:
    match error:
        case NotMade():
            return error.reason
        case Refused():
            return Reason.REFUSED
        case OSError(errno=errno.ENOSPC | errno.EDQUOT):
            return Reason.NO_ROOM
    return Reason.BROKEN


def _keep(answer: HttpResponseBase, place: str) -> tuple[str, int]:
    """Write the answer into a file of the folder; its name for who saves it, and its size."""
    if answer.status_code == 503:  # so a page says that no PDF can be made
        raise NotMade(Reason.NO_PDF)
    if answer.status_code != 200 or "attachment" not in answer.headers.get("Content-Disposition", ""):
        raise Refused
    if not has_room():
        raise NotMade(Reason.NO_ROOM)
    size = 0
    with (folder() / place).open("xb") as out:
        for piece in _pieces(answer):
            size += len(piece)
            if size > MOST_BYTES:
                raise NotMade(Reason.TOO_LARGE)
            out.write(piece)
        out.flush()
        os.fsync(out.fileno())
    told = Message()
    told["Content-Disposition"] = answer.headers["Content-Disposition"]
    return safe_name(told.get_filename() or "file"), size


def _pieces(answer: HttpResponseBase) -> Iterator[bytes]:
    if answer.streaming:
        yield from answer.streaming_content  # type: ignore[attr-defined]
    else:
        yield answer.content  # type: ignore[attr-defined]


def _end(rows: MadeFileQuerySet, made: MadeFile, state: FileState, **values: Any) -> bool:
    """It is ready, or it has failed: once. Whether it was so by this call."""
    now = timezone.now()
    texts = {
        FileState.READY: ("file.ready", gettext_noop("The file “%(title)s” is ready.")),
        FileState.FAILED: ("file.failed", gettext_noop("The file “%(title)s” could not be made.")),
    }
    kind, text = texts[state]
    with transaction.atomic():
        if not rows.update(state=state, ended_at=now, expires_at=now + KEPT, **values):
            return False
        notify([made.by], kind, text, {"title": made.title}, url=reverse("exports:list"))
    return True
