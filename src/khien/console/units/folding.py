"""Searching lists marks and case aside, on every database alike: each row keeps its texts folded, in one column."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db import models
from django.db.models import Q

from khien.console.units.naming import fold, words_of

_PORTION = 500


class FoldedField(models.TextField):
    """What a row is searched by: some of its fields as `fold` has them, written anew at every save.

    `QuerySet.update` and a save that leaves this field out do not write it.
    """

    def __init__(self, *sources: str, **options: Any) -> None:
        self.sources = sources
        super().__init__(**{**options, "default": "", "editable": False})

    def deconstruct(self) -> Any:
        """Its fields are its arguments in a migration."""
        name, path, _arguments, options = super().deconstruct()
        del options["default"], options["editable"]
        return name, path, list(self.sources), options

    def of(self, row: models.Model) -> str:
        """What to keep for a row."""
        return fold(" ".join(text for name in self.sources if (text := getattr(row, name))))

    def pre_save(self, model_instance: models.Model, add: bool) -> str:
        """Keep it."""
        found = self.of(model_instance)
        setattr(model_instance, self.attname, found)
        return found


def filler(app: str, *names: str) -> Callable[[Any, Any], None]:
    """What a migration calls to fill the column `folded` of some models for the rows there are."""

    def fill(apps: Any, schema_editor: Any) -> None:
        for name in names:
            model = apps.get_model(app, name)
            rows = []
            for row in model.objects.using(schema_editor.connection.alias).order_by("pk").iterator(_PORTION):
                row.folded = model._meta.get_field("folded").of(row)
                rows.append(row)
                if len(rows) == _PORTION:
                    model.objects.bulk_update(rows, ["folded"])
                    rows = []
            model.objects.bulk_update(rows, ["folded"])

    return fill


def saying(text: str, *columns: str) -> Q:
    """The condition that each word of a text stands in one of some folded columns (`folded` of the row itself)."""
    found = Q()
    for word in words_of(text):
        anywhere = Q()
        for column in columns or ("folded",):
            anywhere |= Q(**{f"{column}__contains": word})
        found &= anywhere
    return found
