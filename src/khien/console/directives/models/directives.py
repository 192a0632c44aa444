"""Directives: what units are told to do, by when, on what basis."""

from __future__ import annotations

from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from khien.console.directives.models.sessions import Conclusion
from khien.console.units.folding import FoldedField
from khien.console.units.office import directive_sign
from khien.console.units.scoping import UnitScopedQuerySet


class DirectiveState(models.TextChoices):
    """How far a directive is."""

    DRAFT = "draft", _("Draft")
    ISSUED = "issued", _("Issued")
    CLOSED = "closed", _("Closed")
    WITHDRAWN = "withdrawn", _("Withdrawn")


class DirectiveQuerySet(UnitScopedQuerySet["Directive"]):
    """Directives to units one sees; drafts are seen by those who see all."""

    def of_units(self, ids: Any) -> Q:
        told = DirectiveUnit.objects.filter(unit__in=ids)
        return Q(pk__in=told.values("directive")) & ~Q(state=DirectiveState.DRAFT)


class Directive(models.Model):
    """A directive. `number` and `year` are given when it is issued; `sign` stands behind: 12/CĐ-TBATANM."""

    conclusion = models.ForeignKey(
        Conclusion, models.PROTECT, null=True, blank=True, related_name="directives", verbose_name=_("conclusion")
    )
    number = models.PositiveIntegerField(_("number"), null=True, blank=True)
    year = models.PositiveSmallIntegerField(null=True, blank=True)
    sign = models.CharField(_("sign"), max_length=40, default=directive_sign)
    title = models.CharField(pgettext_lazy("directive", "title"), max_length=300)
    basis = models.TextField(_("basis"), blank=True)
    text = models.TextField(_("text"))
    due_at = models.DateTimeField(_("due"))
    state = models.CharField(_("state"), max_length=12, choices=DirectiveState.choices, default=DirectiveState.DRAFT)
    signer = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("signed by")
    )
    issued_at = models.DateTimeField(_("issued"), null=True, blank=True)
    closed_at = models.DateTimeField(null=True, blank=True)
    end_reason = models.CharField(_("reason"), max_length=500, blank=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(auto_now=True)
    folded = FoldedField("sign", "title", "text", "basis")
    version = models.PositiveIntegerField(default=1)

    objects = DirectiveQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-id"]
        verbose_name = _("directive")
        verbose_name_plural = _("directives")
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["year", "sign", "number"], name="directive_number_once"),
        ]

    def __str__(self) -> str:
        return f"{self.label} {self.title}".strip()

    @property
    def label(self) -> str:
        """Number and sign, "" for a draft."""
        return f"{self.number}/{self.sign}" if self.number else ""


class DirectiveUnit(models.Model):
    """A unit that a directive tells. `due_at`: its own due time, if not the directive's. `removed_at`: by amendment."""

    directive = models.ForeignKey(Directive, models.CASCADE, related_name="units")
    unit = models.ForeignKey("units.Unit", models.PROTECT, related_name="+", verbose_name=_("unit"))
    due_at = models.DateTimeField(_("due"), null=True, blank=True)
    removed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["id"]
        constraints: ClassVar = [models.UniqueConstraint(fields=["directive", "unit"], name="directive_unit_once")]


class AmendmentKind(models.TextChoices):
    """What an amendment changed."""

    DUE = "due", _("Due time changed")
    UNIT_ADDED = "unit_added", _("Unit added")
    UNIT_REMOVED = "unit_removed", _("Unit taken out")


class Amendment(models.Model):
    """A change of an issued directive, with its reason. `unit`: none when the directive's own due time changed."""

    directive = models.ForeignKey(Directive, models.CASCADE, related_name="amendments")
    kind = models.CharField(max_length=16, choices=AmendmentKind.choices)
    unit = models.ForeignKey("units.Unit", models.PROTECT, null=True, related_name="+")
    old_due_at = models.DateTimeField(null=True)
    new_due_at = models.DateTimeField(null=True)
    reason = models.CharField(_("reason"), max_length=500)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering: ClassVar = ["at", "id"]
