"""Living through the past: what services do inside `at` bears that time, as if it had been done then."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from django.apps import apps
from django.db import models
from django.utils import timezone


@contextmanager
def at(moment: datetime) -> Iterator[None]:
    """Make `timezone.now()`, and the fields that have it for a default, say `moment`. For the sample alone."""
    real = timezone.now

    def told() -> datetime:
        return moment

    fields = [field for model in apps.get_models() for field in model._meta.fields if _now(field, real)]
    try:
        timezone.now = told
        for field in fields:
            _set(field, told)
        yield
    finally:
        timezone.now = real
        for field in fields:
            _set(field, real)


def _now(field: models.Field, real: object) -> bool:  # type: ignore[type-arg]
    return field.default is real


def _set(field: models.Field, default: object) -> None:  # type: ignore[type-arg]
    field.default = default
    field.__dict__.pop("_get_default", None)
