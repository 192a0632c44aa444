"""Asking for a file that takes long, fetching it, and giving it up."""

from __future__ import annotations

import hashlib
import json
from datetime import timedelta
from pathlib import Path
from shutil import disk_usage

from django.conf import settings
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Sum
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from khien.console.accounts.models import User
from khien.console.audit.services import hold_trail, record
from khien.console.exports.models import FileState, MadeFile
from khien.console.exports.progress import TakesLong
from khien.console.exports.replay import Form, Refused, demand_still, form_of
from khien.console.files.responses import SavedFile

MOST_UNFINISHED = 5
"""Files of one person that wait or are being made."""
MOST_KEPT_BYTES = 2 << 30
"""Bytes of one person's files that are ready."""
LEAST_ROOM = 256 << 20
"""Bytes that stay free on the disk."""
KEPT = timedelta(days=7)
FRESH = timedelta(minutes=10)
"""A program that asks again within this time gets what was made meanwhile."""


def folder() -> Path:
    """Where the files lie."""
    return Path(settings.DATA) / "exports"


def has_room() -> bool:
    """Whether the disk has room for more."""
    place = folder()
    place.mkdir(parents=True, exist_ok=True, mode=0o750)
    return disk_usage(place).free >= LEAST_ROOM


def ask(by: User, address: str, title: str, *, form: Form | None = None) -> MadeFile:
    """Have the worker make the file that a page's address gives, in the language of now. The caller has checked rights.

    Pages that met TakesLong say `later(request, error.title)`. An operation of the API does nothing: whoever calls it
    is answered by `made_lately_or_asked` (`api/errors.py`). Asked for again while it is not ready, it is the same file.
    Raises ValidationError where the person has too many, or the disk is full.
    """
    from khien.console.exports.making import make

    language, digest = _asked(address, form)
    with transaction.atomic():
        User.objects.select_for_update().get(pk=by.pk)
        mine = MadeFile.objects.filter(by=by)
        unfinished = list(mine.unfinished())
        if same := next((each for each in unfinished if each.digest == digest), None):
            return same
        if len(unfinished) >= MOST_UNFINISHED:
            raise ValidationError(
                _("%(n)s files are being made for you already. Wait until one is ready, or give one up.")
                % {"n": len(unfinished)}
            )
        if (mine.aggregate(all=Sum("size"))["all"] or 0) >= MOST_KEPT_BYTES:
            raise ValidationError(_("Your files take up all the room there is for one person. Delete some first."))
        if not has_room():
            raise ValidationError(_("There is no room left on the disk of the console. Tell the administrators."))
        made = MadeFile.objects.create(
            by=by,
            title=title[:300],
            address=address,
            form=None if form is None else {name: list(values) for name, values in form.items()},
            language=language,
            digest=digest,
        )
        made.job = str(make.enqueue(made.pk).id)
        made.save(update_fields=["job"])
    return made


def _asked(address: str, form: Form | None) -> tuple[str, str]:
    """The language of now, and the digest of what is asked for in it."""
    language = get_language() or settings.LANGUAGE_CODE
    asked = json.dumps([address, form, language], sort_keys=True, ensure_ascii=False, default=list)
    return language, hashlib.sha256(asked.encode()).hexdigest()


def made_lately_or_asked(by: User, error: TakesLong) -> MadeFile:
    """For a program, which asks again until it has the file: the one that ended within minutes, or one being made.

    Raises ValidationError as `ask`.
    """
    _language, digest = _asked(error.address, error.form)
    lately = MadeFile.objects.filter(by=by, digest=digest, ended_at__gt=timezone.now() - FRESH)
    return lately.order_by("-ended_at").first() or ask(by, error.address, error.title, form=error.form)


def later(request: HttpRequest, title: str) -> HttpResponse:
    """The answer where making the file would hold up the request: the worker makes it, and the person sees how far."""
    try:
        ask(request.user, request.get_full_path(), title, form=form_of(request))
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
    else:
        messages.info(request, _("“%(title)s” is being made. You are told when it is ready.") % {"title": title})
    return redirect("exports:list")


def fetch(by: User, pk: int) -> SavedFile:
    """A file that is ready, to save; recorded. Raises MadeFile.DoesNotExist, and Refused where rights were lost."""
    made = MadeFile.objects.visible_to(by).get(pk=pk, state=FileState.READY, expires_at__gt=timezone.now())
    demand_still(made, by)
    try:
        handle = (folder() / made.place).open("rb")
    except FileNotFoundError as error:
        raise Refused from error
    record(by, "export.download", made, after={"name": made.name, "bytes": made.size, "address": made.address})
    return SavedFile(handle, made.name)


def give_up(by: User, pk: int) -> None:
    """Delete one of one's own files, or have it not made. Raises MadeFile.DoesNotExist."""
    with transaction.atomic():
        hold_trail()
        made = MadeFile.objects.visible_to(by).select_for_update().get(pk=pk)
        record(by, "export.delete", made, before={"state": made.state, "address": made.address})
        forget(made)


def forget(made: MadeFile) -> None:
    """Delete a file's row, and its bytes once the row is gone for good."""
    place = made.place
    made.delete()
    if place:
        transaction.on_commit(lambda: (folder() / place).unlink(missing_ok=True))
