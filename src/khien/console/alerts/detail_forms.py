"""Forms of one alert: its actions, and one made by hand."""

from __future__ import annotations

from typing import Any

from django import forms
from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from khien.console.accounts.models import User
from khien.console.accounts.roles import roles_with
from khien.console.alerts.detail import ENTITY_KINDS, related_incidents
from khien.console.alerts.models import Alert, Level, Verdict
from khien.console.frame.forms import Form
from khien.console.incidents.catalogue import grouped_classes
from khien.console.systems.models import InformationSystem
from khien.console.units.models import Unit

_MOST_LISTED = 200


def workers(by: User, alert: Alert) -> QuerySet[User]:
    """The people that the person sees, who work on alerts and see this one."""
    rows = User.objects.visible_to(by).filter(is_active=True, role__in=roles_with("alerts.work"))
    sees = Q(unit__kind__oversees=True)
    if alert.unit is not None:
        sees |= Q(unit_id__in=[int(pk) for pk in alert.unit.path.split(".") if pk])
    return rows.filter(sees).select_related("unit").order_by("name", "id")


class _OfAlert(Form):
    """A form of an alert; `version`: of the alert that was seen."""

    version = forms.IntegerField(widget=forms.HiddenInput, required=False)

    def __init__(self, by: User, alert: Alert, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("initial", {"version": alert.version})
        kwargs.setdefault("auto_id", f"{type(self).__name__.lower()}-{alert.pk}-%s")
        super().__init__(*args, **kwargs)
        self.prepare(by, alert)

    def prepare(self, by: User, alert: Alert) -> None:
        """Fill choices."""


class AssignForm(_OfAlert):
    """Who works on it; nobody takes it from whoever has it."""

    owner = forms.ModelChoiceField(label=pgettext_lazy("alert", "Owner"), queryset=User.objects.none(), required=False)

    def prepare(self, by: User, alert: Alert) -> None:
        found = self.fields["owner"]
        found.queryset = workers(by, alert)
        found.empty_label = _("Nobody")
        found.label_from_instance = lambda user: f"{user} – {user.unit}"
        found.initial = alert.owner_id


class CommentForm(_OfAlert):
    """Something to say."""

    text = forms.CharField(
        label=_("Comment"), max_length=10_000, widget=forms.Textarea(attrs={"rows": 2, "data-comment": ""})
    )


class CloseForm(_OfAlert):
    """What it turned out to be."""

    verdict = forms.ChoiceField(label=_("Verdict"), choices=[("", "–"), *Verdict.choices[1:]])
    classification = forms.ChoiceField(label=_("Class"), required=False)
    reason = forms.CharField(
        label=_("Reason"),
        required=False,
        max_length=500,
        widget=forms.Textarea(attrs={"rows": 2, "maxlength": 500}),
        help_text=_("Needed for a false positive."),
    )

    def prepare(self, by: User, alert: Alert) -> None:
        self.fields["classification"].choices = [("", "–"), *grouped_classes()]
        self.fields["verdict"].widget.attrs["data-close"] = ""


class ReopenForm(_OfAlert):
    """Why it is taken up again."""

    reason = forms.CharField(label=_("Reason"), required=False, max_length=500)


class LinkForm(_OfAlert):
    """An open incident."""

    incident = forms.ModelChoiceField(label=_("Incident"), queryset=None)

    def prepare(self, by: User, alert: Alert) -> None:
        rows = related_incidents(by, alert)
        self.fields["incident"].queryset = rows
        listed = [(each.pk, str(each)) for each in rows[:_MOST_LISTED]]
        self.fields["incident"].choices = [("", "–"), *listed]
        self.has_choices = bool(listed)


class NewAlertForm(Form):
    """An alert made by hand."""

    title = forms.CharField(label=_("What was seen"), max_length=300)
    level = forms.TypedChoiceField(label=_("Level"), choices=Level.choices, coerce=int, initial=Level.MEDIUM)
    unit = forms.ModelChoiceField(label=_("Unit"), queryset=Unit.objects.none())
    system = forms.ModelChoiceField(label=_("System"), queryset=InformationSystem.objects.none(), required=False)
    entity_kind = forms.ChoiceField(
        label=_("Kind of entity"), required=False, choices=[("", "–"), *ENTITY_KINDS.items()]
    )
    entity_value = forms.CharField(
        label=_("Entity"),
        max_length=300,
        required=False,
        help_text=_("The host, account, address or file it is about."),
    )
    at = forms.DateTimeField(label=_("Seen at"), initial=timezone.localtime)
    text = forms.CharField(
        label=_("Description"), required=False, max_length=10_000, widget=forms.Textarea(attrs={"rows": 6})
    )

    def __init__(self, by: User, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["unit"].queryset = Unit.objects.visible_to(by).filter(is_active=True).order_by("path")
        self.fields["unit"].initial = by.unit_id
        self.fields["system"].queryset = InformationSystem.objects.visible_to(by).filter(is_active=True)

    def clean(self) -> dict[str, Any]:
        """An entity has a kind and a value or neither; a system is of the unit or of one below."""
        values = super().clean() or self.cleaned_data
        if bool(values.get("entity_kind")) != bool((values.get("entity_value") or "").strip()):
            self.add_error("entity_value", _("Give both the kind and the value of the entity, or neither."))
        unit, system = values.get("unit"), values.get("system")
        if unit and system and not system.unit.path.startswith(unit.path):
            self.add_error("system", _("This system is not one of the unit."))
        return values
