"""Imports: a file somebody uploaded, looked at before it is applied."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class ImportQuerySet(models.QuerySet["Import"]):
    """Imports: each sees one's own."""

    def visible_to(self, user: object) -> ImportQuerySet:
        """Those a person uploaded."""
        return self.filter(by=user)


class Import(models.Model):
    """An uploaded table. `importer`: its name. `result`: how many rows were created, changed, left as they were."""

    importer = models.CharField(max_length=40)
    file = models.ForeignKey("files.StoredFile", models.PROTECT, related_name="+")
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)
    applied_at = models.DateTimeField(null=True)
    result = models.JSONField(default=dict)
    version = models.PositiveIntegerField(default=1)

    objects = ImportQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-id"]
        verbose_name = _("import")
        verbose_name_plural = _("imports")

    def __str__(self) -> str:
        return f"{self.importer}: {self.file.name}"
