"""Codes that units and systems get from their names."""

from __future__ import annotations

from django.db import models

from khien.console.units.naming import code_of


def free_code(name: str, model: type[models.Model], otherwise: str) -> str:
    """A code made of a name that none of a model's rows has: at most 60 characters, with a number behind if need be.

    `otherwise`: for a name that makes none. To be called in the transaction that uses it, after `hold_trail`.
    """
    code = code_of(name) or otherwise
    taken = set(model._default_manager.filter(code__startswith=code[:50]).values_list("code", flat=True))
    number, found = 1, code
    while found in taken:
        number += 1
        found = f"{code[:55]}-{number}"
    return found
