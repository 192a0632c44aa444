"""Evidence of an incident and its chain of custody: added to, never changed, never deleted."""

from __future__ import annotations

from typing import Any, ClassVar, NoReturn

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from khien.console.units.scoping import UnitScopedQuerySet


class Immutable(Exception):
    """Somebody tried to change or delete what is kept for ever."""


class EvidenceQuerySet(UnitScopedQuerySet["Evidence"]):
    """Evidence of the incidents one may see."""

    unit_field = "incident__unit_id"

    def visible_to(self, user: Any) -> EvidenceQuerySet:
        """What belongs to an incident the person may see."""
        from khien.console.incidents.models import Incident

        return self.filter(incident__in=Incident.objects.visible_to(user).order_by().values("pk"))

    def listed(self) -> EvidenceQuerySet:
        """With what a list shows, in a bounded number of queries."""
        return self.select_related("file", "added_by", "withdrawn_by")

    def delete(self) -> NoReturn:
        """Evidence is withdrawn, not deleted."""
        raise Immutable

    def update(self, **kwargs: Any) -> NoReturn:
        """Evidence changes only through `save`, which knows what may."""
        raise Immutable


class Evidence(models.Model):
    """A file kept as evidence. `number`: 1, 2, 3 ... within its incident; its SHA-256 is that of `file`.

    What was given at the upload never changes; a withdrawn one stays, with the reason.
    """

    incident = models.ForeignKey("incidents.Incident", models.PROTECT, related_name="evidence")
    number = models.PositiveIntegerField()
    file = models.ForeignKey("files.StoredFile", models.PROTECT, related_name="evidence")
    description = models.TextField(_("what it is"))
    collected_at = models.DateTimeField(_("collected at"))
    collected_where = models.CharField(_("collected where"), max_length=300)
    collected_by = models.CharField(_("collected by"), max_length=200)
    added_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    added_at = models.DateTimeField(default=timezone.now)
    withdrawn_at = models.DateTimeField(null=True, blank=True)
    withdrawn_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+")
    withdrawn_reason = models.CharField(_("reason"), max_length=500, blank=True)
    version = models.PositiveIntegerField(default=1)

    objects = EvidenceQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["number"]
        constraints: ClassVar = [models.UniqueConstraint(fields=["incident", "number"], name="evidence_number_once")]
        verbose_name = _("evidence")
        verbose_name_plural = _("evidence")

    def __str__(self) -> str:
        return f"{self.label} {self.file.name}"

    @property
    def label(self) -> str:
        """Its number as people write it: CC-01."""
        return f"CC-{self.number:02d}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Only a withdrawal, and the incident it belongs to when incidents merge, are ever written again."""
        if self.pk:
            allowed = {"withdrawn_at", "withdrawn_by", "withdrawn_reason", "version", "incident", "number"}
            if not set(kwargs.get("update_fields") or ("everything",)) <= allowed:
                raise Immutable
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Evidence is withdrawn, not deleted."""
        raise Immutable


class Handling(models.TextChoices):
    """What was done with a piece of evidence."""

    UPLOADED = "uploaded", pgettext_lazy("evidence", "Uploaded")
    VIEWED = "viewed", pgettext_lazy("evidence", "Viewed")
    DOWNLOADED = "downloaded", pgettext_lazy("evidence", "Downloaded")
    HANDED_OVER = "handed_over", pgettext_lazy("evidence", "Handed over")
    VERIFIED = "verified", pgettext_lazy("evidence", "Verified")
    MOVED = "moved", pgettext_lazy("evidence", "Moved to another incident")
    WITHDRAWN = "withdrawn", pgettext_lazy("evidence", "Withdrawn")


class CustodyQuerySet(models.QuerySet["Custody"]):
    """Entries of the chain of custody."""

    def delete(self) -> NoReturn:
        """The chain only grows."""
        raise Immutable

    def update(self, **kwargs: Any) -> NoReturn:
        """The chain only grows."""
        raise Immutable


class Custody(models.Model):
    """An entry of the chain of custody: who did what with it, when, from where and why.

    `to`: who received it when handed over. `intact`: what a verification found.
    """

    evidence = models.ForeignKey(Evidence, models.PROTECT, related_name="custody")
    at = models.DateTimeField(default=timezone.now)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    kind = models.CharField(max_length=12, choices=Handling.choices)
    reason = models.CharField(max_length=500, blank=True)
    to = models.CharField(max_length=300, blank=True)
    intact = models.BooleanField(null=True)
    address = models.CharField(max_length=64, blank=True)

    objects = CustodyQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["at", "id"]

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Written once."""
        if self.pk:
            raise Immutable
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        """The chain only grows."""
        raise Immutable
