"""Addresses of files being made."""

from django.urls import path

from khien.console.exports import views

app_name = "exports"
urlpatterns = [
    path("", views.file_list, name="list"),
    path("rows", views.rows, name="rows"),
    path("<int:pk>/download", views.download, name="download"),
    path("<int:pk>/give-up", views.give_up, name="give_up"),
]
