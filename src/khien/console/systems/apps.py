"""The app's name for Django."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class SystemsConfig(AppConfig):
    """Information systems and what names them in telemetry."""

    name = "khien.console.systems"
    label = "systems"
    verbose_name = _("Systems")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from khien.console.systems.signals import connect

        connect()
