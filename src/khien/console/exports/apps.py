"""The app's name for Django."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class ExportsConfig(AppConfig):
    """Files that the worker makes."""

    name = "khien.console.exports"
    label = "exports"
    verbose_name = _("Files being made")
    default_auto_field = "django.db.models.BigAutoField"
