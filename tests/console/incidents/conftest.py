"""What tests of incidents share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone
from django.utils.translation import override

from console_evidence import own_folder
from khien.console.alerts.models import Alert
from khien.console.incidents.models import Incident
from khien.console.incidents.services import open_incident
from khien.console.systems.models import InformationSystem

__all__ = ["own_folder"]
NOON = datetime(2026, 11, 24, 5, 0, tzinfo=UTC)
"""12:00 in the province."""


@pytest.fixture(autouse=True)
def english() -> Iterator[None]:
    """What services say is compared in English."""
    with override("en"):
        yield


@pytest.fixture
def opened(province) -> Callable[..., Incident]:
    """`opened(by=..., unit=..., **fields)`: an incident; of the department of health, by the analyst, unless told."""

    def make(*, by: Any = None, unit: str = "so-y-te", **fields: Any) -> Incident:
        fields = {"title": "Máy chủ nhiễm mã độc", "level": 3, "working_class": "malware", **fields}
        return open_incident(by or province.analyst, unit=province.units[unit], **fields)

    return make


@pytest.fixture
def an_alert(province) -> Callable[..., Alert]:
    """`an_alert(unit, title)`: an alert with a finding and entities."""

    def make(unit: str = "so-y-te", title: str = "LSASS dump via comsvcs", **fields: Any) -> Alert:
        at = timezone.now() - timedelta(hours=3)
        number = Alert.objects.count()
        fields = {
            "key": f"k{number}",
            "rule_id": "r1",
            "level": 3,
            "unit": province.units[unit],
            "entity_kind": "host",
            "entity_value": "SYT-PC-041",
            "entities": [["host", "SYT-PC-041"], ["ip", "203.0.113.9"], ["domain", "evil.example.com"]],
            "first_at": at,
            "last_at": at + timedelta(minutes=30),
            **fields,
        }
        alert = Alert.objects.create(title=title, **fields)
        alert.findings.create(position=0, record={"time": at.isoformat(), "title": title})
        return alert

    return make


@pytest.fixture
def a_system(province) -> Callable[..., InformationSystem]:
    """`a_system(code, unit)`."""

    def make(code: str, unit: str) -> InformationSystem:
        return InformationSystem.objects.create(code=code, name=f"Hệ thống {code}", unit=province.units[unit], level=3)

    return make
