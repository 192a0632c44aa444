"""The app's name for Django, and the check of replaced catalogues."""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.core import checks
from django.utils.translation import gettext_lazy as _


class IncidentsConfig(AppConfig):
    """Incidents: timeline, evidence, legal clocks."""

    name = "khien.console.incidents"
    label = "incidents"
    verbose_name = _("Incidents")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        checks.register(catalogues)


def catalogues(**_: Any) -> list[checks.CheckMessage]:
    """What is wrong with catalogue files that an administrator put in place of the packaged ones."""
    from khien.console.incidents.catalogue import problems

    return [checks.Warning(str(problem), id="incidents.W001") for problem in problems()]
