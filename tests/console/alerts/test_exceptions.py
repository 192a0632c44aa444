"""Exceptions from rules: at work in the real engine, kept by who may, and gone in time."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.exceptions import ValidationError
from django.test import Client
from django.utils import timezone

from console_exceptions import BRUTE_ID, EVENT, FAILED_ID, SignedIn, drafted, found_by_engine, in_days, make
from khien.console.accounts.access import Forbidden
from khien.console.alerts import exceptions
from khien.console.alerts.exception_drafts import check
from khien.console.alerts.exception_preview import preview_alerts
from khien.console.alerts.models import AlertFinding, RuleException
from khien.console.alerts.rule_index import KnownRule, rule_index
from khien.console.audit.models import Entry
from khien.console.chores import all_chores
from khien.console.concurrency import Changed
from khien.console.notifications.models import Notice

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("folders")]


def test_an_exception_silences_the_real_engine_for_that_event_and_no_other(
    folders: Path, known: KnownRule, fired: Any, province: Any, django_capture_on_commit_callbacks: Any
) -> None:
    other = {**EVENT, "User": "EXAMPLE\\someone", "CommandLine": "whoami by someone"}
    assert found_by_engine(folders, EVENT, other) == ["whoami /all *?", "whoami by someone"]
    with django_capture_on_commit_callbacks(execute=True):
        made = make(province.analyst, fired(), known, drafted(known, fired(), "Image", "CommandLine", "User"))
    assert exceptions.is_written(made)
    assert found_by_engine(folders, EVENT, other) == ["whoami by someone"]
    with django_capture_on_commit_callbacks(execute=True):
        exceptions.end_exception(province.analyst, made.pk, made.version)
    assert found_by_engine(folders, EVENT, other) == ["whoami /all *?", "whoami by someone"]
    assert list(exceptions.folder().iterdir()) == []


def test_an_exception_made_in_the_browser_is_at_work(
    folders: Path, fired: Any, province: Any, signed_in: SignedIn, django_capture_on_commit_callbacks: Any
) -> None:
    alert = fired()
    client = signed_in(province.analyst)
    page = client.get(f"/alerts/exceptions/new/?alert={alert.pk}")
    assert page.status_code == 200
    text = client.post(
        "/alerts/exceptions/draft/", {"alert": alert.pk, "field": ["Image", "User"], "title": "Ours"}
    ).content.decode()
    assert "EXAMPLE\\scanner" in text
    body = page.context["form"].initial["text"]
    values = {"alert": alert.pk, "title": "Ours", "text": body, "reason": "Known", "owner": province.analyst.pk}
    day = (timezone.localdate() + timedelta(days=30)).isoformat()
    with django_capture_on_commit_callbacks(execute=True):
        response = client.post("/alerts/exceptions/new/", {**values, "expires_on": day})
    made = RuleException.objects.get()
    assert response.url == f"/alerts/exceptions/{made.pk}/"
    assert made.preview == {"silenced": 1, "partly": 0, "of": 1, "there": 1}
    assert found_by_engine(folders, EVENT, {**EVENT, "Computer": "other"}) == [EVENT["CommandLine"]]
    page = client.get(response.url).content.decode()
    assert "In force" in page
    assert "not at work" not in page
    assert "made an exception" in client.get(f"/alerts/{alert.pk}/").content.decode()
    assert Entry.objects.filter(action="exception.create", target_id=str(made.pk)).exists()


@pytest.mark.parametrize("days", [0, -1, 181, 4000])
def test_an_exception_expires_within_180_days(days: int, fired: Any, province: Any, signed_in: SignedIn) -> None:
    alert = fired()
    client = signed_in(province.analyst)
    body = client.get(f"/alerts/exceptions/new/?alert={alert.pk}").context["form"].initial["text"]
    day = (timezone.localdate() + timedelta(days=days)).isoformat()
    values = {"title": "T", "reason": "R", "owner": province.analyst.pk, "expires_on": day, "text": body}
    assert client.post("/alerts/exceptions/new/", {"alert": alert.pk, **values}).status_code == 422


def test_services_ask_for_reason_owner_and_a_day_in_reach(known: KnownRule, fired: Any, province: Any) -> None:
    text = drafted(known, fired(), "User")
    for wrong in (
        {"reason": " "},
        {"owner": province.health},
        {"expires_at": in_days(-1)},
        {"expires_at": in_days(182)},
    ):
        with pytest.raises(ValidationError):
            make(province.analyst, None, known, text, **wrong)


def test_only_those_who_see_all_units_make_exceptions(
    known: KnownRule, fired: Any, province: Any, signed_in: SignedIn
) -> None:
    alert = fired()
    text = drafted(known, alert, "User")
    made = make(province.analyst, alert, known, text)
    for who in (province.health, province.chair, province.admin, province.auditor):
        with pytest.raises(Forbidden):
            make(who, alert, known, text)
        client = signed_in(who)
        assert client.get(f"/alerts/exceptions/new/?alert={alert.pk}").status_code == 403
        for path in ("draft/", "preview/", "preview/lake/", f"{made.pk}/end/", f"{made.pk}/prolong/"):
            assert client.post(f"/alerts/exceptions/{path}", {"alert": alert.pk, "text": text}).status_code == 403
    province.health.role = "analyst"
    province.health.save()
    client = signed_in(province.health)
    assert client.get(f"/alerts/exceptions/new/?alert={alert.pk}").status_code == 403
    assert "Make an exception" not in client.get(f"/alerts/{alert.pk}/").content.decode()


def test_an_exception_is_seen_by_the_units_of_its_alert(
    known: KnownRule, fired: Any, province: Any, signed_in: SignedIn
) -> None:
    made = make(province.analyst, fired(), known, drafted(known, fired(), "User"))
    for who, status in ((province.health, 200), (province.commune, 404), (province.chair, 200), (province.admin, 403)):
        assert signed_in(who).get(f"/alerts/exceptions/{made.pk}/").status_code == status
    assert "A scanner" in signed_in(province.health).get("/alerts/exceptions/").content.decode()
    assert "A scanner" not in signed_in(province.commune).get("/alerts/exceptions/").content.decode()
    export = signed_in(province.commune).get("/alerts/exceptions/?export=csv")
    assert b"A scanner" not in b"".join(export.streaming_content)
    assert Client().get(f"/alerts/exceptions/{made.pk}/").status_code == 302


@pytest.mark.parametrize("language", ["vi", "en"])
def test_pages_of_exceptions_are_there_in_both_languages(
    language: str, known: KnownRule, fired: Any, province: Any, signed_in: SignedIn
) -> None:
    alert = fired()
    made = make(province.analyst, alert, known, drafted(known, alert, "User"), reason="<script>alert(1)</script>")
    client = signed_in(province.analyst, language)
    paths = ["", "?state=soon", "?state=ended", "?state=all&q=scanner", f"{made.pk}/", f"new/?alert={alert.pk}"]
    for path in paths:
        response = client.get(f"/alerts/exceptions/{path}")
        assert response.status_code == 200
        assert "<script>alert" not in response.content.decode()
    assert client.get("/alerts/exceptions/new/?alert=999999").status_code == 404
    assert client.get("/alerts/exceptions/new/?alert=x").status_code == 404
    assert client.get("/alerts/exceptions/new/").url == "/alerts/"
    assert client.post("/alerts/exceptions/preview/").status_code == 400


def test_the_second_of_two_people_is_told_and_loses_nothing(
    known: KnownRule, fired: Any, province: Any, signed_in: SignedIn
) -> None:
    made = make(province.analyst, fired(), known, drafted(known, fired(), "User"))
    exceptions.prolong_exception(province.analyst, made.pk, 1, in_days(60), "Longer")
    client = signed_in(province.analyst2)
    day = (timezone.localdate() + timedelta(days=10)).isoformat()
    response = client.post(
        f"/alerts/exceptions/{made.pk}/prolong/", {"version": 1, "expires_on": day, "reason": "What I wrote"}
    )
    assert response.status_code == 409
    text = response.content.decode()
    assert "What I wrote" in text
    assert 'name="version" value="2"' in text
    assert client.post(f"/alerts/exceptions/{made.pk}/end/", {"version": 1}).status_code == 409
    assert client.post(f"/alerts/exceptions/{made.pk}/end/", {"version": 2}).status_code == 302
    with pytest.raises(Changed):
        exceptions.prolong_exception(province.analyst, made.pk, None, in_days(60), "")


def test_owners_are_reminded_once_a_week_before_and_the_file_goes_at_expiry(
    known: KnownRule, fired: Any, province: Any, django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        made = make(province.analyst, fired(), known, drafted(known, fired(), "User"))
    exceptions.keep_exceptions()
    assert not Notice.objects.exists()
    RuleException.objects.update(expires_at=in_days(6))
    exceptions.keep_exceptions()
    exceptions.keep_exceptions()
    notice = Notice.objects.get()
    assert (notice.user, notice.kind, notice.url) == (
        province.analyst, "alert.exception_expiring", f"/alerts/exceptions/{made.pk}/",
    )  # fmt: skip
    assert exceptions.is_written(made)
    RuleException.objects.update(expires_at=in_days(-0.01))
    exceptions.keep_exceptions()
    exceptions.keep_exceptions()
    assert not exceptions.is_written(made)
    assert [each.kind for each in Notice.objects.order_by("id")] == [
        "alert.exception_expiring",
        "alert.exception_expired",
    ]
    assert Entry.objects.filter(action="exception.expire").count() == 1


def test_prolonging_reminds_again(known: KnownRule, fired: Any, province: Any) -> None:
    made = make(province.analyst, fired(), known, drafted(known, fired(), "User"), expires_at=in_days(3))
    exceptions.keep_exceptions()
    exceptions.prolong_exception(province.analyst, made.pk, None, in_days(5), "Still")
    exceptions.keep_exceptions()
    assert Notice.objects.filter(kind="alert.exception_expiring").count() == 2


def test_the_folder_is_put_right_and_other_files_are_left_alone(
    known: KnownRule, fired: Any, province: Any, django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        made = make(province.analyst, fired(), known, drafted(known, fired(), "User"))
    place = exceptions.folder()
    (place / f"{made.pk}.yml").write_text("changed by hand")
    (place / "999.yml").write_text("of nobody")
    (place / "own.yml").write_text("an operator's own")
    assert exceptions.write_files() == 2
    assert sorted(path.name for path in place.iterdir()) == [f"{made.pk}.yml", "own.yml"]
    assert exceptions.write_files() == 0


def test_a_folder_that_cannot_be_written_is_said_on_the_page(
    folders: Path,
    known: KnownRule,
    fired: Any,
    province: Any,
    signed_in: SignedIn,
    django_capture_on_commit_callbacks: Any,
) -> None:
    (folders / "live").write_text("a file in the way")
    with django_capture_on_commit_callbacks(execute=True):
        made = make(province.analyst, fired(), known, drafted(known, fired(), "User"))
    assert "not at work" in signed_in(province.analyst).get(f"/alerts/exceptions/{made.pk}/").content.decode()


def test_the_chore_is_among_those_of_the_worker() -> None:
    assert any(chore.run is exceptions.keep_exceptions for chore in all_chores())


def test_an_exception_from_a_correlation_narrows_the_rule_it_counts(
    make_alert: Any, province: Any, signed_in: SignedIn
) -> None:
    alert = make_alert(rule=BRUTE_ID, title="Many Failed SSH Logins")
    AlertFinding.objects.filter(alert=alert).update(
        record={"rule_id": BRUTE_ID, "matched": [], "event": {"src_ip": "203.0.113.9", "count": 6}}
    )
    page = signed_in(province.analyst).get(f"/alerts/exceptions/new/?alert={alert.pk}")
    body = yaml.safe_load(page.context["form"].initial["text"])
    assert body["filter"]["rules"] == [FAILED_ID]
    assert body["filter"]["selection"] == {"src_ip": "203.0.113.9"}
    assert "keeps those events from being counted" in page.content.decode()
    known = rule_index().find(BRUTE_ID)
    assert known is not None
    found = check(page.context["form"].initial["text"], known, rule_index())
    assert preview_alerts(province.analyst, found, known).silenced == 1
    assert signed_in(province.analyst).get(f"/alerts/{alert.pk}/").status_code == 200


def test_a_rule_that_the_console_does_not_know_has_no_exceptions(
    make_alert: Any, province: Any, signed_in: SignedIn
) -> None:
    alert = make_alert(rule="khien-source-silent")
    page = signed_in(province.analyst).get(f"/alerts/exceptions/new/?alert={alert.pk}").content.decode()
    assert "KHIEN_RULES" in page


def test_the_list_makes_a_bounded_number_of_queries(
    known: KnownRule, fired: Any, province: Any, signed_in: SignedIn, django_assert_max_num_queries: Any
) -> None:
    alert = fired()
    text = drafted(known, alert, "User")
    client = signed_in(province.analyst)
    make(province.analyst, alert, known, text)
    client.get("/alerts/exceptions/")
    with django_assert_max_num_queries(14) as first:
        client.get("/alerts/exceptions/")
    for _ in range(10):
        make(province.analyst2, alert, known, text)
    with django_assert_max_num_queries(len(first)):
        client.get("/alerts/exceptions/")
