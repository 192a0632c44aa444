"""Keeping views of the queue by name."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from khien.console.accounts.access import demand
from khien.console.accounts.models import User
from khien.console.alerts.models import SavedView
from khien.console.audit.services import hold_trail, record

MOST = 50


def save_view(by: User, *, name: str, query: str, shared: bool = False) -> SavedView:
    """Keep a view; one's own of the same name is replaced. Raises ValidationError."""
    demand(by, "alerts.view")
    name = name.strip()[:80]
    if not name:
        raise ValidationError(_("Give the view a name."))
    with transaction.atomic():
        hold_trail()
        known = SavedView.objects.select_for_update().filter(owner=by, name=name).first()
        if known is None and SavedView.objects.filter(owner=by).count() >= MOST:
            raise ValidationError(_("Delete a view first: there can be %(most)s of a person.") % {"most": MOST})
        before = {"query": known.query, "shared": known.shared} if known else None
        view = known or SavedView(owner=by, name=name)
        view.query, view.shared = query, shared
        view.save()
        record(by, "alert_view.save", view, before=before, after={"query": query, "shared": shared})
    return view


def delete_view(by: User, pk: int) -> None:
    """Forget one of one's own views. Raises SavedView.DoesNotExist."""
    demand(by, "alerts.view")
    with transaction.atomic():
        view = SavedView.objects.get(pk=pk, owner=by)
        record(by, "alert_view.delete", view, before={"query": view.query, "shared": view.shared})
        view.delete()
