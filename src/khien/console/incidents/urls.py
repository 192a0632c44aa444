"""Addresses of incidents; those of evidence and reports stand in `evidence_urls`."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver

from khien.console.incidents import evidence_urls

app_name = "incidents"
urlpatterns: list[URLPattern | URLResolver] = [
    *evidence_urls.urlpatterns,
]
