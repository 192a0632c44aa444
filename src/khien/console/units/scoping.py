"""What a person sees: everything of the units that oversee, of others their own unit and those below."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self, TypeVar

from django.contrib.auth.models import AnonymousUser
from django.db import models
from django.db.models import Q

if TYPE_CHECKING:
    from khien.console.accounts.models import User

M = TypeVar("M", bound=models.Model)


def scope_ids(user: User | AnonymousUser) -> frozenset[int] | None:
    """The ids of the units a person sees; None for all of them. Read once for a user object."""
    if not user.is_authenticated or not user.is_active:
        return frozenset()
    known = user.__dict__.get("_scope_ids", False)
    if known is False:
        known = user.__dict__["_scope_ids"] = _scope_ids(user)
    return known


def _scope_ids(user: User) -> frozenset[int] | None:
    from khien.console.units.models import Unit

    unit = Unit.objects.select_related("kind").get(pk=user.unit_id)
    if unit.kind.oversees:
        return None
    return frozenset(Unit.objects.filter(path__startswith=unit.path).values_list("id", flat=True))


def sees_unit(user: User | AnonymousUser, unit_id: int) -> bool:
    """Whether a person sees what belongs to a unit."""
    ids = scope_ids(user)
    return ids is None or unit_id in ids


class UnitScopedQuerySet(models.QuerySet[M]):
    """Rows that belong to a unit by `unit_field`."""

    unit_field = "unit_id"

    def visible_to(self, user: User | AnonymousUser) -> Self:
        """Those a person may see. Every list, count, export, search and suggestion begins here."""
        ids = scope_ids(user)
        if ids is None:
            return self.all()
        return self.filter(self.of_units(ids))

    def of_units(self, ids: Any) -> Q:
        """The condition that a row belongs to one of some units."""
        return Q(**{f"{self.unit_field}__in": ids})
