"""Entries in words."""

from __future__ import annotations

from django import template

from khien.console.audit.actions import label
from khien.console.audit.changes import Change, changes
from khien.console.audit.fields import field_label
from khien.console.audit.models import Entry

register = template.Library()


@register.filter
def action_label(action: str) -> str:
    """An action in words."""
    return label(action)


@register.filter
def changes_of(entry: Entry) -> list[Change]:
    """The entry's before and after, field by field."""
    return changes(entry.before, entry.after)


@register.filter
def changed_names(entry: Entry) -> str:
    """The names of the fields that changed, as programs know them."""
    return ", ".join(_changed(entry))


@register.filter
def changed_labels(entry: Entry) -> str:
    """The fields that changed in words, for a line in a list."""
    return ", ".join(field_label(entry.target_type, name) for name in _changed(entry))


def _changed(entry: Entry) -> list[str]:
    return [each.name for each in changes(entry.before, entry.after) if each.kind != "same"]


@register.filter
def field_of(entry: Entry, name: str) -> str:
    """A field of the entry in words."""
    return field_label(entry.target_type, name)


@register.filter
def short_name(actor_name: str) -> str:
    """A person's name without the e-mail that follows it."""
    return actor_name.partition(" <")[0] or actor_name
