"""Forms of exceptions from rules."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Any

from django import forms
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from khien.console.accounts.models import User
from khien.console.alerts import exceptions
from khien.console.frame.forms import Form


def day_end(day: date) -> datetime:
    """The last second of a day here."""
    return timezone.make_aware(datetime.combine(day, time(23, 59, 59)))


def _default_day() -> date:
    return timezone.localdate() + timedelta(days=exceptions.DEFAULT_DAYS)


class _Expiring(Form):
    """Has the day of expiry, with the browser's own bounds."""

    expires_on = forms.DateField(label=_("Expires on"), initial=_default_day)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        today = timezone.localdate()
        self.fields["expires_on"].widget.attrs.update(
            min=(today + timedelta(days=1)).isoformat(),
            max=(today + timedelta(days=exceptions.MOST_DAYS)).isoformat(),
        )

    def clean_expires_on(self) -> date:
        """Tomorrow at the earliest, in 180 days at the latest."""
        day: date = self.cleaned_data["expires_on"]
        today = timezone.localdate()
        if day <= today:
            raise forms.ValidationError(_("The day it expires has to be in the future."))
        if day > today + timedelta(days=exceptions.MOST_DAYS):
            raise forms.ValidationError(_("An exception lasts at most %(most)s days.") % {"most": exceptions.MOST_DAYS})
        return day


class ExceptionForm(_Expiring):
    """A new exception. `text`: the Sigma filter."""

    title = forms.CharField(label=_("Title"), max_length=200)
    text = forms.CharField(
        label=_("Sigma filter"),
        widget=forms.Textarea(attrs={"rows": 16, "spellcheck": "false", "class": "mono", "wrap": "off"}),
        strip=False,
    )
    reason = forms.CharField(
        label=_("Why is this harmless?"), max_length=500, widget=forms.Textarea(attrs={"rows": 2, "maxlength": 500})
    )
    owner = forms.ModelChoiceField(
        label=pgettext_lazy("alert", "Owner"), queryset=User.objects.none(), empty_label=None
    )
    field_order = ("title", "text", "reason", "owner", "expires_on")

    def __init__(self, by: User, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["owner"].queryset = exceptions.owners(by)
        self.fields["owner"].help_text = _("Is reminded a week before it expires.")


class ProlongForm(_Expiring):
    """Another day of expiry."""

    reason = forms.CharField(label=_("Why is it still harmless?"), max_length=500)
    version = forms.IntegerField(widget=forms.HiddenInput)
