"""The form of a webhook."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from khien.console.frame.forms import Form


class WebhookForm(Form):
    """Name, address and events of a webhook."""

    name = forms.CharField(label=pgettext_lazy("thing", "Name"), max_length=80)
    url = forms.URLField(label=_("Address"), max_length=500, assume_scheme="https")
    events = forms.CharField(
        label=_("Events"),
        max_length=500,
        initial="alert.* incident.* task.* directive.*",
        help_text=_("Names or patterns, a space between them: alert.arrive, alert.close, incident.*, task.finish."),
    )

    def clean_events(self) -> list[str]:
        return self.cleaned_data["events"].replace(",", " ").split()
