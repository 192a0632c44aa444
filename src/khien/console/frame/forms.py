"""Forms that look like the rest: each widget gets the class of its kind, and errors of services show on them."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError

_CLASSES: tuple[tuple[type[forms.Widget], str], ...] = (
    (forms.CheckboxSelectMultiple, "checks"),
    (forms.RadioSelect, "checks"),
    (forms.CheckboxInput, "form-check-input"),
    (forms.Select, "form-select"),
    (forms.Widget, "form-control"),
)


def dress(form: forms.BaseForm) -> None:
    """Give each widget its class, and times the browser's own picker."""
    for field in form.fields.values():
        if isinstance(field, forms.DateTimeField) and type(field.widget) is forms.DateTimeInput:
            field.widget = forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M")
        elif isinstance(field, forms.DateField) and type(field.widget) is forms.DateInput:
            field.widget = forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")
        widget = field.widget
        name = next(name for kind, name in _CLASSES if isinstance(widget, kind))
        widget.attrs["class"] = f"{widget.attrs.get('class', '')} {name}".strip()
        widget.is_localized = False
        if isinstance(field, forms.ModelChoiceField) and field.empty_label == "---------":
            field.empty_label = "–"
        if isinstance(widget, forms.Textarea):
            widget.attrs.setdefault("rows", 4)


class Form(forms.Form):
    """A plain form in the console's dress."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        dress(self)


class ModelForm(forms.ModelForm):  # type: ignore[type-arg]
    """A model's form in the console's dress."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        dress(self)


def take_errors(form: forms.BaseForm, error: ValidationError) -> None:
    """Show what a service refused at the fields it names, else above the form."""
    if hasattr(error, "error_dict"):
        for name, errors in error.error_dict.items():
            form.add_error(name if name in form.fields else None, errors)
    else:
        form.add_error(None, error)
