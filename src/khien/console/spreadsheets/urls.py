"""Addresses of imports."""

from django.urls import path

from khien.console.spreadsheets import views

app_name = "spreadsheets"
urlpatterns = [
    path("", views.index, name="index"),
    path("<slug:name>/new", views.new, name="new"),
    path("<slug:name>/template", views.template, name="template"),
    path("imports/<int:pk>/", views.preview, name="preview"),
]
