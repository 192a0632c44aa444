"""Addresses of this part of the console."""

from django.urls import include, path

from khien.console.alerts.views import queue

app_name = "alerts"
urlpatterns = [
    path("", queue.queue, name="queue"),
    path("", include("khien.console.alerts.detail_urls")),
]
