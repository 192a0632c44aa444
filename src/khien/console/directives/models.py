"""Sessions, directives, and tasks of every origin."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from khien.console.units.scoping import UnitScopedQuerySet


class TaskState(models.TextChoices):
    """How far a task is."""

    SENT = "sent", _("Not accepted")
    ACCEPTED = "accepted", _("In progress")
    FINISHED = "finished", _("To be checked")
    DONE = "done", _("Done")
    CANCELLED = "cancelled", _("Cancelled")


class TaskQuerySet(UnitScopedQuerySet["Task"]):
    """Tasks of the units one sees."""


class Task(models.Model):
    """Work that one unit owes by a time, from a directive or an incident; the unit hands it to a person."""

    title = models.CharField(_("task"), max_length=300)
    text = models.TextField(_("what to do"), blank=True)
    unit = models.ForeignKey("units.Unit", models.PROTECT, related_name="tasks", verbose_name=_("unit"))
    assignee = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="tasks", verbose_name=_("person")
    )
    incident = models.ForeignKey(
        "incidents.Incident", models.PROTECT, null=True, blank=True, related_name="tasks", verbose_name=_("incident")
    )
    state = models.CharField(_("state"), max_length=12, choices=TaskState.choices, default=TaskState.SENT)
    progress = models.PositiveSmallIntegerField(_("progress, %"), default=0)
    due_at = models.DateTimeField(_("due"))
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(auto_now=True)
    closed_at = models.DateTimeField(null=True, blank=True)
    version = models.PositiveIntegerField(default=1)

    objects = TaskQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["due_at", "id"]
        verbose_name = _("task")
        verbose_name_plural = _("tasks")

    def __str__(self) -> str:
        return self.title
