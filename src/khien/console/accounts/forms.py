"""Forms about people, invitations and keys."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import Any

from django import forms
from django.conf import settings
from django.contrib.auth.password_validation import password_validators_help_text_html, validate_password
from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from khien.console.accounts.keys import LONGEST, scopes_for
from khien.console.accounts.models import User
from khien.console.accounts.roles import Role
from khien.console.frame.forms import Form
from khien.console.units.models import Unit


class ProfileForm(Form):
    """What everybody changes of their own account."""

    name = forms.CharField(label=_("Name"), max_length=120)
    phone = forms.CharField(label=_("Phone"), max_length=32, required=False)
    language = forms.ChoiceField(label=_("Language"), choices=settings.LANGUAGES)
    version = forms.IntegerField(widget=forms.HiddenInput)


class PersonForm(Form):
    """What those who manage people change."""

    name = forms.CharField(label=_("Name"), max_length=120)
    title = forms.CharField(label=_("Position"), max_length=120, required=False)
    phone = forms.CharField(label=_("Phone"), max_length=32, required=False)
    unit = forms.ModelChoiceField(Unit.objects.none(), label=_("Unit"))
    role = forms.ChoiceField(label=_("Role"), choices=Role.choices)
    version = forms.IntegerField(widget=forms.HiddenInput)

    def __init__(self, *args: Any, by: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["unit"].queryset = Unit.objects.visible_to(by)


class InvitationForm(Form):
    """Whom to invite, into which unit, as what."""

    email = forms.EmailField(label=_("E-mail"))
    name = forms.CharField(label=_("Name"), max_length=120)
    title = forms.CharField(label=_("Position"), max_length=120, required=False)
    unit = forms.ModelChoiceField(Unit.objects.none(), label=_("Unit"))
    role = forms.ChoiceField(label=_("Role"), choices=[("", "---------"), *Role.choices])

    def __init__(self, *args: Any, by: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["unit"].queryset = Unit.objects.visible_to(by).filter(is_active=True)


class JoinForm(Form):
    """Taking an invitation up."""

    name = forms.CharField(label=_("Name"), max_length=120, widget=forms.TextInput(attrs={"autocomplete": "name"}))
    phone = forms.CharField(
        label=_("Phone"), max_length=32, required=False, widget=forms.TextInput(attrs={"autocomplete": "tel"})
    )
    password1 = forms.CharField(
        label=_("Password"),
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text=password_validators_help_text_html,
    )
    password2 = forms.CharField(
        label=_("Password, once more"),
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )

    def __init__(self, *args: Any, email: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._email = email
        self.fields["password1"].help_text = password_validators_help_text_html()

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or {}
        one, two = data.get("password1"), data.get("password2")
        if one and two and one != two:
            self.add_error("password2", _("The two passwords are not the same."))
        elif one:
            try:
                validate_password(one, User(email=self._email, name=data.get("name", "")))
            except ValidationError as error:
                self.add_error("password1", error)
        return data


class KeyForm(Form):
    """A new API key."""

    name = forms.CharField(label=_("Name of the key"), max_length=80, help_text=_("What uses it, and where it runs."))
    scopes = forms.MultipleChoiceField(label=_("Scopes"), widget=forms.CheckboxSelectMultiple)
    expires_on = forms.DateField(label=_("Expires on"), help_text=_("At most a year from now."))

    def __init__(self, *args: Any, by: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        today = timezone.localdate()
        self.fields["scopes"].choices = scopes_for(by)
        self.fields["expires_on"].initial = today + timedelta(days=90)
        last = today + LONGEST - timedelta(days=2)
        self.fields["expires_on"].widget.attrs.update(min=str(today + timedelta(days=1)), max=str(last))

    def expires_at(self) -> datetime:
        """The end of the day chosen."""
        return timezone.make_aware(datetime.combine(self.cleaned_data["expires_on"], time(23, 59)))
