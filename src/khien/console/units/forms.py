"""Forms of units and of the subcommittee."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from khien.console.accounts.models import User
from khien.console.frame.forms import Form
from khien.console.units.models import Appointment, Seat, Unit, UnitKind
from khien.console.units.scoping import scope_ids
from khien.console.units.selectors import choices


class UnitField(forms.ModelChoiceField):
    """A choice among the active units a person sees, shown as a tree. `keep`: the one chosen before, whatever it is."""

    def __init__(self, user: User, *, keep: int | None = None, inside: str = "", **kwargs: Any) -> None:
        kwargs.setdefault("label", _("Unit"))
        kwargs.setdefault("widget", forms.Select(attrs={"class": "form-select"}))
        units = Unit.objects.visible_to(user).filter(is_active=True)
        super().__init__(units | Unit.objects.filter(pk=keep), **kwargs)
        tree = choices(user)
        if keep and keep not in {unit.pk for unit, _depth in tree}:
            tree += [(unit, 0) for unit in Unit.objects.filter(pk=keep)]
        self.choices = [
            ("", "–"),
            *(
                (unit.pk, "\u2003" * depth + unit.name)
                for unit, depth in tree
                if not (inside and unit.path.startswith(inside))
            ),
        ]


class UnitForm(Form):
    """What a unit is called and how it is reached."""

    version = forms.IntegerField(required=False, widget=forms.HiddenInput)
    name = forms.CharField(label=pgettext_lazy("thing", "Name"), max_length=200)
    short_name = forms.CharField(label=_("Short name"), max_length=60, required=False)
    code = forms.SlugField(
        label=_("Code"),
        max_length=60,
        required=False,
        help_text=_("Sources of logs name the unit by it. Left empty, it is made of the name."),
    )
    kind = forms.ModelChoiceField(UnitKind.objects.none(), label=_("Kind"))
    address = forms.CharField(label=_("Address"), max_length=300, required=False)
    email = forms.EmailField(label=_("E-mail"), required=False)
    phone = forms.CharField(label=_("Phone"), max_length=32, required=False)

    def __init__(self, user: User, *args: Any, new: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        kinds = UnitKind.objects.all()
        if scope_ids(user) is not None:
            kept = self.initial.get("kind")
            kinds = kinds.filter(oversees=False) | UnitKind.objects.filter(pk=kept)
        self.fields["kind"].queryset = kinds
        if new:
            self.fields["parent"] = UnitField(user, label=_("Part of"), required=scope_ids(user) is not None)
            self.order_fields(["version", "name", "short_name", "code", "kind", "parent"])


class MoveForm(Form):
    """Where a unit is put."""

    version = forms.IntegerField(widget=forms.HiddenInput)

    def __init__(self, user: User, unit: Unit, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["parent"] = UnitField(
            user,
            label=_("Part of"),
            required=scope_ids(user) is not None,
            inside=unit.path,
            keep=unit.parent_id if scope_ids(user) is None else None,
            help_text=_("All units below it move along."),
        )


class DeactivateForm(Form):
    """Why a unit is closed down."""

    version = forms.IntegerField(widget=forms.HiddenInput)
    reason = forms.CharField(
        label=_("Reason"), max_length=300, help_text=_("Such as the number and date of the decision.")
    )


class KindForm(forms.ModelForm):  # type: ignore[type-arg]
    """A kind of units."""

    version = forms.IntegerField(required=False, widget=forms.HiddenInput)

    class Meta:
        model = UnitKind
        fields = ("name_vi", "name_en", "code", "oversees", "position")
        help_texts = {  # noqa: RUF012
            "oversees": _("People of such units see all units of the province, not theirs alone."),
            "position": _("Kinds with a smaller number come first."),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        from khien.console.frame.forms import dress

        super().__init__(*args, **kwargs)
        dress(self)

    def _post_clean(self) -> None:
        """The service checks and saves; the instance is left as it is."""


class TermForm(Form):
    """A seat, who takes it, and by which decision. `seat=False`: the seat is known."""

    version = forms.IntegerField(required=False, widget=forms.HiddenInput)
    seat = forms.ChoiceField(label=_("Seat"), choices=Seat.choices)
    user = forms.ModelChoiceField(
        User.objects.none(),
        label=_("Person with an account"),
        required=False,
        help_text=_("Leave empty for somebody without an account, and write the name below."),
    )
    person = forms.CharField(label=_("Name"), max_length=120, required=False)
    position = forms.CharField(label=_("Position"), max_length=200, required=False)
    decision_number = forms.CharField(label=_("Decision number"), max_length=60)
    decision_date = forms.DateField(label=_("Decision date"))
    starts_on = forms.DateField(label=_("Term from"))
    ends_on = forms.DateField(
        label=_("Term until"), required=False, help_text=_("The last day; empty while no end is set.")
    )

    def __init__(self, user: User, *args: Any, seat: bool = True, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        kept = User.objects.filter(pk=self.initial.get("user"))
        self.fields["user"].queryset = User.objects.visible_to(user).filter(is_active=True) | kept
        self.fields["unit"] = UnitField(user, label=_("Unit"), required=False, keep=self.initial.get("unit"))
        if not seat:
            del self.fields["seat"]
        order = ["version", "seat", "user", "person", "position", "unit", "decision_number", "decision_date"]
        self.order_fields(order)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if not cleaned.get("user") and not cleaned.get("person", "").strip():
            raise ValidationError({"person": _("Choose a person or write a name.")})
        return cleaned


class EndForm(Form):
    """The last day of a term, and why."""

    version = forms.IntegerField(widget=forms.HiddenInput)
    ends_on = forms.DateField(label=_("Last day"), initial=timezone.localdate)
    reason = forms.CharField(label=_("Reason"), max_length=200)


def term_of(row: Appointment) -> dict[str, Any]:
    """A form's values of an appointment."""
    names = ("version", "seat", "person", "position", "decision_number", "decision_date", "starts_on", "ends_on")
    return {name: getattr(row, name) for name in names} | {"user": row.user_id, "unit": row.unit_id}
