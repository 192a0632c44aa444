"""Addresses of an incident's evidence, reports and exports; `urls` takes them in."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver

urlpatterns: list[URLPattern | URLResolver] = []
