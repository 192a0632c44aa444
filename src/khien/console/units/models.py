"""Units form a tree; the subcommittee's people are appointed for a term."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import get_language, pgettext_lazy
from django.utils.translation import gettext_lazy as _

from khien.console.units.folding import FoldedField
from khien.console.units.scoping import UnitScopedQuerySet


class UnitKind(models.Model):
    """A kind of units, as data: standing office, department, commune, enterprise ...

    `oversees`: people of such units see all units, not theirs alone.
    """

    code = models.SlugField(_("code"), max_length=40, unique=True)
    name_vi = models.CharField(_("name in Vietnamese"), max_length=120)
    name_en = models.CharField(_("name in English"), max_length=120)
    oversees = models.BooleanField(_("sees all units"), default=False)
    position = models.PositiveSmallIntegerField(_("order"), default=100)
    version = models.PositiveIntegerField(default=1, editable=False)

    class Meta:
        ordering: ClassVar = ["position", "code"]
        verbose_name = _("kind of units")
        verbose_name_plural = _("kinds of units")

    def __str__(self) -> str:
        return self.name_en if (get_language() or "").startswith("en") else self.name_vi


class UnitQuerySet(UnitScopedQuerySet["Unit"]):
    """Units: one sees one's own and those below."""

    unit_field = "id"


class Unit(models.Model):
    """An agency, office, commune or company. `path`: numbers of the units from the root down to it, "1.5.12."."""

    code = models.SlugField(_("code"), max_length=60, unique=True)
    name = models.CharField(pgettext_lazy("thing", "name"), max_length=200)
    short_name = models.CharField(_("short name"), max_length=60, blank=True)
    kind = models.ForeignKey(UnitKind, models.PROTECT, related_name="units", verbose_name=_("kind"))
    parent = models.ForeignKey(
        "self", models.PROTECT, null=True, blank=True, related_name="children", verbose_name=_("part of")
    )
    path = models.CharField(max_length=200, default="", editable=False, db_index=True)
    address = models.CharField(_("address"), max_length=300, blank=True)
    email = models.EmailField(_("e-mail"), blank=True)
    phone = models.CharField(_("phone"), max_length=32, blank=True)
    is_active = models.BooleanField(_("active"), default=True)
    folded = FoldedField("name", "short_name", "code")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)
    version = models.PositiveIntegerField(default=1, editable=False)

    objects = UnitQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["name"]
        verbose_name = _("unit")
        verbose_name_plural = _("units")

    def __str__(self) -> str:
        return self.short_name or self.name


class Seat(models.TextChoices):
    """A place in the subcommittee."""

    CHAIR = "chair", _("Chair")
    DEPUTY = "deputy", _("Deputy chair")
    MEMBER = "member", _("Member")
    SUPPORT = "support", _("Support group")


class Appointment(models.Model):
    """Somebody holds a seat by a decision for a term. It is ended, never deleted: that is the history."""

    seat = models.CharField(_("seat"), max_length=12, choices=Seat.choices)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="appointments"
    )
    person = models.CharField(_("name of the person"), max_length=120)
    position = models.CharField(_("position"), max_length=200, blank=True)
    unit = models.ForeignKey(Unit, models.PROTECT, null=True, blank=True, related_name="appointments")
    decision_number = models.CharField(_("decision number"), max_length=60)
    decision_date = models.DateField(_("decision date"))
    starts_on = models.DateField(_("from"))
    ends_on = models.DateField(_("until"), null=True, blank=True)
    end_reason = models.CharField(_("reason for the end"), max_length=200, blank=True)
    replaces = models.ForeignKey("self", models.PROTECT, null=True, blank=True, related_name="replaced_by")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    version = models.PositiveIntegerField(default=1, editable=False)

    class Meta:
        ordering: ClassVar = ["seat", "starts_on", "id"]
        verbose_name = _("appointment")
        verbose_name_plural = _("appointments")

    def __str__(self) -> str:
        return f"{self.get_seat_display()}: {self.person}"
