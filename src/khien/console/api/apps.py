"""The app's name for Django."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class ApiConfig(AppConfig):
    """The REST API and webhooks."""

    name = "khien.console.api"
    label = "api"
    verbose_name = _("Api")
    default_auto_field = "django.db.models.BigAutoField"
