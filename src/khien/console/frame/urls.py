"""Addresses of the frame."""

from django.urls import path

from khien.console.frame import views

urlpatterns = [
    path("health", views.health, name="health"),
    path("language", views.language, name="language"),
    path("appearance", views.appearance, name="appearance"),
]
