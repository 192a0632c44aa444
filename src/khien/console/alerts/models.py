"""Alerts as people work on them, what the rules found for them, what was done, and exceptions from rules.

The words of events lie in the table `alerts_content`, which only `content.py` knows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Self

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from khien.console.units.folding import FoldedField
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
    """Findings of one rule about one entity within a window.

    `key`: its own, that of the live service's alert `live_key` when it is the first one made of it. Findings that
    joined a live alert after people had closed it here are an alert of their own, with the same `live_key`:
    `live_offset` findings of the live alert are those of its predecessors. Every write keeps `Tally` right.
    """

    key = models.CharField(max_length=60, unique=True)
    live_key = models.CharField(max_length=40, blank=True, default="")
    live_offset = models.PositiveIntegerField(default=0)
    rule_id = models.CharField(max_length=120)
    title = models.CharField(_("what"), max_length=300)
    level = models.PositiveSmallIntegerField(_("level"), choices=Level.choices)
    status = models.PositiveSmallIntegerField(_("state"), choices=Status.choices, default=Status.NEW)
    verdict = models.CharField(_("verdict"), max_length=20, choices=Verdict.choices, default=Verdict.NONE, blank=True)
    classification = models.CharField(_("class"), max_length=60, blank=True)
    reason = models.CharField(_("reason"), max_length=500, blank=True)
    unit = models.ForeignKey(
        "units.Unit", models.PROTECT, null=True, db_index=False, related_name="alerts", verbose_name=_("unit")
    )
    system = models.ForeignKey(
        "systems.InformationSystem",
        models.SET_NULL,
        null=True,
        db_index=False,
        related_name="alerts",
        verbose_name=_("system"),
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
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        null=True,
        db_index=False,
        related_name="owned_alerts",
        verbose_name=pgettext_lazy("alert", "owner"),
    )
    incident = models.ForeignKey(
        "incidents.Incident",
        models.PROTECT,
        null=True,
        db_index=False,
        related_name="alerts",
        verbose_name=_("incident"),
    )
    made_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, db_index=False, related_name="+")
    version = models.PositiveIntegerField(default=1)

    objects = AlertQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-last_at", "-id"]
        verbose_name = _("alert")
        verbose_name_plural = _("alerts")
        # What stands after `id` lets a walk along an index drop rows without looking at the table: see scanning.py.
        indexes: ClassVar = [
            models.Index(fields=["last_at", "id", "status", "level", "unit", "owner"], name="alert_recent"),
            models.Index(fields=["status", "level", "last_at", "id", "unit", "owner"], name="alert_state"),
            models.Index(fields=["unit", "status", "last_at", "id", "level", "owner"], name="alert_unit"),
            models.Index(fields=["rule_id", "last_at", "id", "status", "level", "unit"], name="alert_rule"),
            models.Index(fields=["entity_value", "last_at", "id", "status", "level", "unit"], name="alert_entity"),
            models.Index(fields=["count", "last_at", "id", "status", "level", "unit"], name="alert_count"),
            models.Index(
                fields=["owner", "status", "last_at", "id", "level", "unit"],
                name="alert_owner",
                condition=Q(owner__isnull=False),
            ),
            models.Index(
                fields=["last_at", "id", "level", "unit"],
                name="alert_unassigned",
                condition=Q(owner__isnull=True, status__lt=2),
            ),
            models.Index(
                fields=["incident", "last_at", "id"], name="alert_incident", condition=Q(incident__isnull=False)
            ),
            models.Index(
                fields=["system", "last_at", "id", "status", "level", "unit"],
                name="alert_system",
                condition=Q(system__isnull=False),
            ),
            models.Index(
                fields=["verdict", "last_at", "id", "status", "level", "unit"],
                name="alert_verdict",
                condition=~Q(verdict=""),
            ),
            models.Index(fields=["live_key", "id"], name="alert_live"),
            models.Index(fields=["updated_at", "id"], name="alert_updated"),
        ]

    def __str__(self) -> str:
        return self.title

    @property
    def word(self) -> str:
        """The level's word as Sigma has it."""
        return Level(self.level).word


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


