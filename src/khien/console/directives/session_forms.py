"""Forms of sessions and directives."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django import forms
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from khien.console.accounts.models import User
from khien.console.directives.models import Conclusion, Directive, Session
from khien.console.directives.sessions import people
from khien.console.frame.forms import Form, ModelForm
from khien.console.frame.given import whole
from khien.console.units.models import Unit


class SessionForm(ModelForm):
    """What a session is."""

    version = forms.IntegerField(widget=forms.HiddenInput, required=False)

    class Meta:
        model = Session
        fields = ("kind", "number", "title", "starts_at", "ends_at", "place", "chair", "secretary")

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["chair"].queryset = self.fields["secretary"].queryset = people(user)
        self.fields["number"].required = False
        self.fields["number"].help_text = _("Left empty, it gets the next number of its year.")
        if self.instance.pk:
            del self.fields["number"]
            self.initial["version"] = self.instance.version

    def clean(self) -> dict[str, Any]:
        found = super().clean() or self.cleaned_data
        starts, ends = found.get("starts_at"), found.get("ends_at")
        if starts and ends and ends <= starts:
            self.add_error("ends_at", gettext("The session ends after it begins."))
        return found

    def values(self) -> dict[str, Any]:
        """What the service takes."""
        return {name: value for name, value in self.cleaned_data.items() if name != "version"}


class VersionForm(Form):
    """A change of something that carries the version it was read at."""

    version = forms.IntegerField(widget=forms.HiddenInput)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            if isinstance(field.widget, forms.Textarea):
                field.widget.attrs["rows"] = 12 if field.max_length and field.max_length > 100_000 else 4


class AgendaForm(VersionForm):
    """A point of the agenda."""

    title = forms.CharField(label=_("Item"), max_length=300)
    presenter = forms.CharField(label=_("Presented by"), max_length=200, required=False)
    notes = forms.CharField(label=_("What was said"), widget=forms.Textarea, required=False, max_length=50_000)


class ConclusionForm(VersionForm):
    """A conclusion."""

    text = forms.CharField(label=_("Conclusion"), widget=forms.Textarea, max_length=20_000)


class MinutesForm(VersionForm):
    """The minutes."""

    minutes = forms.CharField(label=_("Minutes"), widget=forms.Textarea, required=False, max_length=200_000)


class CallForm(VersionForm):
    """Call units to a session; the seats of the subcommittee are called with one tick."""

    seats = forms.BooleanField(label=_("All seats of the subcommittee held today"), required=False)
    units = forms.ModelMultipleChoiceField(
        Unit.objects.none(), label=_("Units"), required=False, widget=forms.CheckboxSelectMultiple
    )

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["units"].queryset = Unit.objects.visible_to(user).filter(is_active=True)


class DirectiveForm(ModelForm):
    """A draft of a directive. Units are ticked in a table, each with a due time of its own if need be."""

    version = forms.IntegerField(widget=forms.HiddenInput, required=False)

    class Meta:
        model = Directive
        fields = ("conclusion", "title", "basis", "text", "sign", "due_at")
        widgets = {"basis": forms.Textarea({"rows": 3}), "text": forms.Textarea({"rows": 8})}  # noqa: RUF012
        labels = {"due_at": _("Due, unless a unit has a time of its own")}  # noqa: RUF012

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.user = user
        field = self.fields["conclusion"]
        field.queryset = Conclusion.objects.filter(session__in=Session.objects.visible_to(user)).select_related(
            "session"
        )
        field.label_from_instance = lambda each: f"{each.session.number}: {each}"
        field.empty_label = _("Of no session")
        if self.instance.pk:
            del self.fields["conclusion"]
            self.initial["version"] = self.instance.version
        self.chosen = self._chosen()

    def _chosen(self) -> dict[int, str]:
        """Ticked units by id, with their own due time as typed."""
        if self.is_bound:
            return {
                pk: self.data.get(f"due_{each}", "")
                for each in self.data.getlist("unit")  # type: ignore[union-attr]
                if (pk := whole(each)) is not None
            }
        if not self.instance.pk:
            return {}
        shown = forms.DateTimeField(widget=forms.DateTimeInput(format="%Y-%m-%dT%H:%M"))
        return {
            row.unit_id: shown.widget.format_value(shown.prepare_value(row.due_at)) or ""
            for row in self.instance.units.all()
        }

    def rows(self) -> list[dict[str, Any]]:
        """The table of units: those one may tell, whether ticked, and the due time typed."""
        units = Unit.objects.visible_to(self.user).filter(is_active=True).select_related("kind")
        return [
            {"unit": unit, "ticked": unit.pk in self.chosen, "due": self.chosen.get(unit.pk, "")}
            for unit in units.order_by("kind__position", "kind__code", "name")
        ]

    def clean(self) -> dict[str, Any]:
        found = super().clean() or self.cleaned_data
        units = {unit.pk: unit for unit in Unit.objects.visible_to(self.user).filter(pk__in=self.chosen)}
        due: dict[Unit, datetime | None] = {}
        field = forms.DateTimeField(required=False)
        for pk, typed in self.chosen.items():
            if pk not in units:
                continue
            try:
                due[units[pk]] = field.clean(typed)
            except forms.ValidationError:
                self.add_error(None, gettext("The due time of %(unit)s is no time.") % {"unit": units[pk]})
        if not due and not self.errors:
            self.add_error(None, gettext("Choose at least one unit."))
        found["units"] = due
        return found

    def values(self) -> dict[str, Any]:
        """What the service takes."""
        return {name: value for name, value in self.cleaned_data.items() if name != "version"}


class IssueForm(VersionForm):
    """Issue a draft."""

    number = forms.IntegerField(
        label=_("Number"),
        required=False,
        min_value=1,
        max_value=2**31 - 1,
        help_text=_("Left empty, it gets the next number."),
    )


class AmendDueForm(VersionForm):
    """Another due time, of all units or of one."""

    unit = forms.ModelChoiceField(Unit.objects.none(), label=_("Unit"), required=False)
    due_at = forms.DateTimeField(label=_("New due time"))
    reason = forms.CharField(label=_("Reason"), max_length=500)

    def __init__(self, *args: Any, units: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["unit"].queryset = units
        self.fields["unit"].empty_label = _("All units without a due time of their own")


class AddUnitForm(VersionForm):
    """One more unit."""

    unit = forms.ModelChoiceField(Unit.objects.none(), label=_("Unit"))
    due_at = forms.DateTimeField(label=_("Due, if not as the directive"), required=False)
    reason = forms.CharField(label=_("Reason"), max_length=500)

    def __init__(self, *args: Any, units: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["unit"].queryset = units


class RemoveUnitForm(VersionForm):
    """A unit less."""

    unit = forms.ModelChoiceField(Unit.objects.none(), label=_("Unit"))
    reason = forms.CharField(label=_("Reason"), max_length=500)

    def __init__(self, *args: Any, units: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["unit"].queryset = units


class WithdrawForm(VersionForm):
    """Withdraw a directive."""

    reason = forms.CharField(label=_("Reason"), widget=forms.Textarea, max_length=500)
