"""Two people editing the same thing: the second is told, nothing is lost.

What looks before it writes (whether a code, a seat or a number is free, whether a unit is active) does both in one
transaction that begins with `hold_trail`, or with `locked`, which calls it: such changes come one after the other.
"""

from __future__ import annotations

from typing import TypeVar

from django.db import models
from django.utils.translation import gettext_lazy as _

from khien.console.accounts.models import User
from khien.console.audit.services import hold_trail

M = TypeVar("M", bound=models.Model)


class Changed(Exception):
    """Somebody else changed the row since it was read. `current`: the row as it is now."""

    message = _("Somebody else has changed this in the meantime. What you wrote is below; look at the new state first.")

    def __init__(self, current: models.Model) -> None:
        super().__init__(str(self.message))
        self.current = current


def locked(model: type[M], pk: int, version: int | None, *, by: User | None = None) -> M:
    """The row, held until the end of the transaction. Raises Changed when its version is not the one that was read.

    `version`: what the form carried; None where the change does not depend on what was read.
    `by`: only what that person may see. Raises the model's DoesNotExist. The caller raises `version` by one and saves.
    """
    hold_trail()
    rows = model._default_manager.all() if by is None else model._default_manager.visible_to(by)  # type: ignore[attr-defined]
    row: M = rows.select_for_update(of=("self",), no_key=True).get(pk=pk)
    if version is not None and row.version != version:  # type: ignore[attr-defined]
        raise Changed(row)
    return row
