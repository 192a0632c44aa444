"""Notices to people."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext


class Notice(models.Model):
    """One thing one person is told. `text` is a message id with `params` in it, read in the person's language."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="notices")
    kind = models.CharField(max_length=60)
    text = models.CharField(max_length=300)
    params = models.JSONField(default=dict)
    url = models.CharField(max_length=300, blank=True)
    urgent = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=timezone.now)
    read_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["-id"]
        indexes: ClassVar = [models.Index(fields=["user", "read_at", "id"])]

    def __str__(self) -> str:
        return gettext(self.text) % self.params
