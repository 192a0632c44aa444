"""A file that somebody asked for and the worker makes."""

from __future__ import annotations

from typing import Any, ClassVar, Self

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from khien.console.accounts.models import User


class FileState(models.TextChoices):
    """How far it is."""

    WAITING = "waiting", _("Waiting")
    MAKING = "making", _("Being made")
    READY = "ready", _("Ready")
    FAILED = "failed", _("Not made")


UNFINISHED = (FileState.WAITING, FileState.MAKING)


class Reason(models.TextChoices):
    """Why a file was not made. Kept as a word, so that each reader is told in their own language."""

    NONE = "", ""
    REFUSED = "refused", _("You may not see this any more, or it is gone.")
    TOO_LARGE = "too_large", _("It is too large. Narrow the list down by its filters, or take another format.")
    NO_ROOM = "no_room", _("There is no room left on the disk of the console. Tell the administrators.")
    NO_PDF = "no_pdf", _("This server lacks the Pango library, so no PDF can be made. Tell the administrator.")
    STOPPED = "stopped", _("The console ended several times while it made this file. Narrow it down, or ask later.")
    BROKEN = "broken", _("An error occurred, which stands in the console's log. Ask again, or tell the administrators.")


class MadeFileQuerySet(models.QuerySet["MadeFile"]):
    """Files that were asked for."""

    def visible_to(self, user: User) -> Self:
        """One's own, nobody else's."""
        return self.filter(by=user.pk) if user.is_authenticated else self.none()

    def unfinished(self) -> Self:
        """Those that wait or are being made."""
        return self.filter(state__in=UNFINISHED)


class MadeFile(models.Model):
    """A file that was asked for, with the request that makes it: the worker asks it again, as the same person.

    `address`, `form`: the request (`form`: None for GET). `digest`: of both and the language; the same is not made
    twice at once. `rights`: what the person saw when it was made. `maker`: who makes it now, a new name each time.
    `done`, `total`: rows or 0 where nobody counts. `place`: the file's name in the folder.
    """

    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="made_files")
    title = models.CharField(max_length=300)
    address = models.TextField()
    form = models.JSONField(null=True)
    language = models.CharField(max_length=10)
    digest = models.CharField(max_length=64)
    state = models.CharField(max_length=10, choices=FileState, default=FileState.WAITING)
    reason = models.CharField(max_length=20, choices=Reason, blank=True, default=Reason.NONE)
    job = models.CharField(max_length=64, blank=True)
    maker = models.CharField(max_length=32, blank=True)
    done = models.BigIntegerField(default=0)
    total = models.BigIntegerField(default=0)
    rights: models.JSONField[Any] = models.JSONField(default=dict)
    name = models.CharField(max_length=255, blank=True)
    place = models.CharField(max_length=64, blank=True)
    size = models.BigIntegerField(default=0)
    asked_at = models.DateTimeField(default=timezone.now)
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField(null=True, db_index=True)

    objects = MadeFileQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-id"]
        indexes: ClassVar = [models.Index(fields=["by", "-id"], name="made_file_of")]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["by", "digest"], condition=Q(state__in=UNFINISHED), name="made_file_once_at_a_time"
            )
        ]

    def __str__(self) -> str:
        return self.title

    @property
    def unfinished(self) -> bool:
        """Whether it waits or is being made."""
        return self.state in UNFINISHED
