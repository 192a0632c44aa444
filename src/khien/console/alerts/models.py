"""Alerts as people work on them, what the rules found for them, what was done, and exceptions from rules."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Self

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from khien.console.units.scoping import UnitScopedQuerySet, scope_ids

if TYPE_CHECKING:
    from khien.console.accounts.models import User


class Level(models.IntegerChoices):
    """Severity as Sigma has it; the number orders them."""

    INFORMATIONAL = 0, _("Informational")
    LOW = 1, _("Low")
    MEDIUM = 2, _("Medium")
    HIGH = 3, _("High")
    CRITICAL = 4, _("Critical")

    @property
    def word(self) -> str:
        """Sigma's word, lower case."""
        return self.name.lower()


class Status(models.IntegerChoices):
    """How far work on an alert is."""

    NEW = 0, _("New")
    IN_PROGRESS = 1, _("In progress")
    CLOSED = 2, _("Closed")


class Verdict(models.TextChoices):
    """What an alert turned out to be."""

    NONE = "", _("No verdict")
    TRUE_POSITIVE = "true_positive", _("True positive")
    BENIGN = "benign", _("Benign: true but allowed")
    FALSE_POSITIVE = "false_positive", _("False positive")


class AlertQuerySet(UnitScopedQuerySet["Alert"]):
    """Alerts of the units one sees. Alerts of no unit are seen by those who see all."""


class Alert(models.Model):
    """Findings of one rule about one entity within a window. `key`: its id in the live service, or its own."""

    key = models.CharField(max_length=40, unique=True)
    rule_id = models.CharField(max_length=120)
    title = models.CharField(_("what"), max_length=300)
    level = models.PositiveSmallIntegerField(_("level"), choices=Level.choices)
    status = models.PositiveSmallIntegerField(_("state"), choices=Status.choices, default=Status.NEW)
    verdict = models.CharField(_("verdict"), max_length=20, choices=Verdict.choices, default=Verdict.NONE, blank=True)
    classification = models.CharField(_("class"), max_length=60, blank=True)
    reason = models.CharField(_("reason"), max_length=500, blank=True)
    unit = models.ForeignKey("units.Unit", models.PROTECT, null=True, related_name="alerts", verbose_name=_("unit"))
    system = models.ForeignKey(
        "systems.InformationSystem", models.SET_NULL, null=True, related_name="alerts", verbose_name=_("system")
    )
    entity_kind = models.CharField(max_length=12, blank=True)
    entity_value = models.CharField(_("entity"), max_length=300, blank=True)
    entities = models.JSONField(default=list)
    tags = models.JSONField(default=list)
    sources = models.JSONField(default=list)
    count = models.PositiveIntegerField(_("count"), default=1)
    first_at = models.DateTimeField(_("first"))
    last_at = models.DateTimeField(_("last"))
    arrived_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(default=timezone.now)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="owned_alerts", verbose_name=_("owner")
    )
    incident = models.ForeignKey(
        "incidents.Incident", models.PROTECT, null=True, related_name="alerts", verbose_name=_("incident")
    )
    made_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    version = models.PositiveIntegerField(default=1)

    objects = AlertQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-last_at", "-id"]
        verbose_name = _("alert")
        verbose_name_plural = _("alerts")

    def __str__(self) -> str:
        return self.title


class AlertFinding(models.Model):
    """A finding kept of an alert: the first ones and variants. `record`: as `khien hunt --format ndjson` writes it."""

    alert = models.ForeignKey(Alert, models.CASCADE, related_name="findings")
    position = models.PositiveSmallIntegerField()
    record = models.JSONField()

    class Meta:
        ordering: ClassVar = ["position"]
        constraints: ClassVar = [models.UniqueConstraint(fields=["alert", "position"], name="alert_finding_once")]


class AlertActivity(models.Model):
    """What a person did to an alert, or said about it."""

    alert = models.ForeignKey(Alert, models.CASCADE, related_name="activities")
    at = models.DateTimeField(default=timezone.now)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    kind = models.CharField(max_length=20)
    text = models.TextField(blank=True)
    data = models.JSONField(default=dict)

    class Meta:
        ordering: ClassVar = ["at", "id"]


class SavedView(models.Model):
    """A filter of the queue by name, of one person or shared with all."""

    name = models.CharField(_("name"), max_length=80)
    query = models.TextField()
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="alert_views")
    shared = models.BooleanField(_("shared"), default=False)

    class Meta:
        ordering: ClassVar = ["name"]


class RuleExceptionQuerySet(models.QuerySet["RuleException"]):
    """Exceptions: those who see all units see all, others theirs and those made from alerts they see."""

    def visible_to(self, user: User | AnonymousUser) -> Self:
        """Those a person may see."""
        ids = scope_ids(user)
        if ids is None:
            return self.all()
        return self.filter(models.Q(alert__unit_id__in=ids) | models.Q(owner_id=user.pk))


class RuleException(models.Model):
    """A Sigma filter that keeps a rule silent for what was found harmless, until it expires."""

    rule_id = models.CharField(max_length=120, db_index=True)
    title = models.CharField(_("title"), max_length=200)
    text = models.TextField(_("Sigma filter"))
    reason = models.CharField(_("reason"), max_length=500)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="rule_exceptions")
    alert = models.ForeignKey(Alert, models.SET_NULL, null=True, related_name="exceptions")
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField(_("expires"))
    ended_at = models.DateTimeField(null=True)
    ended_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    reminded_at = models.DateTimeField(null=True)
    version = models.PositiveIntegerField(default=1)

    objects = RuleExceptionQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-id"]
        verbose_name = _("exception")
        verbose_name_plural = _("exceptions")

    def __str__(self) -> str:
        return self.title
