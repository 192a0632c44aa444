"""Signing in, one's own account, and the accounts of others."""

from django.urls import include, path

urlpatterns = [
    path("", include("allauth.urls")),
]
