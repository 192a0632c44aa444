"""The app's name for Django."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class FrameConfig(AppConfig):
    """The frame around all pages: navigation, template tags, states."""

    name = "khien.console.frame"
    label = "frame"
    verbose_name = _("Frame")
    default_auto_field = "django.db.models.BigAutoField"
