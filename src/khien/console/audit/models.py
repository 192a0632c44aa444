"""Entries of the audit trail. Each carries the hash of the one before, so none can be changed or taken out unseen."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _


class Entry(models.Model):
    """Who did what to which thing, when, from where. Written by `services.record` only, never changed."""

    number = models.BigIntegerField(primary_key=True)
    at = models.DateTimeField(_("time"), db_index=True)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("who")
    )
    actor_name = models.CharField(max_length=200)
    action = models.CharField(_("action"), max_length=60, db_index=True)
    target_type = models.CharField(max_length=60, blank=True)
    target_id = models.CharField(max_length=64, blank=True)
    target_text = models.CharField(_("what"), max_length=300, blank=True)
    address = models.CharField(_("from"), max_length=64, blank=True)
    agent = models.CharField(max_length=300, blank=True)
    before = models.JSONField(null=True)
    after = models.JSONField(null=True)
    previous = models.CharField(max_length=64)
    digest = models.CharField(max_length=64)

    class Meta:
        ordering: ClassVar = ["-number"]
        indexes: ClassVar = [
            models.Index(fields=["target_type", "target_id", "number"]),
            models.Index(fields=["actor", "number"]),
        ]

    def __str__(self) -> str:
        return f"{self.number} {self.action}"


class Head(models.Model):
    """The end of the chain, one row: writers hold it while they add an entry."""

    number = models.BigIntegerField(default=0)
    digest = models.CharField(max_length=64, default="")
