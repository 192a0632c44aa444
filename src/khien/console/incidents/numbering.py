"""Numbers of incidents: SC-2026-0001, in order and without gaps within a year."""

from __future__ import annotations

from datetime import datetime

from django.utils import timezone

from khien.console.incidents.models import NumberSeries


def next_number(now: datetime) -> str:
    """The next number of the year (of the province's clock). To be called in the transaction that uses it."""
    year = timezone.localtime(now).year
    NumberSeries.objects.get_or_create(year=year)
    series = NumberSeries.objects.select_for_update().get(year=year)
    series.last += 1
    series.save()
    return f"SC-{year}-{series.last:04d}"
