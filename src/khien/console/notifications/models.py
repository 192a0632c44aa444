"""Notices to people, what each person wants of them, and the mails they become."""

from __future__ import annotations

from datetime import time
from typing import ClassVar, Self

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _

from khien.console.accounts.models import User
from khien.console.units.scoping import scope_ids


class NoticeQuerySet(models.QuerySet["Notice"]):
    """Notices."""

    def visible_to(self, user: User) -> Self:
        """Each sees what was told to him or her alone, without what the person does not want shown."""
        return self.filter(user=user.pk, shown=True) if user.is_authenticated and user.is_active else self.none()


class Notice(models.Model):
    """One thing one person is told. `text` is a message id with `params` in it, read in the person's language.

    `sensitive`: the names of params that no mail may carry. `shown`: in the console's list.
    `mail_pending`: not yet looked at by who bundles mails.
    """

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="notices")
    kind = models.CharField(max_length=60)
    text = models.CharField(max_length=300)
    params = models.JSONField(default=dict)
    sensitive = models.JSONField(default=list)
    url = models.CharField(max_length=300, blank=True)
    urgent = models.BooleanField(default=False)
    shown = models.BooleanField(default=True)
    mail_pending = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=timezone.now)
    read_at = models.DateTimeField(null=True, blank=True)

    objects = NoticeQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-id"]
        indexes: ClassVar = [
            models.Index(fields=["user", "-id"], condition=Q(shown=True), name="notice_shown"),
            models.Index(fields=["user", "id"], condition=Q(shown=True, read_at__isnull=True), name="notice_unread"),
            models.Index(fields=["id"], condition=Q(mail_pending=True), name="notice_mail_pending"),
        ]

    def __str__(self) -> str:
        return self.worded()

    def worded(self, *, hiding: bool = False) -> str:
        """The text in the language at hand; `hiding`: with three dots in place of what is sensitive."""
        values = {name: "…" if hiding and name in self.sensitive else value for name, value in self.params.items()}
        text = gettext(self.text) if self.text else ""
        try:
            return text % values
        except (KeyError, ValueError, TypeError):  # a text of an earlier version, or a translation's slip
            return text

    @property
    def family(self) -> str:
        """What settings go by: the kind up to its first stop."""
        return self.kind.partition(".")[0]


class Preferences(models.Model):
    """What a person wants to be told, and how; nobody needs a row, the defaults stand in `families`.

    `choices`: by family `{"console": bool, "mail": "once" | "hourly" | "daily" | "none"}`.
    """

    user = models.OneToOneField(settings.AUTH_USER_MODEL, models.CASCADE, related_name="notice_preferences")
    choices = models.JSONField(default=dict)
    quiet_from = models.TimeField(_("quiet from"), null=True, blank=True)
    quiet_until = models.TimeField(_("quiet until"), null=True, blank=True)
    digest_at = models.TimeField(_("daily summary at"), default=time(7, 30))

    def __str__(self) -> str:
        return str(self.user)


class Bundle(models.Model):
    """Notices that wait to become one mail to a person: of one kind, or a digest (`@hourly`, `@daily`, `@quiet`).

    `kinds`: how many of each kind; `samples`: the last notices of each; `held`: how many came over the limit
    of mails. `gap`: seconds until the next mail of this kind, longer each time while they keep coming.
    """

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    slot = models.CharField(max_length=60)
    kinds = models.JSONField(default=dict)
    samples = models.JSONField(default=dict)
    held = models.PositiveIntegerField(default=0)
    urgent = models.BooleanField(default=False)
    due_at = models.DateTimeField(null=True, db_index=True)
    last_sent_at = models.DateTimeField(null=True)
    gap = models.PositiveIntegerField(default=0)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["user", "slot"], name="one_bundle_a_slot")]

    def __str__(self) -> str:
        return f"{self.user_id} {self.slot}"

    @property
    def count(self) -> int:
        """How many notices are in it."""
        return sum(self.kinds.values())


class MailState(models.TextChoices):
    """How far a mail has come."""

    WAITING = "waiting", _("Waiting")
    SENDING = "sending", _("Being sent")
    SENT = "sent", _("Sent")
    FAILED = "failed", _("Failed")


class MailQuerySet(models.QuerySet["Mail"]):
    """Mails."""

    def visible_to(self, user: User) -> Self:
        """One's own; who manages the settings sees those to the people of the units in view."""
        if not user.is_authenticated or not user.is_active:
            return self.none()
        if not user.may("settings.manage"):
            return self.filter(user=user.pk)
        ids = scope_ids(user)
        return self.all() if ids is None else self.filter(Q(user__unit__in=ids) | Q(user=user.pk))


class Mail(models.Model):
    """A mail and its delivery. What is in it is forgotten once it is sent; that it was sent is not."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="mails",
        verbose_name=pgettext_lazy("mail", "recipient"),
    )
    to = models.CharField(pgettext_lazy("mail", "recipient"), max_length=320)
    sender = models.CharField(max_length=320, blank=True)
    subject = models.CharField(_("subject"), max_length=300)
    text = models.TextField(blank=True)
    html = models.TextField(blank=True)
    kind = models.CharField(max_length=60, blank=True)
    notices = models.PositiveIntegerField(default=0)
    message_id = models.CharField(max_length=200)
    created_at = models.DateTimeField(_("time"), default=timezone.now, db_index=True)
    state = models.CharField(_("state"), max_length=8, choices=MailState.choices, default=MailState.WAITING)
    tries = models.PositiveIntegerField(_("tries"), default=0)
    next_try_at = models.DateTimeField(default=timezone.now)
    sent_at = models.DateTimeField(_("sent"), null=True, blank=True)
    error = models.CharField(_("error"), max_length=500, blank=True)

    objects = MailQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-id"]
        indexes: ClassVar = [
            models.Index(fields=["next_try_at"], condition=Q(state="waiting"), name="mail_waiting"),
            models.Index(fields=["user", "created_at"]),
            models.Index(fields=["state", "id"]),
        ]
        verbose_name = _("mail")
        verbose_name_plural = _("mails")

    def __str__(self) -> str:
        return f"{self.to}: {self.subject}"
