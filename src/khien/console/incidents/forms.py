"""Forms of incidents."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django import forms
from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from khien.console.accounts.models import User
from khien.console.accounts.roles import roles_with
from khien.console.alerts.models import Level
from khien.console.frame.forms import Form
from khien.console.incidents import catalogue
from khien.console.incidents.models import (
    MAILS,
    WRITTEN,
    Clock,
    EntryKind,
    Incident,
    IncidentStatus,
    Tlp,
)
from khien.console.incidents.selectors import ORDERS
from khien.console.systems.models import InformationSystem
from khien.console.units.models import Unit

LEVELS = [(level.value, level.label) for level in reversed(Level)]


class Checks(forms.CheckboxSelectMultiple):
    """Boxes to tick in a list one can narrow by typing, those ticked first."""

    template_name = "incidents/checks.html"

    def optgroups(self, name: str, value: Any, attrs: Any = None) -> Any:
        groups = super().optgroups(name, value, attrs)
        return sorted(groups, key=lambda group: not group[1][0]["selected"])


class Many(forms.ModelMultipleChoiceField):
    """Some of the rows a person sees, and those chosen before."""

    widget = Checks


def _seen(model: Any, user: User, chosen: Iterable[int] = (), **narrowed: Any) -> QuerySet[Any]:
    """Rows a person sees, and those that are chosen already."""
    visible = model.objects.visible_to(user).filter(**narrowed).order_by().values("pk")
    return model.objects.filter(Q(pk__in=visible) | Q(pk__in=list(chosen)))


class IncidentForm(Form):
    """What is known of an incident."""

    version = forms.IntegerField(required=False, widget=forms.HiddenInput)
    title = forms.CharField(label=_("Title"), max_length=300)
    working_class = forms.ChoiceField(label=_("Class"))
    classification = forms.ChoiceField(label=_("RSIT class"), required=False)
    level = forms.TypedChoiceField(label=_("Severity"), choices=LEVELS, coerce=int)
    tlp = forms.ChoiceField(
        label="TLP", choices=Tlp.choices, help_text=_("RED and AMBER+STRICT: only those named here see the incident.")
    )
    detected_at = forms.DateTimeField(
        label=_("Detected"), help_text=_("To the minute: the legal deadlines count from it.")
    )
    unit = forms.ModelChoiceField(Unit.objects.none(), label=_("Leading unit"))
    leader = forms.ModelChoiceField(User.objects.none(), label=_("Leader"), required=False)
    description = forms.CharField(label=_("Description"), widget=forms.Textarea(attrs={"rows": 5}), required=False)
    urgent = forms.BooleanField(
        label=_("Signs of harm to national security or public order, or serious disruption"), required=False
    )
    serious = forms.BooleanField(
        label=_("Serious incident"),
        required=False,
        help_text=_(
            "A system of level 4 or 5 or on the national list that is interrupted, leaks secrets, lost its integrity "
            "or control or draws others in, beyond the owner's own means."
        ),
    )
    personal_data = forms.BooleanField(label=_("Personal data affected"), required=False)
    personal_data_at = forms.DateTimeField(
        label=_("Breach of personal data detected"),
        required=False,
        help_text=_("Left empty, it is when the incident was detected."),
    )
    units = Many(Unit.objects.none(), label=_("Affected units"), required=False)
    systems = Many(InformationSystem.objects.none(), label=_("Affected systems"), required=False)
    team = Many(User.objects.none(), label=_("Team"), required=False)

    MAIN = ("title", "description")
    FACTS = ("working_class", "classification", "level", "tlp", "detected_at", "unit", "leader")
    LAW = ("urgent", "serious", "personal_data", "personal_data_at")
    LISTS = ("units", "systems", "team")

    def __init__(self, user: User, *args: Any, incident: Incident | None = None, **kwargs: Any) -> None:
        if incident is not None:
            kwargs.setdefault("initial", self.values_of(incident))
        super().__init__(*args, **kwargs)
        self.user = user
        self.fields["working_class"].choices = [(each.code, each.label) for each in catalogue.working_classes()]
        self.fields["classification"].choices = [("", _("The usual one of the class")), *catalogue.grouped_classes()]
        self.fields["units"].widget.attrs["data-words"] = _("Find a unit")
        lists = (
            {name: list(getattr(incident, name).values_list("pk", flat=True)) for name in self.LISTS}
            if incident
            else {}
        )
        fields = self.fields
        fields["unit"].queryset = _seen(Unit, user, [incident.unit_id] if incident else [], is_active=True)
        fields["units"].queryset = _seen(Unit, user, lists.get("units", ()), is_active=True)
        systems = InformationSystem.objects.visible_to(user)
        fields["systems"].queryset = systems.filter(Q(is_active=True) | Q(pk__in=lists.get("systems", ())))
        able = {"is_active": True, "role__in": roles_with("incidents.view")}
        fields["leader"].queryset = _seen(User, user, [incident.leader_id or 0] if incident else [], **able)
        fields["team"].queryset = _seen(User, user, lists.get("team", ()), **able)
        for name, label in (("leader", "person_of_unit"), ("team", "person_of_unit")):
            fields[name].label_from_instance = getattr(self, label)
            fields[name].queryset = fields[name].queryset.select_related("unit")
        if incident is not None and not user.may("incidents.lead"):
            fields["tlp"].disabled = True

    @staticmethod
    def person_of_unit(person: User) -> str:
        """A person as a choice."""
        return f"{person.name} · {person.unit}"

    @classmethod
    def values_of(cls, incident: Incident) -> dict[str, Any]:
        """What the form shows of an incident."""
        names = ("version", *cls.MAIN, *cls.FACTS, *cls.LAW)
        plain = {name: getattr(incident, name) for name in names if name not in ("unit", "leader")}
        lists = {name: list(getattr(incident, name).values_list("pk", flat=True)) for name in cls.LISTS}
        return {**plain, "unit": incident.unit_id, "leader": incident.leader_id, **lists}

    def group(self, name: str) -> list[forms.BoundField]:
        """The fields of a part of the page."""
        return [self[field] for field in getattr(self, name)]

    def facts(self) -> list[forms.BoundField]:
        """Fields in two columns."""
        return self.group("FACTS")

    def law(self) -> list[forms.BoundField]:
        """What the legal deadlines go by."""
        return self.group("LAW")

    def lists(self) -> list[forms.BoundField]:
        """Who and what is concerned."""
        return self.group("LISTS")


class EntryForm(Form):
    """A note, an action or an event, quickly written; without a time it is now."""

    kind = forms.ChoiceField(
        label=_("Kind"), choices=[(EntryKind.NOTE, EntryKind.NOTE.label), *((k, k.label) for k in WRITTEN[1:])]
    )
    text = forms.CharField(label=_("Text"), max_length=20_000, widget=forms.Textarea(attrs={"rows": 2}))
    at = forms.DateTimeField(label=_("Time"), required=False)


class MendForm(Form):
    """Another wording of an entry."""

    version = forms.IntegerField(widget=forms.HiddenInput)
    at = forms.DateTimeField(label=_("Time"))
    text = forms.CharField(label=_("Text"), max_length=20_000, widget=forms.Textarea(attrs={"rows": 4}))


class MailForm(Form):
    """A mail about the incident."""

    received = forms.TypedChoiceField(
        label=_("Direction"),
        choices=[("in", MAILS[0].label), ("out", MAILS[1].label)],
        coerce=lambda value: value == "in",
        empty_value=True,
    )
    at = forms.DateTimeField(label=_("Time"), initial=timezone.now)
    sender = forms.CharField(label=_("From"), max_length=300)
    to = forms.CharField(label=_("To"), max_length=1000)
    subject = forms.CharField(label=_("Subject"), max_length=300)
    text = forms.CharField(label=_("Text"), max_length=20_000, widget=forms.Textarea(attrs={"rows": 8}))


class CloseForm(Form):
    """What closing needs. `clocks_reason` is there when reports are still to be sent."""

    version = forms.IntegerField(widget=forms.HiddenInput)
    cause = forms.CharField(label=_("Cause"), widget=forms.Textarea(attrs={"rows": 4}))
    effect = forms.CharField(label=_("Effect"), widget=forms.Textarea(attrs={"rows": 4}))
    lessons = forms.CharField(label=_("Lessons"), widget=forms.Textarea(attrs={"rows": 4}))
    clocks_reason = forms.CharField(
        label=_("Why reports still due are not sent"), widget=forms.Textarea(attrs={"rows": 2}), required=False
    )

    def __init__(self, *args: Any, clocks: list[Clock], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not clocks:
            del self.fields["clocks_reason"]


class ReasonForm(Form):
    """A reason."""

    version = forms.IntegerField(widget=forms.HiddenInput)
    reason = forms.CharField(label=_("Reason"), max_length=500, widget=forms.Textarea(attrs={"rows": 4}))


class SentForm(Form):
    """That a report was sent."""

    version = forms.IntegerField(widget=forms.HiddenInput)
    sent_at = forms.DateTimeField(label=_("Sent"))
    document_number = forms.CharField(label=_("Document number"), max_length=80, required=False)
    recipient = forms.CharField(label=_("Recipient"), max_length=300)
    confirmation = forms.CharField(
        label=_("Confirmation"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text=_("Who confirmed the receipt, when and how; the paper itself goes to the evidence."),
    )


class TaskForm(Form):
    """One task that stands in no playbook."""

    title = forms.CharField(label=_("Task"), max_length=300)
    text = forms.CharField(label=_("What to do"), widget=forms.Textarea(attrs={"rows": 4}), required=False)
    unit = forms.ModelChoiceField(Unit.objects.none(), label=_("Unit"))
    due_at = forms.DateTimeField(label=_("Due"))

    def __init__(self, user: User, incident: Incident, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        concerned = [incident.unit_id, *incident.units.values_list("pk", flat=True)]
        self.fields["unit"].queryset = _seen(Unit, user, concerned, is_active=True)


class FilterForm(Form):
    """What the list shows; it lives in the address."""

    text = forms.CharField(required=False, label=_("Search"))
    state = forms.ChoiceField(
        required=False,
        label=_("State"),
        choices=[("", _("Being worked on")), ("all", _("All states")), *IncidentStatus.choices],
    )
    working_class = forms.ChoiceField(required=False, label=_("Class"))
    level = forms.TypedChoiceField(
        required=False, label=_("Severity"), choices=[("", _("All severities")), *LEVELS], coerce=int, empty_value=None
    )
    unit = forms.ModelChoiceField(Unit.objects.none(), required=False, label=_("Unit"), empty_label=_("All units"))
    leader = forms.ModelChoiceField(
        User.objects.none(), required=False, label=_("Leader"), empty_label=_("All leaders")
    )
    mine = forms.BooleanField(required=False, label=_("Mine"))
    overdue = forms.BooleanField(required=False, label=_("Missed deadline"))
    sort = forms.ChoiceField(required=False, choices=[("", ""), *((name, name) for name in ORDERS)])

    def __init__(self, user: User, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        classes = [(each.code, each.label) for each in catalogue.working_classes()]
        self.fields["working_class"].choices = [("", _("All classes")), *classes]
        self.fields["unit"].queryset = Unit.objects.visible_to(user)
        self.fields["leader"].queryset = User.objects.visible_to(user).filter(
            pk__in=Incident.objects.visible_to(user).order_by().values("leader")
        )
        for name in ("state", "working_class", "level", "unit", "leader"):
            self.fields[name].widget.attrs |= {"data-submit": "", "aria-label": self.fields[name].label}

    def wanted(self) -> dict[str, Any]:
        """What is asked for; what is not valid is passed over."""
        self.is_valid()
        return self.cleaned_data
