"""Incidents: what they are, what happened and was done, what gives them away, and the law's clocks on them."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, Self

from django.conf import settings
from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone
from django.utils.translation import get_language, gettext
from django.utils.translation import gettext_lazy as _

from khien.console.units.folding import FoldedField
from khien.console.units.scoping import UnitScopedQuerySet, scope_ids

if TYPE_CHECKING:
    from khien.console.accounts.models import User


class Tlp(models.TextChoices):
    """Traffic Light Protocol 2.0. RED and AMBER+STRICT: only those named see the incident."""

    CLEAR = "CLEAR", "TLP:CLEAR"
    GREEN = "GREEN", "TLP:GREEN"
    AMBER = "AMBER", "TLP:AMBER"
    AMBER_STRICT = "AMBER+STRICT", "TLP:AMBER+STRICT"
    RED = "RED", "TLP:RED"


SENSITIVE = (Tlp.AMBER_STRICT, Tlp.RED)


class IncidentStatus(models.TextChoices):
    """How far an incident is."""

    OPEN = "open", _("Open")
    CONTAINED = "contained", _("Contained")
    RESOLVED = "resolved", _("Resolved")
    CLOSED = "closed", _("Closed")
    MERGED = "merged", _("Merged into another")


WORKING = (IncidentStatus.OPEN, IncidentStatus.CONTAINED, IncidentStatus.RESOLVED)
"""States in which work goes on."""


class IncidentQuerySet(UnitScopedQuerySet["Incident"]):
    """Incidents one may see."""

    def visible_to(self, user: User) -> Self:
        """Those led by or touching a unit one sees, or led by oneself or with oneself in the team.

        Sensitive ones: of these only where one is leader, in the team, or opened it, or may see all sensitive ones.
        """
        found = self._near(user)
        if not user.may("incidents.sensitive"):
            found = found.filter(~Q(tlp__in=SENSITIVE) | _named(user) | Q(created_by=user.pk))
        return found

    def kept_from(self, user: User) -> Self:
        """Sensitive ones that one would see, were they not sensitive."""
        seen = Incident.objects.visible_to(user).order_by().values("pk")
        return self._near(user).filter(tlp__in=SENSITIVE).exclude(pk__in=seen)

    def _near(self, user: User) -> Self:
        """Those led by or touching a unit one sees, or where one is named, sensitive or not."""
        if not user.is_authenticated or not user.may("incidents.view"):
            return self.none()
        ids = scope_ids(user)
        if ids is None:
            return self.all()
        touched = Incident.units.through.objects.filter(incident_id=OuterRef("pk"), unit_id__in=ids)
        return self.filter(Q(unit_id__in=ids) | Q(Exists(touched)) | _named(user))


def _named(user: User) -> Q:
    """That one leads an incident or is in its team."""
    team = Incident.team.through.objects.filter(incident_id=OuterRef("pk"), user_id=user.pk)
    return Q(leader=user.pk) | Q(Exists(team))


class Incident(models.Model):
    """An incident: of one unit that leads, with systems and units affected. `number`: SC-2026-0001, anew each year.

    `working_class`: the class people choose; `classification`: its RSIT type. `urgent`, `serious`, `personal_data`:
    what the legal clocks go by. `next_due_at`: the earliest open clock, kept by `clocks`.
    """

    number = models.CharField(_("number"), max_length=20, unique=True)
    title = models.CharField(_("title"), max_length=300)
    description = models.TextField(_("description"), blank=True)
    level = models.PositiveSmallIntegerField(_("severity"), default=2)
    working_class = models.CharField(_("class"), max_length=40, default="other")
    classification = models.CharField(_("RSIT class"), max_length=60, blank=True)
    status = models.CharField(_("state"), max_length=12, choices=IncidentStatus.choices, default=IncidentStatus.OPEN)
    tlp = models.CharField("TLP", max_length=14, choices=Tlp.choices, default=Tlp.AMBER)
    unit = models.ForeignKey("units.Unit", models.PROTECT, related_name="incidents", verbose_name=_("leading unit"))
    units = models.ManyToManyField(
        "units.Unit", related_name="affected_by", blank=True, verbose_name=_("affected units")
    )
    systems = models.ManyToManyField(
        "systems.InformationSystem", related_name="incidents", blank=True, verbose_name=_("affected systems")
    )
    leader = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="leads", verbose_name=_("leader")
    )
    team = models.ManyToManyField(
        settings.AUTH_USER_MODEL, related_name="incident_teams", blank=True, verbose_name=_("team")
    )
    urgent = models.BooleanField(
        _("signs of harm to national security or public order, or serious disruption"), default=False
    )
    serious = models.BooleanField(_("serious incident"), default=False)
    personal_data = models.BooleanField(_("personal data affected"), default=False)
    personal_data_at = models.DateTimeField(_("breach of personal data detected"), null=True, blank=True)
    detected_at = models.DateTimeField(_("detected"))
    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(auto_now=True)
    closed_at = models.DateTimeField(null=True, blank=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    cause = models.TextField(_("cause"), blank=True)
    effect = models.TextField(_("effect"), blank=True)
    lessons = models.TextField(_("lessons"), blank=True)
    next_due_at = models.DateTimeField(null=True, editable=False)
    merged_into = models.ForeignKey("self", models.PROTECT, null=True, editable=False, related_name="merged")
    split_from = models.ForeignKey("self", models.PROTECT, null=True, editable=False, related_name="splits")
    related = models.ManyToManyField("self", blank=True, verbose_name=_("related incidents"))
    folded = FoldedField("number", "title", "description")
    version = models.PositiveIntegerField(default=1)

    objects = IncidentQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-id"]
        indexes: ClassVar = [
            models.Index(fields=["status", "-detected_at"]),
            models.Index(fields=["next_due_at"]),
        ]
        verbose_name = _("incident")
        verbose_name_plural = _("incidents")

    def __str__(self) -> str:
        return f"{self.number} {self.title}"

    @property
    def is_sensitive(self) -> bool:
        """Whether only those named see it."""
        return self.tlp in SENSITIVE

    @property
    def is_working(self) -> bool:
        """Whether work goes on: neither closed nor merged."""
        return self.status in WORKING


class NumberSeries(models.Model):
    """The last number given in a year; its row is held while one is given, so there are no gaps."""

    year = models.PositiveSmallIntegerField(primary_key=True)
    last = models.PositiveIntegerField(default=0)


class OfIncidentQuerySet(UnitScopedQuerySet[Any]):
    """What belongs to an incident one may see."""

    unit_field = "incident__unit_id"

    def visible_to(self, user: User) -> Self:
        """Those of incidents the person may see."""
        return self.filter(incident__in=Incident.objects.visible_to(user).order_by().values("pk"))


class EntryQuerySet(OfIncidentQuerySet):
    """Entries one may see: none that names another incident one may not see."""

    def visible_to(self, user: User) -> Self:
        """Those of incidents the person may see, about nothing the person may not see."""
        incidents = Incident.objects.visible_to(user).order_by().values("pk")
        return self.filter(Q(about=None) | Q(about__in=incidents), incident__in=incidents)


class EntryKind(models.TextChoices):
    """What an entry of the timeline tells. Events are the attack's, all others are ours."""

    EVENT = "event", _("Event")
    NOTE = "note", _("Note")
    ACTION = "action", _("Action")
    MAIL_IN = "mail_in", _("Mail received")
    MAIL_OUT = "mail_out", _("Mail sent")
    STATE = "state", _("State")
    TASK = "task", _("Task")
    INDICATOR = "indicator", _("Indicator")
    EVIDENCE = "evidence", _("Evidence")
    CLOCK = "clock", _("Legal deadline")


