"""Forms of evidence."""

from __future__ import annotations

from typing import Any

from django import forms
from django.template.defaultfilters import filesizeformat
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from khien.console.accounts.models import User
from khien.console.files.limits import MOST_BODY
from khien.console.frame.forms import Form
from khien.console.incidents.evidence import MOST_BYTES, MOST_FILES


class ManyFiles(forms.ClearableFileInput):
    """A field one chooses several files with."""

    allow_multiple_selected = True


class ManyFilesField(forms.FileField):
    """Several uploads. `clean` gives a list."""

    widget = ManyFiles

    def clean(self, data: Any, initial: Any = None) -> list[Any]:
        """Each by the rules of one file; empty ones are refused where they are kept."""
        single = super().clean
        if isinstance(data, (list, tuple)):
            return [single(each, initial) for each in data]
        return [single(data, initial)]


class EvidenceForm(Form):
    """What is uploaded, and where it comes from."""

    files = ManyFilesField(label=_("Files"))
    description = forms.CharField(label=_("What it is"), max_length=4000, widget=forms.Textarea(attrs={"rows": 2}))
    collected_at = forms.DateTimeField(label=_("Collected at"))
    collected_where = forms.CharField(label=_("Collected where"), max_length=300)
    collected_by = forms.CharField(label=_("Collected by"), max_length=200)

    def __init__(self, user: User, *args: Any, **kwargs: Any) -> None:
        initial = {"collected_at": timezone.localtime(), "collected_by": user.name}
        super().__init__(*args, initial={**initial, **kwargs.pop("initial", {})}, **kwargs)
        self.fields["files"].help_text = _("Up to %(files)s files of at most %(most)s each, %(all)s together.") % {
            "files": MOST_FILES,
            "most": filesizeformat(MOST_BYTES),
            "all": filesizeformat(MOST_BODY),
        }
        self.fields["collected_where"].widget.attrs["placeholder"] = _("Machine, system or place")


class HandOverForm(Form):
    """To whom evidence was given, and why."""

    to = forms.CharField(label=_("Handed over to"), max_length=300)
    reason = forms.CharField(label=_("Reason"), max_length=500)


class WithdrawForm(Form):
    """Why evidence no longer counts."""

    version = forms.IntegerField(widget=forms.HiddenInput)
    reason = forms.CharField(label=_("Reason"), max_length=500)


class PackageForm(Form):
    """Which evidence is to be downloaded, and what for."""

    numbers = forms.TypedMultipleChoiceField(label=_("Evidence"), coerce=int)
    reason = forms.CharField(label=_("What it is needed for"), max_length=500)

    def __init__(self, numbers: list[int], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["numbers"].choices = [(number, number) for number in numbers]
