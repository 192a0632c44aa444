"""Addresses of the API, and of the pages of webhooks."""

from django.urls import include, path

from khien.console.api import views
from khien.console.api.v1 import api

pages = (
    [
        path("", views.hooks, name="list"),
        path("<int:pk>/", views.deliveries, name="deliveries"),
        path("<int:pk>/remove", views.remove, name="remove"),
    ],
    "webhooks",
)
urlpatterns = [path("v1/", api.urls), path("webhooks/", include(pages))]
