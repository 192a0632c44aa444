"""What tests of alerts share: alerts made the way the feed makes them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import count
from typing import Any

import pytest
from django.utils import timezone

from console_exceptions import fired, folders, known
from khien.console.alerts import content, tally
from khien.console.alerts.models import Alert, AlertFinding, SeenRule

__all__ = ["fired", "folders", "known"]
MakeAlert = Callable[..., Alert]


@pytest.fixture
def make_alert(province: Any) -> MakeAlert:
    """`make_alert(unit="so-y-te", title=..., level=3, event={...}, ago=timedelta(...))`: an alert with a finding."""
    numbers = count(1)

    def make(
        *,
        unit: str | None = "so-y-te",
        title: str = "LSASS dump via comsvcs",
        level: int = 3,
        host: str = "syt-pc-041",
        rule: str = "rule-1",
        tags: tuple[str, ...] = (),
        event: dict[str, Any] | None = None,
        ago: timedelta = timedelta(0),
        at: datetime | None = None,
        **fields: Any,
    ) -> Alert:
        number = next(numbers)
        moment = at or timezone.now() - ago
        alert = Alert.objects.create(
            key=f"live-{number}",
            live_key=f"live-{number}",
            rule_id=rule,
            title=title,
            level=level,
            unit=province.units[unit] if unit else None,
            entity_kind="host",
            entity_value=host,
            entities=[["host", host]],
            tags=list(tags),
            first_at=moment,
            last_at=moment,
            **fields,
        )
        record = {"rule_id": rule, "title": title, "host": host, "user": "", "matched": [], "event": event or {}}
        AlertFinding.objects.create(alert=alert, position=0, record=record)
        content.add([(content.row_of(alert.pk, 0), content.words_of_finding(title, record))])
        tally.shift([], [tally.cell(alert.last_at, alert.unit_id, alert.level, alert.status)])
        SeenRule.objects.get_or_create(rule_id=rule, defaults={"title": title, "level": level, "tags": list(tags)})
        return alert

    return make
