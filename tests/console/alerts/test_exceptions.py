"""Exceptions from rules: drafted, checked, previewed, at work in the real engine, and gone in time."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.exceptions import ValidationError
from django.test import Client
from django.utils import timezone
from django.utils.translation import override

from flow.live_service import BRUTE, FAILED, WHOAMI
from khien.console.accounts.access import Forbidden
from khien.console.alerts import exceptions
from khien.console.alerts.exception_drafts import Unusable, check, choices, draft
from khien.console.alerts.exception_preview import is_silenced, preview_alerts, preview_lake
from khien.console.alerts.models import Alert, AlertFinding, RuleException
from khien.console.alerts.rule_index import KnownRule, rule_index
from khien.console.audit.models import Entry
from khien.console.chores import all_chores
from khien.console.concurrency import Changed
from khien.console.notifications.models import Notice
from khien.flow.rulebook import Rulebook
from khien.formats.inputs import Input
from khien.hunt.worker import Part, Worker
from khien.lake.store import Lake
from lake.made import findings

pytestmark = pytest.mark.django_db
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


@pytest.fixture(autouse=True)
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


def test_the_draft_proposes_what_matched_and_the_entity(known: KnownRule, fired: Any) -> None:
    offered = choices(fired(), record(), known)
    assert [each.name for each in offered if each.chosen] == ["Image", "Computer"]
    assert offered[0].matched
    body = yaml.safe_load(draft(known, "T", [each for each in offered if each.chosen]))
    assert body["logsource"] == {"product": "windows", "category": "process_creation"}
    assert body["filter"]["rules"] == [WHOAMI_ID]
    assert body["filter"]["selection"] == {"Image": EVENT["Image"], "Computer": "SYT-PC-041"}
    assert body["filter"]["condition"] == "not selection"


@pytest.mark.parametrize(
    "value",
    [
        "a*b?c\\*d",
        "\\\\server\\share\\",
        "trailing\\",
        "'\"quoted: {yes}",
        "# no comment",
        "Đường dẫn\u2028",
        "null",
        "13",
        13,
        1.5,
        True,
        ["a", "b*"],
    ],
)
def test_a_drafted_value_silences_itself_and_nothing_near(value: Any, known: KnownRule, fired: Any) -> None:
    text = drafted(known, fired(), "Extra", Extra=value)
    found = check(text, known, rule_index())
    assert is_silenced(found, known, {**EVENT, "Extra": value}) is True
    assert is_silenced(found, known, {**EVENT, "Extra": "something else"}) is False
    assert is_silenced(found, known, EVENT) is False


@pytest.mark.parametrize(
    ("change", "message", "line"),
    [
        (("title:", "title: ["), "not valid YAML", 2),
        (("condition: not selection", "condition: not nothing"), "nothing", 0),
        ((WHOAMI_ID, "another"), "'rules' may name only", 7),
        ((f"- {WHOAMI_ID}", "[]"), "", 0),
        (("process_creation", "registry_set"), "not of the filter", 3),
        (("Image:", "Image|nonsense:"), "nonsense", 9),
        (("Image:", "User|re: '(a+)+(?=b)'\n    Image:"), "could hold up", 10),
        (("filter:", "detection:"), "Sigma filter", 0),
        (("title:", "---\ntitle: x\n---\ntitle:"), "one YAML document", 0),
    ],
)
def test_a_wrong_text_is_refused_with_the_place(
    change: tuple[str, str], message: str, line: int, known: KnownRule, fired: Any
) -> None:
    text = drafted(known, fired(), "Image")
    assert change[0] in text
    with pytest.raises(Unusable) as caught, override("en"):
        check(text.replace(*change, 1), known, rule_index())
    assert message in caught.value.problems[0].message
    if line:
        assert caught.value.problems[0].line == line


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("title:", "title: ["), "không đúng cú pháp YAML"),
        (("condition: not selection", "condition: not nothing"), "không có mục phát hiện 'nothing'"),
        (("condition: not selection", "condition: not selection)"), "')' không đúng chỗ tại ký tự"),
        (("condition: not selection", "condition: not selection and"), "kết thúc quá sớm"),
        (("process_creation", "registry_set"), "không thuộc"),
        (
            ("Image:", "Image|nonsense:"),
            "không có bộ biến đổi 'nonsense' trong 'Image|nonsense' (trong 'selection'). Có thể dùng:",
        ),
        (
            ("Image:", "User: []\n    Image:"),
            "'User' có danh sách giá trị rỗng (trong 'selection'). Hãy ghi một giá trị",
        ),
        (("Image:", "User|gt: a\n    Image:"), "'User|gt' cần một số, không phải 'a' (trong 'selection')"),
        (("Image:", "User|re: '('\n    Image:"), "có biểu thức chính quy sai"),
        (("Image:", "User|cidr: a\n    Image:"), "không có dải mạng hợp lệ"),
        (("title:", "titel:"), "thiếu 'title'"),
        (("logsource:", "source:"), "thiếu 'logsource'"),
    ],
)
def test_what_is_wrong_is_said_in_vietnamese_too(
    change: tuple[str, str], message: str, known: KnownRule, fired: Any
) -> None:
    text = drafted(known, fired(), "Image")
    assert change[0] in text
    with pytest.raises(Unusable) as caught, override("vi"):
        check(text.replace(*change, 1), known, rule_index())
    assert message in caught.value.problems[0].message


def test_a_filter_for_any_rule_and_one_that_is_too_long_are_refused(known: KnownRule, fired: Any) -> None:
    text = drafted(known, fired(), "Image")
    body = yaml.safe_load(text)
    body["filter"]["rules"] = "any"
    for wrong in (yaml.safe_dump(body), text + "#" * 70_000, "", "- 1", "a: &a [*a]", "\x00"):
        with pytest.raises(Unusable):
            check(wrong, known, rule_index())


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
