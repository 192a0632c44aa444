"""Forms of tasks: giving them, and each step."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django import forms
from django.core.files.uploadedfile import UploadedFile
from django.utils import timezone
from django.utils.translation import gettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _

from khien.console.accounts.models import User
from khien.console.directives.models import Task
from khien.console.directives.selectors import assignable
from khien.console.frame.forms import Form
from khien.console.units.models import Unit


class FilesInput(forms.ClearableFileInput):
    """A choice of several files."""

    allow_multiple_selected = True


class FilesField(forms.FileField):
    """Several uploaded files, as a list."""

    widget = FilesInput

    def clean(self, data: Any, initial: Any = None) -> list[UploadedFile]:
        one = super().clean
        return [one(each, initial) for each in data or []]


class StepForm(Form):
    """A step of a task. `version`: of the task as it was read."""

    version = forms.IntegerField(widget=forms.HiddenInput)

    def __init__(self, *args: Any, task: Task, **kwargs: Any) -> None:
        self.task = task
        kwargs.setdefault("initial", {}).setdefault("version", task.version)
        super().__init__(*args, **kwargs)
        for name, field in self.fields.items():
            # Several such forms stand on one page: each field has an id of its own.
            if isinstance(field.widget, forms.Textarea):
                field.widget.attrs["rows"] = 4
            field.widget.attrs["id"] = f"id_{type(self).__name__.removesuffix('Form').lower()}_{name}"

    def values(self) -> dict[str, Any]:
        """What the service takes beside the task."""
        return {name: value for name, value in self.cleaned_data.items() if name != "version"}


class BareForm(StepForm):
    """A step that needs no words."""


class AssignForm(StepForm):
    """Hand the task to a person."""

    assignee = forms.ModelChoiceField(User.objects.none(), label=pgettext_lazy("task", "Person"), required=False)

    def __init__(self, *args: Any, task: Task, **kwargs: Any) -> None:
        kwargs.setdefault("initial", {}).setdefault("assignee", task.assignee_id)
        super().__init__(*args, task=task, **kwargs)
        field = self.fields["assignee"]
        field.queryset = assignable(task)
        field.empty_label = _("Nobody in particular")
        field.label_from_instance = lambda user: f"{user.name} ({user.unit})"


class ReportForm(StepForm):
    """Report progress."""

    percent = forms.IntegerField(label=_("Progress, %"), min_value=0, max_value=100)
    text = forms.CharField(label=_("What was done"), widget=forms.Textarea, max_length=20_000)
    files = FilesField(label=_("Files"), required=False)

    def __init__(self, *args: Any, task: Task, **kwargs: Any) -> None:
        kwargs.setdefault("initial", {}).setdefault("percent", task.progress)
        super().__init__(*args, task=task, **kwargs)


class FinishForm(StepForm):
    """Report the task finished."""

    text = forms.CharField(label=_("What was done"), widget=forms.Textarea, max_length=20_000)
    files = FilesField(label=_("Files"), required=False)


class MoreTimeForm(StepForm):
    """Ask for more time."""

    until = forms.DateTimeField(label=_("New due time"))
    reason = forms.CharField(label=_("Reason"), widget=forms.Textarea, max_length=2000)


class ConfirmForm(StepForm):
    """Checked: done."""

    text = forms.CharField(label=_("Remark"), widget=forms.Textarea, max_length=2000, required=False)


class ReasonForm(StepForm):
    """A step with its reason."""

    reason = forms.CharField(label=_("Reason"), widget=forms.Textarea, max_length=2000)


class SendBackForm(ReasonForm):
    """Send the task back."""

    reason = forms.CharField(label=_("What is missing"), widget=forms.Textarea, max_length=2000)


class RefuseForm(ReasonForm):
    """Refuse more time."""


class CancelForm(ReasonForm):
    """Cancel the task."""


class GrantForm(StepForm):
    """Grant more time."""

    until = forms.DateTimeField(label=_("New due time"))
    text = forms.CharField(label=_("Remark"), max_length=500, required=False)

    def __init__(self, *args: Any, task: Task, **kwargs: Any) -> None:
        kwargs.setdefault("initial", {}).setdefault("until", task.wanted_due_at)
        super().__init__(*args, task=task, **kwargs)


class DueForm(StepForm):
    """Set another due time."""

    due_at = forms.DateTimeField(label=_("New due time"))
    reason = forms.CharField(label=_("Reason"), max_length=500)


class TaskForm(Form):
    """Give a unit a task."""

    title = forms.CharField(label=_("Task"), max_length=300)
    unit = forms.ModelChoiceField(Unit.objects.none(), label=_("Unit"))
    due_at = forms.DateTimeField(label=_("Due"))
    text = forms.CharField(label=_("What to do"), widget=forms.Textarea, max_length=20_000, required=False)

    def __init__(self, *args: Any, units: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["unit"].queryset = units

    def clean_due_at(self) -> datetime:
        due: datetime = self.cleaned_data["due_at"]
        if due <= timezone.now():
            raise forms.ValidationError(gettext("The due time has passed already."))
        return due
