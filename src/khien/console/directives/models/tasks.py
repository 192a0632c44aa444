"""Tasks of every origin, each step of them, and which reminders were sent."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar, Self

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from khien.console.accounts.models import User
from khien.console.directives.models.directives import Directive
from khien.console.incidents.models import Incident, Tlp
from khien.console.units.folding import FoldedField
from khien.console.units.scoping import UnitScopedQuerySet, scope_ids


class TaskState(models.TextChoices):
    """How far a task is."""

    SENT = "sent", _("Not accepted")
    ACCEPTED = "accepted", pgettext_lazy("task", "In progress")
    FINISHED = "finished", _("To be checked")
    DONE = "done", _("Done")
    CANCELLED = "cancelled", _("Cancelled")


OWED = (TaskState.SENT, TaskState.ACCEPTED)
"""The unit still owes it: past its due time, it is overdue."""
OPEN = (*OWED, TaskState.FINISHED)
"""Not over yet."""


class TaskQuerySet(UnitScopedQuerySet["Task"]):
    """Tasks of the units one sees, those handed to oneself, and those of incidents one leads or works on.

    Tasks of an incident kept to those named are seen by them and by the unit that has the task.
    """

    def visible_to(self, user: User | AnonymousUser) -> Self:
        ids = scope_ids(user)
        if not user.is_authenticated or (ids is not None and not ids):
            return self.none()
        mine = Incident.objects.filter(Q(leader=user.pk) | Q(team=user.pk)).values("pk")
        near = Q(assignee=user.pk) | Q(incident__in=mine)
        # An incident the person does not see hides its tasks; the unit that has a task has to see it all the same.
        kept = ~Q(incident__tlp__in=(Tlp.RED, Tlp.AMBER_STRICT)) | Q(
            incident__in=Incident.objects.visible_to(user).order_by().values("pk")
        )
        open_ = Q(incident__isnull=True) | Q(unit=user.unit_id) | kept
        return self.filter(near | (open_ if ids is None else (self.of_units(ids) & open_)))

    def overdue(self, now: datetime | None = None) -> Self:
        """Those that the unit still owes past their due time."""
        return self.filter(state__in=OWED, due_at__lt=now or timezone.now())


class Task(models.Model):
    """Work that one unit owes by a time, from a directive or an incident; the unit hands it to a person.

    `wanted_due_at`: the time asked for, while a request for more time waits. `finished_at`, `finished_by`: the last
    report that it is finished.
    """

    title = models.CharField(_("task"), max_length=300)
    text = models.TextField(_("what to do"), blank=True)
    unit = models.ForeignKey("units.Unit", models.PROTECT, related_name="tasks", verbose_name=_("unit"))
    assignee = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="tasks", verbose_name=_("person")
    )
    incident = models.ForeignKey(
        "incidents.Incident", models.PROTECT, null=True, blank=True, related_name="tasks", verbose_name=_("incident")
    )
    directive = models.ForeignKey(
        Directive, models.PROTECT, null=True, blank=True, related_name="tasks", verbose_name=_("directive")
    )
    state = models.CharField(_("state"), max_length=12, choices=TaskState.choices, default=TaskState.SENT)
    progress = models.PositiveSmallIntegerField(_("progress, %"), default=0)
    due_at = models.DateTimeField(_("due"))
    wanted_due_at = models.DateTimeField(null=True, blank=True)
    sent_back = models.BooleanField(default=False)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(auto_now=True)
    accepted_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    finished_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+")
    closed_at = models.DateTimeField(null=True, blank=True)
    folded = FoldedField("title", "text")
    version = models.PositiveIntegerField(default=1)

    objects = TaskQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["due_at", "id"]
        verbose_name = _("task")
        verbose_name_plural = _("tasks")
        indexes: ClassVar = [
            models.Index(fields=["unit", "state", "due_at"]),
            models.Index(fields=["assignee", "state", "due_at"]),
            models.Index(fields=["state", "due_at"]),
            models.Index(fields=["directive", "state"]),
            models.Index(fields=["incident", "state"]),
        ]
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(progress__lte=100), name="task_progress_at_most_100"),
            models.CheckConstraint(
                condition=Q(directive__isnull=True) | Q(incident__isnull=True), name="task_of_one_origin"
            ),
        ]

    def __str__(self) -> str:
        return self.title

    @property
    def overdue(self) -> bool:
        """Whether the unit still owes it past its due time."""
        return self.state in OWED and self.due_at < timezone.now()

    @property
    def is_open(self) -> bool:
        """Whether it is not over yet."""
        return self.state in OPEN

    @property
    def late(self) -> bool:
        """Whether it was finished after its due time."""
        return self.finished_at is not None and self.finished_at > self.due_at

    @property
    def origin(self) -> str:
        """`directive`, `incident` or `other`."""
        return "directive" if self.directive_id else "incident" if self.incident_id else "other"


class StepKind(models.TextChoices):
    """What happened to a task."""

    CREATED = "created", _("Given")
    ACCEPTED = "accepted", _("Accepted")
    ASSIGNED = "assigned", _("Handed to a person")
    PROGRESS = "progress", _("Progress reported")
    FINISHED = "finished", _("Reported finished")
    DONE = "done", _("Checked: done")
    SENT_BACK = "sent_back", _("Sent back")
    MORE_TIME = "more_time", _("More time asked for")
    GRANTED = "granted", _("More time granted")
    REFUSED = "refused", _("More time refused")
    DUE = "due", _("Due time changed")
    CANCELLED = "cancelled", _("Cancelled")
    UNDONE = "undone", _("Step taken back")
    MOVED = "moved", _("Its incident was merged into another")


class TaskStep(models.Model):
    """One step in the history of a task. `data`: what changed; `before`: fields as they were, for taking it back."""

    task = models.ForeignKey(Task, models.CASCADE, related_name="steps")
    kind = models.CharField(max_length=12, choices=StepKind.choices)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    at = models.DateTimeField(default=timezone.now)
    text = models.TextField(blank=True)
    data = models.JSONField(default=dict)
    before = models.JSONField(default=dict)

    class Meta:
        ordering: ClassVar = ["at", "id"]


class TaskStepFile(models.Model):
    """A file handed in with a step."""

    step = models.ForeignKey(TaskStep, models.CASCADE, related_name="files")
    stored = models.ForeignKey("files.StoredFile", models.PROTECT, related_name="+")

    class Meta:
        ordering: ClassVar = ["id"]


class TaskReminder(models.Model):
    """A reminder that was sent, once for each `due_at`: the due time, or when what waits for a check was finished."""

    task = models.ForeignKey(Task, models.CASCADE, related_name="reminders")
    rule = models.CharField(max_length=40)
    due_at = models.DateTimeField()
    sent_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["task", "rule", "due_at"], name="task_reminder_once"),
        ]
