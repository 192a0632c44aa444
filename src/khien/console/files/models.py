"""A file as it was uploaded: its bytes lie in the data folder under their SHA-256, never changed."""

from __future__ import annotations

from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.utils import timezone


class StoredFile(models.Model):
    """One upload. Equal bytes share a place on disk; who may read it is told by what it belongs to."""

    sha256 = models.CharField(max_length=64, db_index=True)
    size = models.BigIntegerField()
    name = models.CharField(max_length=255)
    content_type = models.CharField(max_length=120)
    uploaded_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    uploaded_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering: ClassVar = ["id"]

    def __str__(self) -> str:
        return self.name

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Written once."""
        if self.pk:
            raise TypeError("an uploaded file never changes")
        super().save(*args, **kwargs)
