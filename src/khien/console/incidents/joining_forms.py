"""Forms that name another incident: to merge into it, and to relate to it."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from khien.console.accounts.models import User
from khien.console.frame.forms import Form
from khien.console.incidents.models import Incident, IncidentStatus


class OtherIncidentField(forms.CharField):
    """Another incident a person sees, by its number."""

    def __init__(self, user: User, incident: Incident, **kwargs: Any) -> None:
        super().__init__(max_length=20, **kwargs)
        self.user, self.incident = user, incident
        self.widget.attrs |= {"list": "incident-numbers", "autocomplete": "off", "placeholder": "SC-YYYY-NNNN"}

    def clean(self, value: Any) -> Incident | None:
        number = super().clean(value)
        rows = Incident.objects.visible_to(self.user).exclude(pk=self.incident.pk)
        found = rows.exclude(status=IncidentStatus.MERGED).filter(number__iexact=number.strip()).first()
        if found is None:
            raise ValidationError(_("There is no such incident among those you see."))
        return found


class MergeForm(Form):
    """Into which incident this one goes."""

    version = forms.IntegerField(widget=forms.HiddenInput)

    def __init__(self, user: User, incident: Incident, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["target"] = OtherIncidentField(user, incident, label=_("Merge into"))
        self.fields["target"].widget.attrs["class"] = "form-control"


class RelateForm(Form):
    """Which incident this one has to do with."""

    def __init__(self, user: User, incident: Incident, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["other"] = OtherIncidentField(user, incident, label=_("Related incident"))
        self.fields["other"].widget.attrs["class"] = "form-control"
