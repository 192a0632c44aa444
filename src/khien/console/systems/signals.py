"""Whatever in this process writes a system or a unit, its compiled register hears of it at once."""

from __future__ import annotations

from typing import Any

from django.db.models.signals import post_delete, post_save

from khien.console.systems.models import InformationSystem
from khien.console.systems.selectors import register_changed
from khien.console.units.models import Unit


def _changed(sender: Any, raw: bool = False, **_: Any) -> None:
    if not raw:
        register_changed()


def connect() -> None:
    """Listen to systems and units."""
    for model in (InformationSystem, Unit):
        post_save.connect(_changed, sender=model, dispatch_uid="systems.register")
        post_delete.connect(_changed, sender=model, dispatch_uid="systems.register")
