"""Alerts that people write down themselves: what somebody saw, a call, a mail."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import datetime

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from khien.console.accounts.access import demand
from khien.console.accounts.models import User
from khien.console.alerts import content, tally, writing
from khien.console.alerts.models import Alert, AlertFinding, Level
from khien.console.audit.services import hold_trail, record
from khien.console.systems.models import InformationSystem
from khien.console.units.models import Unit

RULE = "hand"
"""Stands in place of a rule's id."""


def create_alert(
    by: User,
    *,
    title: str,
    level: int,
    unit: Unit,
    system: InformationSystem | None = None,
    entity_kind: str = "",
    entity_value: str = "",
    text: str = "",
    tags: Iterable[str] = (),
    at: datetime | None = None,
) -> Alert:
    """An alert made by hand, of a unit the person sees. `at`: when it was seen. Raises ValidationError."""
    demand(by, "alerts.work")
    title = title.strip()[:300]
    if not title:
        raise ValidationError({"title": _("Say what was seen.")})
    if level not in Level.values:
        raise ValidationError({"level": _("Choose a level.")})
    if not Unit.objects.visible_to(by).filter(pk=unit.pk).exists():
        raise ValidationError({"unit": _("Choose one of your units.")})
    if system is not None and not InformationSystem.objects.visible_to(by).filter(pk=system.pk).exists():
        raise ValidationError({"system": _("Choose one of your systems.")})
    now = timezone.now()
    seen = min(at or now, now)
    value = entity_value.strip().lower()[:300]
    with transaction.atomic():
        hold_trail()
        alert = Alert.objects.create(
            key=f"hand-{uuid.uuid4().hex}",
            rule_id=RULE,
            title=title,
            level=level,
            unit=unit,
            system=system,
            entity_kind=entity_kind if value else "",
            entity_value=value,
            entities=[[entity_kind, value]] if value else [],
            tags=list(tags),
            first_at=seen,
            last_at=seen,
            arrived_at=now,
            updated_at=now,
            made_by=by,
        )
        event = {"text": text.strip()} if text.strip() else {}
        kept = {"rule_id": RULE, "title": title, "host": "", "user": "", "matched": [], "event": event}
        kept |= {"level": Level(level).word, "tags": list(tags), "time": seen.isoformat()}
        if entity_kind in ("host", "user"):
            kept[entity_kind] = value
        if event or value:
            AlertFinding.objects.create(alert=alert, position=0, record=kept)
        content.add([(content.row_of(alert.pk, 0), content.words_of_finding(f"{title} {value}", kept))])
        tally.shift([], [tally.cell(alert.last_at, alert.unit_id, alert.level, alert.status)])
        writing.remember(by, "create", [alert.pk], text.strip()[:2_000])
        record(by, "alert.create", alert, after={"title": title, "level": level, "unit": unit.code, "entity": value})
    return alert
