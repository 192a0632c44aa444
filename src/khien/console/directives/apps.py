"""The app's name for Django."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class DirectivesConfig(AppConfig):
    """Sessions, directives, and the tasks of all kinds."""

    name = "khien.console.directives"
    label = "directives"
    verbose_name = _("Directives")
    default_auto_field = "django.db.models.BigAutoField"
