"""Sessions of the subcommittee: what was on the agenda, who came, what was concluded."""

from __future__ import annotations

from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from khien.console.units.folding import FoldedField
from khien.console.units.scoping import UnitScopedQuerySet


class SessionKind(models.TextChoices):
    """What kind of session it is."""

    REGULAR = "regular", _("Regular session")
    EXTRAORDINARY = "extraordinary", _("Extraordinary session")
    THEMATIC = "thematic", _("Thematic session")
    REVIEW = "review", _("Review session")


class SessionState(models.TextChoices):
    """How far a session is. Concluded: the minutes stand, nothing in them is changed any more."""

    PLANNED = "planned", _("Planned")
    HELD = "held", _("Held")
    CONCLUDED = "concluded", _("Concluded")


class Presence(models.TextChoices):
    """Whether one who was called came."""

    INVITED = "invited", _("Invited")
    PRESENT = "present", _("Present")
    ABSENT = "absent", _("Absent")
    SUBSTITUTE = "substitute", _("Substitute")


class SessionQuerySet(UnitScopedQuerySet["Session"]):
    """Sessions that units one sees were called to."""

    def of_units(self, ids: Any) -> Q:
        called = Attendance.objects.filter(Q(unit__in=ids) | Q(appointment__unit__in=ids))
        return Q(pk__in=called.values("session"))


class Session(models.Model):
    """A session. `number`: PH-2026-01, anew each year."""

    kind = models.CharField(_("kind"), max_length=16, choices=SessionKind.choices, default=SessionKind.REGULAR)
    number = models.CharField(_("number"), max_length=40, unique=True)
    title = models.CharField(pgettext_lazy("session", "title"), max_length=300)
    starts_at = models.DateTimeField(_("begins"))
    ends_at = models.DateTimeField(_("ends"), null=True, blank=True)
    place = models.CharField(_("place"), max_length=200, blank=True)
    chair = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="chaired_sessions",
        verbose_name=_("chaired by"),
    )
    secretary = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="recorded_sessions",
        verbose_name=_("secretary"),
    )
    state = models.CharField(_("state"), max_length=12, choices=SessionState.choices, default=SessionState.PLANNED)
    minutes = models.TextField(_("minutes"), blank=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(auto_now=True)
    concluded_at = models.DateTimeField(null=True, blank=True)
    folded = FoldedField("number", "title")
    version = models.PositiveIntegerField(default=1)

    objects = SessionQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-starts_at", "-id"]
        verbose_name = _("session")
        verbose_name_plural = _("sessions")

    def __str__(self) -> str:
        return f"{self.number} {self.title}"


class AgendaItem(models.Model):
    """A point of the agenda, and what was said to it."""

    session = models.ForeignKey(Session, models.CASCADE, related_name="agenda")
    position = models.PositiveSmallIntegerField()
    title = models.CharField(_("item"), max_length=300)
    presenter = models.CharField(_("presented by"), max_length=200, blank=True)
    notes = models.TextField(_("what was said"), blank=True)

    class Meta:
        ordering: ClassVar = ["position", "id"]

    def __str__(self) -> str:
        return self.title


class Attendance(models.Model):
    """Somebody called to a session: by a seat in the subcommittee or for a unit. `person`: who came, or was to come."""

    session = models.ForeignKey(Session, models.CASCADE, related_name="attendance")
    appointment = models.ForeignKey("units.Appointment", models.PROTECT, null=True, blank=True, related_name="+")
    unit = models.ForeignKey("units.Unit", models.PROTECT, null=True, blank=True, related_name="+")
    person = models.CharField(_("person"), max_length=160, blank=True)
    presence = models.CharField(_("presence"), max_length=12, choices=Presence.choices, default=Presence.INVITED)
    note = models.CharField(_("note"), max_length=200, blank=True)

    class Meta:
        ordering: ClassVar = ["id"]
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(appointment__isnull=False) ^ Q(unit__isnull=False), name="attendance_of_a_seat_or_a_unit"
            ),
            models.UniqueConstraint(fields=["session", "appointment"], name="attendance_once_a_seat"),
            models.UniqueConstraint(fields=["session", "unit"], name="attendance_once_a_unit"),
        ]

    def __str__(self) -> str:
        return self.who

    @property
    def who(self) -> str:
        """The seat or the unit called."""
        return str(self.appointment or self.unit)


class Conclusion(models.Model):
    """A numbered conclusion of a session; directives come from it."""

    session = models.ForeignKey(Session, models.CASCADE, related_name="conclusions")
    number = models.PositiveSmallIntegerField(_("number"))
    text = models.TextField(_("conclusion"))

    class Meta:
        ordering: ClassVar = ["number", "id"]
        constraints: ClassVar = [models.UniqueConstraint(fields=["session", "number"], name="conclusion_once")]

    def __str__(self) -> str:
        return f"{self.number}. {self.text}"[:120]
