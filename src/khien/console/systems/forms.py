"""The form of a system."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from khien.console.accounts.models import User
from khien.console.frame.forms import Form
from khien.console.systems import identifiers
from khien.console.units.forms import UnitField

LEVELS = [(number, number) for number in range(1, 6)]


class SystemForm(Form):
    """A system, and what names it in telemetry."""

    version = forms.IntegerField(required=False, widget=forms.HiddenInput)
    name = forms.CharField(label=pgettext_lazy("thing", "Name"), max_length=200)
    code = forms.SlugField(
        label=_("Code"), max_length=60, required=False, help_text=_("Left empty, it is made of the name.")
    )
    level = forms.TypedChoiceField(label=_("Security level"), choices=LEVELS, coerce=int)
    description = forms.CharField(
        label=_("Description"), required=False, widget=forms.Textarea(attrs={"rows": 3}), max_length=5000
    )
    hostnames = forms.CharField(
        label=_("Host names"),
        required=False,
        max_length=100_000,
        widget=forms.Textarea(attrs={"rows": 6, "class": "mono", "spellcheck": "false"}),
        help_text=_("One a line, such as syt-sv01 or syt-pc*.tinh.example; * stands for any text. After # a remark."),
    )
    address_ranges = forms.CharField(
        label=_("Address ranges"),
        required=False,
        max_length=100_000,
        widget=forms.Textarea(attrs={"rows": 4, "class": "mono", "spellcheck": "false"}),
        help_text=_("One a line: 10.1.5.7, 10.1.0.0/16 or 10.1.5.1-10.1.5.20."),
    )
    is_active = forms.BooleanField(label=_("Active: telemetry is routed to it"), required=False, initial=True)

    def __init__(self, user: User, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["unit"] = UnitField(user, keep=self.initial.get("unit") if self.initial.get("version") else None)
        self.order_fields(["version", "name", "unit", "level", "code"])

    def clean_hostnames(self) -> str:
        return self._lines("hostnames", identifiers.hostnames)

    def clean_address_ranges(self) -> str:
        return self._lines("address_ranges", identifiers.networks)

    def _lines(self, name: str, parse: Any) -> str:
        text: str = "\n".join(self.cleaned_data[name].splitlines())
        try:
            parse(text)
        except ValidationError as error:
            raise forms.ValidationError(error.messages) from None
        return text