class SavedViewQuerySet(models.QuerySet["SavedView"]):
    """Views: one's own and those shared."""

    def visible_to(self, user: User | AnonymousUser) -> Self:
        """Those a person may use. A shared view shows each person no more than that person may see."""
        return self.filter(Q(owner_id=user.pk) | Q(shared=True))


class SavedView(models.Model):
    """A state of the queue's address by name, of one person or shared with all. `query`: without the leading `?`."""

    name = models.CharField(pgettext_lazy("thing", "name"), max_length=80)
    query = models.TextField()
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="alert_views")
    shared = models.BooleanField(_("shared"), default=False)
    created_at = models.DateTimeField(default=timezone.now)

    objects = SavedViewQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["name", "id"]
        constraints: ClassVar = [models.UniqueConstraint(fields=["owner", "name"], name="alert_view_once")]

    def __str__(self) -> str:
        return self.name


class SeenRule(models.Model):
    """A rule that made alerts, as it was when last seen: names and tags to choose from and to search by."""

    rule_id = models.CharField(max_length=120, primary_key=True)
    title = models.CharField(max_length=300)
    level = models.PositiveSmallIntegerField(choices=Level.choices)
    tags = models.JSONField(default=list)
    folded = FoldedField("title")
    seen_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering: ClassVar = ["title"]

    def __str__(self) -> str:
        return self.title


class Tally(models.Model):
    """How many alerts there are by the hour of their last finding, unit, level and status.

    `hour`: hours since 1970 UTC. `unit`: the unit's id, 0 for none. -1 in either stands for all of them.
    """

    hour = models.IntegerField()
    unit = models.BigIntegerField()
    level = models.PositiveSmallIntegerField()
    status = models.PositiveSmallIntegerField()
    n = models.BigIntegerField(default=0)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["hour", "unit", "level", "status"], name="alert_tally_once")
        ]
        indexes: ClassVar = [models.Index(fields=["unit", "hour"], name="alert_tally_unit")]


class FeedCursor(models.Model):
    """How far the live service's changes have been read; written together with what they brought."""

    name = models.CharField(max_length=20, primary_key=True)
    value = models.BigIntegerField(default=0)


class Handback(models.Model):
    """A status still to be told to the live service; kept in the transaction that set it."""

    live_key = models.CharField(max_length=40)
    status = models.CharField(max_length=16)

    class Meta:
        ordering: ClassVar = ["id"]


class BulkAction(models.Model):
    """What was done to many alerts at once and how they were before, so that it can be undone for a while.

    `rows`: for each alert [id, version after, values before], the values in the order of `fields`.
    """

    kind = models.CharField(max_length=20)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    at = models.DateTimeField(default=timezone.now, db_index=True)
    fields = models.JSONField(default=list)
    rows = models.JSONField(default=list)
    undone_at = models.DateTimeField(null=True)


class RuleExceptionQuerySet(models.QuerySet["RuleException"]):
    """Exceptions: those who see all units see all, others theirs and those made from alerts they see."""

    def visible_to(self, user: User | AnonymousUser) -> Self:
        """Those a person may see."""
        ids = scope_ids(user)
        if ids is None:
            return self.all()
        return self.filter(Q(alert__unit_id__in=ids) | Q(owner_id=user.pk))


class RuleException(models.Model):
    """A Sigma filter that keeps a rule silent for what was found harmless, until it expires.

    `preview`: what it would have silenced when it was made: numbers `silenced` and `of` of alerts in 30 days.
    """

    rule_id = models.CharField(max_length=120, db_index=True)
    title = models.CharField(_("title"), max_length=200)
    text = models.TextField(_("Sigma filter"))
    reason = models.CharField(_("reason"), max_length=500)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="rule_exceptions")
    alert = models.ForeignKey(Alert, models.SET_NULL, null=True, related_name="exceptions")
    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(auto_now=True)
    expires_at = models.DateTimeField(_("expires"))
    ended_at = models.DateTimeField(null=True)
    ended_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    reminded_at = models.DateTimeField(null=True)
    preview = models.JSONField(default=dict)
    folded = FoldedField("title", "rule_id", "reason")
    version = models.PositiveIntegerField(default=1)

    objects = RuleExceptionQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-id"]
        verbose_name = _("exception")
        verbose_name_plural = _("exceptions")

    def __str__(self) -> str:
        return self.title
