"""Forms of an incident's indicators."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _

from khien.console.frame.forms import Form
from khien.console.incidents import observables
from khien.console.incidents.models import IndicatorKind, Tlp


class IndicatorsForm(Form):
    """Indicators: one a line, or running text from which they are taken."""

    text = forms.CharField(
        label=_("Indicators or text"),
        max_length=200_000,
        widget=forms.Textarea(attrs={"rows": 5}),
        help_text=_(
            "One a line, or a whole mail or report: what is found is shown first. hxxp and [.] are understood."
        ),
    )


class IndicatorForm(Form):
    """One indicator of a kind that cannot be told from its value."""

    kind = forms.ChoiceField(label=_("Kind"), choices=[("", _("Find out")), *IndicatorKind.choices], required=False)
    value = forms.CharField(label=_("Value"), max_length=observables.LONGEST)
    tlp = forms.ChoiceField(label="TLP", choices=Tlp.choices, initial=Tlp.AMBER)
    note = forms.CharField(label=_("Note"), max_length=300, required=False)


class SharingForm(Form):
    """With whom an indicator may be shared."""

    version = forms.IntegerField(widget=forms.HiddenInput)
    tlp = forms.ChoiceField(label="TLP", choices=Tlp.choices)
    note = forms.CharField(label=_("Note"), max_length=300, required=False)
