"""What tests of exceptions share: a rule, alerts of it, and the folders where the live service finds both."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from flow.live_service import BRUTE, FAILED, WHOAMI
from khien.console.alerts import exceptions
from khien.console.alerts.exception_drafts import choices, draft
from khien.console.alerts.models import Alert, AlertFinding, RuleException
from khien.console.alerts.rule_index import KnownRule, rule_index
from khien.flow.rulebook import Rulebook
from khien.formats.inputs import Input
from khien.hunt.worker import Part, Worker

WHOAMI_ID = "3f0b3c56-7a51-4a5c-9d0b-a3a0f1c0de01"
BRUTE_ID = "3f0b3c56-7a51-4a5c-9d0b-a3a0f1c0de03"
FAILED_ID = "3f0b3c56-7a51-4a5c-9d0b-a3a0f1c0de02"
EVENT = {
    "EventID": 1,
    "Channel": "Microsoft-Windows-Sysmon/Operational",
    "Computer": "SYT-PC-041",
    "Image": "C:\\Windows\\System32\\whoami.exe",
    "CommandLine": "whoami /all *?",
    "User": "EXAMPLE\\scanner",
}
MATCHED = [{"field": "Image", "value": EVENT["Image"], "pattern": "*\\\\whoami.exe"}]
SignedIn = Callable[..., Client]


@pytest.fixture
def folders(settings: Any, tmp_path: Path) -> Path:
    rules = tmp_path / "rules"
    rules.mkdir()
    for name, text in (("whoami", WHOAMI), ("failed", FAILED), ("brute", BRUTE)):
        (rules / f"{name}.yml").write_text(text)
    settings.RULES = [rules]
    settings.LIVE = tmp_path / "live"
    settings.LAKE = str(tmp_path / "lake")
    return tmp_path


@pytest.fixture
def known() -> KnownRule:
    found = rule_index().find(WHOAMI_ID)
    assert found is not None
    return found


def record(**event: Any) -> dict[str, Any]:
    return {"rule_id": WHOAMI_ID, "host": "SYT-PC-041", "matched": MATCHED, "event": {**EVENT, **event}}


@pytest.fixture
def fired(make_alert: Any) -> Callable[..., Alert]:
    """`fired(User="x", ago=...)`: an alert of the rule whose event has these fields."""

    def make(ago: timedelta = timedelta(hours=1), unit: str = "so-y-te", **event: Any) -> Alert:
        alert: Alert = make_alert(rule=WHOAMI_ID, title="Who Am I", ago=ago, unit=unit)
        AlertFinding.objects.filter(alert=alert).update(record=record(**event))
        return alert

    return make


def drafted(known: KnownRule, alert: Alert, *names: str, **event: Any) -> str:
    chosen = [each for each in choices(alert, record(**event), known) if each.name in names]
    assert len(chosen) == len(names)
    return draft(known, "A scanner", chosen)


def make(by: Any, alert: Alert | None, known: KnownRule, text: str, **values: Any) -> RuleException:
    given = {"title": "A scanner", "reason": "It is ours", "owner": by, "expires_at": in_days(30), **values}
    return exceptions.make_exception(by, alert=alert, known=known, index=rule_index(), text=text, **given)


def in_days(days: float) -> datetime:
    return timezone.now() + timedelta(days=days)


def found_by_engine(folders: Path, *events: dict[str, Any]) -> list[str]:
    """The command lines that the live service's engine finds with the rules and exceptions there are now."""
    paths = [folders / "rules", *([exceptions.folder()] if exceptions.folder().exists() else [])]
    worker = Worker(Rulebook(tuple(paths), "low", None).plan)
    data = b"".join(json.dumps(event).encode() + b"\n" for event in events)
    file = folders / "events.json"
    file.write_bytes(data)
    lines = []
    for progress in worker.hunt(Part(Input("events", len(data), lambda: file.open("rb")))):
        lines += [json.loads(each.line())["event"]["CommandLine"] for each in progress.findings]
    return lines
