"""Addresses of one alert, and of exceptions from rules."""

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []
