"""Incidents."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from khien.console.units.scoping import UnitScopedQuerySet


class Tlp(models.TextChoices):
    """Traffic Light Protocol 2.0. RED and AMBER+STRICT: only those named see the incident."""

    CLEAR = "CLEAR", "TLP:CLEAR"
    GREEN = "GREEN", "TLP:GREEN"
    AMBER = "AMBER", "TLP:AMBER"
    AMBER_STRICT = "AMBER+STRICT", "TLP:AMBER+STRICT"
    RED = "RED", "TLP:RED"


class IncidentStatus(models.TextChoices):
    """How far an incident is."""

    OPEN = "open", _("Open")
    CONTAINED = "contained", _("Contained")
    RESOLVED = "resolved", _("Resolved")
    CLOSED = "closed", _("Closed")
    MERGED = "merged", _("Merged into another")


class IncidentQuerySet(UnitScopedQuerySet["Incident"]):
    """Incidents one may see."""


class Incident(models.Model):
    """An incident: of one unit that leads, with systems and units affected. `number`: SC-2026-0001, anew each year."""

    number = models.CharField(_("number"), max_length=20, unique=True)
    title = models.CharField(_("title"), max_length=300)
    description = models.TextField(_("description"), blank=True)
    level = models.PositiveSmallIntegerField(_("severity"), default=2)
    classification = models.CharField(_("class"), max_length=60, blank=True)
    status = models.CharField(_("state"), max_length=12, choices=IncidentStatus.choices, default=IncidentStatus.OPEN)
    tlp = models.CharField("TLP", max_length=14, choices=Tlp.choices, default=Tlp.AMBER)
    unit = models.ForeignKey("units.Unit", models.PROTECT, related_name="incidents", verbose_name=_("unit"))
    units = models.ManyToManyField("units.Unit", related_name="affected_by", blank=True)
    systems = models.ManyToManyField("systems.InformationSystem", related_name="incidents", blank=True)
    leader = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="leads")
    team = models.ManyToManyField(settings.AUTH_USER_MODEL, related_name="incident_teams", blank=True)
    detected_at = models.DateTimeField(_("detected"))
    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(auto_now=True)
    closed_at = models.DateTimeField(null=True, blank=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    version = models.PositiveIntegerField(default=1)

    objects = IncidentQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-id"]
        verbose_name = _("incident")
        verbose_name_plural = _("incidents")

    def __str__(self) -> str:
        return f"{self.number} {self.title}"


from khien.console.incidents.evidence_models import Custody, Evidence, Handling  # noqa: E402, F401
