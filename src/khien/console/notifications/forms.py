"""The form of preferences."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from khien.console.frame.forms import Form
from khien.console.notifications.families import FAMILIES, MailMode
from khien.console.notifications.preferences import Wishes


class PreferencesForm(Form):
    """A row a family: shown in the console, and how it comes by mail; quiet hours; when the daily summary comes."""

    quiet_from = forms.TimeField(label=_("Quiet from"), required=False, widget=forms.TimeInput(attrs={"type": "time"}))
    quiet_until = forms.TimeField(
        label=_("Quiet until"), required=False, widget=forms.TimeInput(attrs={"type": "time"})
    )
    digest_at = forms.TimeField(label=_("Daily summary at"), widget=forms.TimeInput(attrs={"type": "time"}))

    def __init__(self, wishes: Wishes, data: Any = None) -> None:
        initial = {
            "quiet_from": _hm(wishes.quiet_from),
            "quiet_until": _hm(wishes.quiet_until),
            "digest_at": _hm(wishes.digest_at),
        }
        for name in FAMILIES:
            initial[f"console_{name}"] = wishes.shown(f"{name}.")
            initial[f"mail_{name}"] = wishes.mail(f"{name}.")
        super().__init__(data, initial=initial)
        for name, family in FAMILIES.items():
            console = forms.BooleanField(label=family.label, required=False)
            mail = forms.ChoiceField(label=family.label, choices=MailMode.choices)
            console.widget.attrs.update(
                {"class": "form-check-input", "aria-label": _("%s: in the console") % family.label}
            )
            mail.widget.attrs.update({"class": "form-select", "aria-label": _("%s: by mail") % family.label})
            self.fields[f"console_{name}"], self.fields[f"mail_{name}"] = console, mail

    def rows(self) -> list[dict[str, Any]]:
        """The families with their two fields."""
        return [
            {"family": family, "console": self[f"console_{name}"], "mail": self[f"mail_{name}"]}
            for name, family in FAMILIES.items()
        ]

    def clean(self) -> dict[str, Any]:
        found: dict[str, Any] = super().clean() or {}
        if (found.get("quiet_from") is None) != (found.get("quiet_until") is None):
            self.add_error("quiet_until", _("Quiet hours need a beginning and an end, or neither."))
        return found

    def choices(self) -> dict[str, dict[str, Any]]:
        """What was chosen, by family."""
        return {
            name: {"console": self.cleaned_data[f"console_{name}"], "mail": self.cleaned_data[f"mail_{name}"]}
            for name in FAMILIES
        }


def _hm(value: Any) -> str:
    return value.strftime("%H:%M") if value else ""
