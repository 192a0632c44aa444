"""Addresses of the register of systems."""

from django.urls import path

from khien.console.systems import views

app_name = "systems"
urlpatterns = [
    path("", views.systems, name="list"),
    path("new", views.new, name="new"),
    path("<int:pk>/", views.system, name="detail"),
    path("<int:pk>/edit", views.edit, name="edit"),
]
