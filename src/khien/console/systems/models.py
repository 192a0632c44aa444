"""Information systems, and the names and addresses by which telemetry is known to be theirs."""

from __future__ import annotations

from typing import ClassVar

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from khien.console.units.folding import FoldedField
from khien.console.units.models import Unit
from khien.console.units.scoping import UnitScopedQuerySet


class SystemQuerySet(UnitScopedQuerySet["InformationSystem"]):
    """Systems of the units one sees."""


class InformationSystem(models.Model):
    """A system of a unit. `hostnames`: names, `*` stands for any text; `address_ranges`: CIDR; a line each."""

    code = models.SlugField(_("code"), max_length=60, unique=True)
    name = models.CharField(pgettext_lazy("thing", "name"), max_length=200)
    unit = models.ForeignKey(Unit, models.PROTECT, related_name="systems", verbose_name=_("unit"))
    level = models.PositiveSmallIntegerField(
        _("security level"), default=1, validators=[MinValueValidator(1), MaxValueValidator(5)]
    )
    description = models.TextField(_("description"), blank=True)
    hostnames = models.TextField(_("host names"), blank=True)
    address_ranges = models.TextField(_("address ranges"), blank=True)
    is_active = models.BooleanField(_("active"), default=True)
    folded = FoldedField("name", "code", "hostnames", "address_ranges")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)
    version = models.PositiveIntegerField(default=1, editable=False)

    objects = SystemQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["name"]
        verbose_name = _("information system")
        verbose_name_plural = _("information systems")

    def __str__(self) -> str:
        return self.name
