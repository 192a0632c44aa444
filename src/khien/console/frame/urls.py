"""Addresses of the frame."""

from django.urls import path

from khien.console.frame import search, settings_page, views

urlpatterns = [
    path("health", views.health, name="health"),
    path("language", views.language, name="language"),
    path("appearance", views.appearance, name="appearance"),
    path("search", search.results, name="search"),
    path("search/suggestions", search.suggest, name="suggestions"),
    path("settings/", settings_page.console_settings, name="console_settings"),
]