WRITTEN = (EntryKind.NOTE, EntryKind.ACTION, EntryKind.EVENT)
"""Kinds that people write by hand."""
MAILS = (EntryKind.MAIL_IN, EntryKind.MAIL_OUT)


class IncidentEntry(models.Model):
    """An entry of the timeline. `at`: when it happened; `recorded_at`: when it was written down.

    `text` is what a person wrote, or, with `data["params"]`, a message id read in each reader's language.
    `about`: another incident that it names. Mails have `from`, `to` and `subject` in `data`. Earlier wordings are
    kept in `data["earlier"]`.
    """

    incident = models.ForeignKey(Incident, models.PROTECT, related_name="entries")
    kind = models.CharField(_("kind"), max_length=12, choices=EntryKind.choices)
    at = models.DateTimeField(_("time"))
    recorded_at = models.DateTimeField(default=timezone.now)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    text = models.TextField(_("text"))
    data = models.JSONField(default=dict)
    about = models.ForeignKey(Incident, models.PROTECT, null=True, related_name="+")
    version = models.PositiveIntegerField(default=1)

    objects = EntryQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["at", "id"]
        indexes: ClassVar = [models.Index(fields=["incident", "at"])]
        verbose_name = _("entry")
        verbose_name_plural = _("entries")

    def __str__(self) -> str:
        return self.shown[:120]

    @property
    def shown(self) -> str:
        """The text in the reader's language."""
        params = self.data.get("params")
        if params is None:
            return self.text
        return gettext(self.text) % {name: _param(name, value) for name, value in params.items()}

    @property
    def is_written(self) -> bool:
        """Whether a person wrote it, so its wording may be mended."""
        return self.kind in (*WRITTEN, *MAILS) and "params" not in self.data


