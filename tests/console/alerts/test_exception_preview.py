"""What an exception would silence: in the alerts, and in the findings of the lake."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from console_exceptions import EVENT, MATCHED, WHOAMI_ID, SignedIn, drafted, record
from khien.console.alerts.exception_drafts import check
from khien.console.alerts.exception_preview import preview_alerts, preview_lake
from khien.console.alerts.models import AlertFinding, RuleException
from khien.console.alerts.rule_index import KnownRule, rule_index
from khien.lake.store import Lake
from lake.made import findings

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("folders")]


def test_the_preview_counts_what_is_silenced_and_what_stays(known: KnownRule, fired: Any, province: Any) -> None:
    alert = fired()
    fired(User="EXAMPLE\\someone")
    fired(ago=timedelta(days=40))
    both = fired()
    AlertFinding.objects.create(alert=both, position=1, record=record(User="EXAMPLE\\someone"))
    found = check(drafted(known, alert, "User"), known, rule_index())
    seen = preview_alerts(province.analyst, found, known)
    assert (seen.silenced, seen.kept, seen.partly, seen.unknown) == (1, 1, 1, 0)
    assert (seen.looked, seen.there, seen.whole) == (3, 3, True)
    assert seen.silenced_examples[0].alert == alert.pk
    assert "whoami.exe" in seen.kept_examples[0].text


def test_a_preview_that_ran_out_of_time_says_so(
    known: KnownRule, fired: Any, province: Any, monkeypatch: pytest.MonkeyPatch, signed_in: SignedIn
) -> None:
    monkeypatch.setattr("khien.console.alerts.exception_preview._SECONDS", 0.0)
    alert = fired()
    fired()
    text = drafted(known, alert, "User")
    seen = preview_alerts(province.analyst, check(text, known, rule_index()), known)
    assert not seen.whole
    page = signed_in(province.analyst).post("/alerts/exceptions/preview/", {"alert": alert.pk, "text": text})
    assert "A partial result" in page.content.decode()


def test_the_preview_looks_through_the_lake_s_findings(
    folders: Path, known: KnownRule, fired: Any, province: Any, signed_in: SignedIn
) -> None:
    alert = fired()
    text = drafted(known, alert, "User")
    client = signed_in(province.analyst)
    path = "/alerts/exceptions/preview/lake/"
    assert "no lake here" in client.post(path, {"alert": alert.pk, "text": text}).content.decode()
    now = timezone.now()
    rows = [
        {"time": now - timedelta(days=n), "rule_id": WHOAMI_ID, "matched": json.dumps(MATCHED), "host": f"pc-{n}"}
        | {"event": json.dumps({**EVENT, "User": user})}
        for n, user in enumerate(["EXAMPLE\\scanner"] * 3 + ["EXAMPLE\\<script>"] * 2)
    ]
    rows.append({"time": now - timedelta(days=50), "rule_id": WHOAMI_ID, "event": "{}", "matched": "[]"})
    rows.append({"time": now, "rule_id": "other", "event": "{}", "matched": "[]"})
    Lake(folders / "lake").append_findings(findings(*rows), app="test", version=1)
    seen = preview_lake(check(text, known, rule_index()), known)
    assert (seen.silenced, seen.kept, seen.there, seen.whole) == (3, 2, 5, True)
    page = client.post(path, {"alert": alert.pk, "text": text}).content.decode()
    assert "<dd>3</dd>" in page
    assert "<script>" not in page


def test_wrong_texts_are_shown_in_the_preview_and_the_form_with_their_line(
    fired: Any, province: Any, signed_in: SignedIn
) -> None:
    alert = fired()
    client = signed_in(province.analyst)
    text = "title: <script>alert(1)</script>\nfilter: ["
    page = client.post("/alerts/exceptions/preview/", {"alert": alert.pk, "text": text}).content.decode()
    assert 'data-line="2"' in page
    day = (timezone.localdate() + timedelta(days=3)).isoformat()
    values = {"title": "T", "reason": "R", "owner": province.analyst.pk, "expires_on": day, "text": text}
    response = client.post("/alerts/exceptions/new/", {"alert": alert.pk, **values})
    assert response.status_code == 422
    page = response.content.decode()
    assert 'data-line="2"' in page
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert not RuleException.objects.exists()
