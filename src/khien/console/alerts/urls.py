"""Addresses of this part of the console."""

from django.urls import include, path

from khien.console.alerts.views import actions, arriving, queue, saved

app_name = "alerts"
urlpatterns = [
    path("", queue.queue, name="queue"),
    path("act/", actions.act, name="act"),
    path("undo/<int:pk>/", actions.undo, name="undo"),
    path("stream/", arriving.stream, name="stream"),
    path("views/", saved.save, name="view_save"),
    path("views/<int:pk>/delete/", saved.delete, name="view_delete"),
    path("", include("khien.console.alerts.detail_urls")),
]