def _param(name: str, value: Any) -> Any:
    """A parameter of a text in the reader's language."""
    if isinstance(value, dict):
        return value.get("en" if (get_language() or "").startswith("en") else "vi", "")
    return gettext(value) if name.endswith("_word") and value else value


class IndicatorKind(models.TextChoices):
    """What an indicator is."""

    IP = "ip", _("IP address")
    DOMAIN = "domain", _("Domain")
    URL = "url", "URL"
    EMAIL = "email", _("E-mail address")
    HASH = "hash", _("Hash")
    FILE = "file", _("File name")
    PHONE = "phone", _("Phone number")
    HOST = "host", _("Host name")
    USER = "user", _("User name")
    PROCESS = "process", _("Process")
    OTHER = "other", _("Other")


class Indicator(models.Model):
    """What gives an attack away, in its normal form, once an incident."""

    incident = models.ForeignKey(Incident, models.PROTECT, related_name="indicators")
    kind = models.CharField(_("kind"), max_length=12, choices=IndicatorKind.choices)
    value = models.CharField(_("value"), max_length=1000)
    digest = models.CharField(max_length=64, editable=False, db_index=True)
    tlp = models.CharField("TLP", max_length=14, choices=Tlp.choices, default=Tlp.AMBER)
    note = models.CharField(_("note"), max_length=300, blank=True)
    added_at = models.DateTimeField(default=timezone.now)
    added_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    version = models.PositiveIntegerField(default=1)

    objects = OfIncidentQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["kind", "value"]
        constraints: ClassVar = [models.UniqueConstraint(fields=["incident", "digest"], name="indicator_once")]
        verbose_name = _("indicator")
        verbose_name_plural = _("indicators")

    def __str__(self) -> str:
        return self.defanged

    @property
    def defanged(self) -> str:
        """As it is shown: nothing one could click."""
        from khien.console.incidents.observables import defang

        return defang(self.kind, self.value)


class ClockState(models.TextChoices):
    """How far a legal duty to report is."""

    OPEN = "open", _("To be sent")
    SENT = "sent", _("Sent")
    WAIVED = "waived", _("Not sent, with reason")
    WITHDRAWN = "withdrawn", _("No longer applies")


class Clock(models.Model):
    """A duty to report by a time, from the catalogue in force at the detection; its words are kept with it.

    `notified`: which warnings went out. `reason`: why it was not sent.
    """

    incident = models.ForeignKey(Incident, models.PROTECT, related_name="clocks")
    code = models.CharField(max_length=60)
    ruleset = models.CharField(max_length=60)
    label_vi = models.CharField(max_length=200)
    label_en = models.CharField(max_length=200)
    recipient_vi = models.CharField(max_length=300, blank=True)
    recipient_en = models.CharField(max_length=300, blank=True)
    basis = models.CharField(max_length=300)
    starts_at = models.DateTimeField()
    due_at = models.DateTimeField()
    state = models.CharField(max_length=12, choices=ClockState.choices, default=ClockState.OPEN)
    sent_at = models.DateTimeField(_("sent"), null=True)
    document_number = models.CharField(_("document number"), max_length=80, blank=True)
    recipient = models.CharField(_("recipient"), max_length=300, blank=True)
    confirmation = models.TextField(_("confirmation"), blank=True)
    reason = models.CharField(_("reason"), max_length=500, blank=True)
    settled_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    settled_at = models.DateTimeField(null=True)
    notified = models.JSONField(default=list)
    version = models.PositiveIntegerField(default=1)

    objects = OfIncidentQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["due_at", "id"]
        constraints: ClassVar = [models.UniqueConstraint(fields=["incident", "code"], name="clock_once")]
        indexes: ClassVar = [models.Index(fields=["state", "due_at"])]
        verbose_name = _("legal deadline")
        verbose_name_plural = _("legal deadlines")

    def __str__(self) -> str:
        return self.label

    @property
    def label(self) -> str:
        """The duty in the reader's language."""
        return self.label_en if (get_language() or "").startswith("en") else self.label_vi

    @property
    def expected_recipient(self) -> str:
        """To whom the catalogue says it goes."""
        return self.recipient_en if (get_language() or "").startswith("en") else self.recipient_vi

    @property
    def is_open(self) -> bool:
        """Whether it still has to be sent."""
        return self.state == ClockState.OPEN

    def is_overdue(self, now: datetime | None = None) -> bool:
        """Whether it should have been sent by now."""
        return self.is_open and self.due_at < (now or timezone.now())

    @property
    def was_late(self) -> bool:
        """Whether it was sent after its time."""
        return self.state == ClockState.SENT and self.sent_at is not None and self.sent_at > self.due_at


from khien.console.incidents.evidence_models import Custody, Evidence, Handling  # noqa: E402, F401
