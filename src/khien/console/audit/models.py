"""Entries of the audit trail. Each carries the hash of the one before, so none can be changed or taken out unseen."""

from __future__ import annotations

from typing import Any, ClassVar

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.db import models
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from khien.console.accounts.models import User
from khien.console.units.scoping import UnitScopedQuerySet


class EntryQuerySet(UnitScopedQuerySet["Entry"]):
    """Entries: of what the people of the units one sees did; what nobody did only for those who see all units."""

    def of_units(self, ids: Any) -> models.Q:
        return models.Q(actor__in=User.objects.filter(unit_id__in=ids).values("id"))

    def of_target(self, target: models.Model) -> EntryQuerySet:
        """The history of one thing."""
        return self.filter(target_type=target._meta.label_lower, target_id=str(target.pk))

    def readable_by(self, user: User | AnonymousUser) -> EntryQuerySet:
        """What the viewer shows: nothing without the capability."""
        allowed = user.is_authenticated and user.may("audit.view")
        return self.visible_to(user) if allowed else self.none()


class Entry(models.Model):
    """Who did what to which thing, when, from where. Written by `services.record` only, never changed.

    The database refuses changes too, see `append_only`.
    """

    number = models.BigIntegerField(_("number"), primary_key=True)
    at = models.DateTimeField(_("time"), db_index=True)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("who")
    )
    actor_name = models.CharField(max_length=400)
    action = models.CharField(_("action"), max_length=60)
    target_type = models.CharField(max_length=60, blank=True)
    target_id = models.CharField(max_length=64, blank=True)
    target_text = models.CharField(pgettext_lazy("audit", "what"), max_length=300, blank=True)
    address = models.CharField(_("from"), max_length=64, blank=True)
    agent = models.CharField(max_length=300, blank=True)
    before = models.JSONField(null=True)
    after = models.JSONField(null=True)
    previous = models.CharField(max_length=64)
    digest = models.CharField(max_length=64)

    objects = EntryQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-number"]
        indexes: ClassVar = [
            models.Index(fields=["target_type", "target_id", "number"]),
            models.Index(fields=["actor", "number"]),
            models.Index(fields=["action", "number"]),
            models.Index(fields=["address", "number"]),
        ]

    def __str__(self) -> str:
        return f"{self.number} {self.action}"


class Head(models.Model):
    """The end of the chain, one row: writers hold it while they add an entry."""

    number = models.BigIntegerField(default=0)
    digest = models.CharField(max_length=64, default="")
