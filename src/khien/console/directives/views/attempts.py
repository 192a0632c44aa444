"""Doing what a form with a version asks for: what cannot be done is told in the form, and nothing written is lost."""

from __future__ import annotations

from collections.abc import Callable

from django import forms
from django.core.exceptions import ValidationError

from khien.console.concurrency import Changed


def attempt(form: forms.BaseForm, work: Callable[[int | None], object]) -> int:
    """Call `work` with the version that was read. The status to answer with: 200 when it is done, else 400 or 409.

    After 409 the form has the version of now, so that it can be sent again.
    """
    if not form.is_valid():
        return 400
    try:
        work(form.cleaned_data["version"])
    except Changed as conflict:
        form.add_error(None, str(conflict.message))
        form.data = form.data.copy()  # type: ignore[misc]
        form.data["version"] = conflict.current.version  # type: ignore[index, attr-defined]
        return 409
    except ValidationError as error:
        form.add_error(None, error.messages)
        return 400
    return 200
