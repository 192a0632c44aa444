"""The main paths through the console in a browser, in both languages: what one person begins another goes on with."""

from __future__ import annotations

import io
import re
import time
import zipfile
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone
from django.utils.translation import gettext, override
from playwright.sync_api import Browser, Page, expect

from browser.console_running import CHROMIUM, PATIENCE, Visitor, chromium, console
from console_province import Province, make_province
from flow.live_service import WHOAMI
from khien.console.alerts import content, tally
from khien.console.alerts.models import Alert, AlertFinding, RuleException, SeenRule, Status
from khien.console.alerts.services import create_alert
from khien.console.audit.actions import label
from khien.console.audit.models import Entry
from khien.console.directives.models import Directive, Session, Task
from khien.console.incidents.models import Incident

pytestmark = [
    pytest.mark.slow,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed here"),
]
both = pytest.mark.parametrize("language", ["vi", "en"])
WHOAMI_ID = "3f0b3c56-7a51-4a5c-9d0b-a3a0f1c0de01"
Visit = Callable[[str], Visitor]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")  # Playwright keeps a loop in this thread
        with chromium() as running:
            yield running


@pytest.fixture(scope="module")
def address(django_db_setup: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("rules")
    (folder / "whoami.yml").write_text(WHOAMI)
    with console(folder) as url:
        yield url


@pytest.fixture
def visit(transactional_db: None, browser: Browser, address: str) -> Iterator[Visit]:
    """`visit(language)`: a window; whatever went wrong in it fails the test."""
    windows: list[Visitor] = []

    def opened(language: str) -> Visitor:
        windows.append(Visitor(browser, address, language))
        return windows[-1]

    yield opened
    for each in windows:
        each.close()


@pytest.fixture
def here(transactional_db: None) -> Province:
    return make_province()


def until(holds: Callable[[], Any], what: str = "") -> Any:
    """Wait until something holds in the database; what it gives."""
    deadline = time.monotonic() + PATIENCE / 1000
    while not (found := holds()):
        assert time.monotonic() < deadline, what or "it did not happen"
        time.sleep(0.05)
    return found


def fired(province: Province, number: int) -> Alert:
    """An alert of the rule about whoami, as the feed makes it."""
    image = "C:\\Windows\\System32\\whoami.exe"
    title, moment = f"Who Am I {number:02d}", timezone.now() - timedelta(minutes=number)
    alert = Alert.objects.create(
        key=f"live-{number}", live_key=f"live-{number}", rule_id=WHOAMI_ID, title=title, level=3,
        unit=province.units["so-y-te"], entity_kind="host", entity_value=f"syt-pc-{number:02d}",
        entities=[["host", f"syt-pc-{number:02d}"]], tags=["attack.t1033"], first_at=moment, last_at=moment,
    )  # fmt: skip
    event = {
        "EventID": 1,
        "Channel": "Microsoft-Windows-Sysmon/Operational",
        "Computer": f"SYT-PC-{number:02d}",
        "Image": image,
        "CommandLine": "whoami /all",
    }
    record = {
        "rule_id": WHOAMI_ID, "title": title, "host": f"SYT-PC-{number:02d}", "user": "", "event": event,
        "matched": [{"field": "Image", "value": image, "pattern": "*\\\\whoami.exe"}],
    }  # fmt: skip
    AlertFinding.objects.create(alert=alert, position=0, record=record)
    content.add([(content.row_of(alert.pk, 0), content.words_of_finding(title, record))])
    tally.shift([], [tally.cell(alert.last_at, alert.unit_id, alert.level, alert.status)])
    SeenRule.objects.get_or_create(rule_id=WHOAMI_ID, defaults={"title": "Who Am I", "level": 3, "tags": []})
    return alert


def local(moment: datetime) -> str:
    """A time as a field of a form takes it."""
    return f"{timezone.localtime(moment):%Y-%m-%dT%H:%M}"


def word(language: str, text: str) -> str:
    """A text of the console in a language."""
    with override(language):
        return gettext(text)


def send(page: Page, form: str, button: str = "button.btn-primary") -> None:
    """Press the button of a form and wait for the page that follows."""
    with page.expect_navigation():
        page.locator(form).locator(button).first.click()


def at_row(page: Page, alert: Alert) -> None:
    expect(page.locator("#alert-list tr.is-at")).to_have_attribute("data-id", str(alert.pk))


@both
def test_ten_alerts_are_triaged_by_keyboard_alone(here: Province, visit: Visit, language: str) -> None:
    alerts = [fired(here, number) for number in range(10)]

    def of(**state: Any) -> int:
        return Alert.objects.filter(**state).count()

    page = visit(language).open(here.analyst, "/alerts/")
    expect(page.locator("#alert-list tr[data-id]")).to_have_count(10)
    keys = page.keyboard
    for alert in alerts[:3]:  # three are chosen and taken on
        keys.press("j")
        at_row(page, alert)
        keys.press("x")
    expect(page.locator("#bulk-bar")).to_be_visible()
    expect(page.locator("#alert-list tr.is-selected")).to_have_count(3)
    keys.press("a")
    until(lambda: of(owner=here.analyst) == 3)
    expect(page.locator("#bulk-bar")).to_be_hidden()
    expect(page.locator("#alert-list tr.is-selected")).to_have_count(0)

    for alert in (alerts[2], alerts[1]):  # two of them are false positives
        at_row(page, alert)
        keys.press("x")
        keys.press("k")
    keys.press("c")
    expect(page.locator("#close-dialog")).to_be_visible()
    keys.press("3")
    expect(page.locator("#close-reason")).to_be_focused()
    keys.press("Control+Enter")
    expect(page.locator("#close-dialog [data-error]")).to_be_visible()  # a false positive needs its reason
    page.locator("#close-reason").focus()
    keys.type("Quản trị viên kiểm tra")
    keys.press("Control+Enter")
    until(lambda: of(verdict="false_positive", reason="Quản trị viên kiểm tra") == 2)
    expect(page.locator("#close-dialog")).to_be_hidden()
    expect(page.locator("#alert-list .state-done")).to_have_count(2)

    undo = page.locator("#toasts button").last  # that was hasty
    undo.focus()
    keys.press("Enter")
    until(lambda: of(status=Status.CLOSED) == 0)
    expect(page.locator("#alert-list .state-done")).to_have_count(0)

    page.locator("#main").focus()
    at_row(page, alerts[0])
    for number, alert in enumerate(alerts):  # one after the other, with a verdict each
        at_row(page, alert)
        keys.press("c")
        expect(page.locator("#close-dialog")).to_be_visible()
        keys.press("2" if number % 2 else "1")
        keys.press("Control+Enter")
        expect(page.locator("#close-dialog")).to_be_hidden()
        expect(page.locator("#alert-list .state-done")).to_have_count(number + 1)
        if number < 9:
            keys.press("j")
    assert (of(verdict="true_positive"), of(verdict="benign"), of(status=Status.CLOSED)) == (5, 5, 10)
    assert Entry.objects.filter(action__startswith="alert.", actor=here.analyst).exists()


@both
def test_an_exception_is_made_from_an_alert_after_looking_at_what_it_silences(
    here: Province, visit: Visit, language: str
) -> None:
    alerts = [fired(here, number) for number in range(4)]
    page = visit(language).open(here.analyst, f"/alerts/{alerts[0].pk}/")
    page.locator("[data-except]").first.click()
    page.wait_for_url("**/alerts/exceptions/new/**")
    figures = page.locator("#preview .figures").first
    expect(figures).to_be_visible()
    boxes = page.locator("input[name=field]")
    for box in boxes.all():
        box.set_checked(box.get_attribute("value") == "Computer")
    page.locator("[hx-post$='/exceptions/draft/']").click()
    expect(page.locator("#exception-text textarea")).to_have_value(re.compile("SYT-PC-00"))
    page.locator("[hx-post$='/exceptions/preview/'] >> visible=true").first.click()
    expect(figures.locator("dd").first).to_have_text("1")
    expect(figures.locator("dd").last).to_have_text("3")
    page.fill("[name=reason]", "Máy kiểm thử của phòng công nghệ")
    send(page, "#exception-form", "button.btn-primary")
    made = until(RuleException.objects.first)
    assert (made.rule_id, made.owner, made.reason) == (WHOAMI_ID, here.analyst, "Máy kiểm thử của phòng công nghệ")
    assert "SYT-PC-00" in made.text
    assert made.expires_at > timezone.now()
    page.goto("/alerts/exceptions/")
    expect(page.locator("main")).to_contain_text(made.title)


@both
def test_an_alert_becomes_an_incident_that_is_worked_through_and_closed_with_its_report(
    here: Province, visit: Visit, language: str
) -> None:
    alert = fired(here, 1)
    page = visit(language).open(here.analyst, f"/alerts/{alert.pk}/")
    page.locator("a[data-promote]").first.click()
    page.wait_for_url("**/incidents/new/**")
    expect(page.locator(f"[name=alerts][value='{alert.pk}']")).to_be_attached()
    page.fill("[name=title]", "Mã độc tại Sở Y tế")
    page.select_option("[name=working_class]", "malware")
    page.select_option("[name=unit]", str(here.units["so-y-te"].pk))
    send(page, "form.incident-form")
    incident = until(Incident.objects.first)
    page.wait_for_url(f"**/incidents/{incident.pk}/")
    expect(page.locator("h1")).to_contain_text(incident.number)
    expect(page.locator("main")).to_contain_text(alert.title)

    page.locator("a[href$='/playbooks/']").click()
    book = page.locator("details[open] form").first
    expect(book).to_be_visible()
    many = book.locator("[name=tasks]:checked").count()
    send(page, "details[open] form")
    until(lambda: Task.objects.filter(incident=incident).count() == many)
    page.goto(f"/incidents/{incident.pk}/")
    expect(page.locator("#tasks li a").first).to_be_visible()

    page.locator(f"main a[href='/incidents/{incident.pk}/close/']").click()
    for name, text in (("cause", "Thư lừa đảo"), ("effect", "Một máy nhiễm"), ("lessons", "Diễn tập hằng quý")):
        page.fill(f"[name={name}]", text)
    if page.locator("[name=clocks_reason]").is_visible():
        page.fill("[name=clocks_reason]", "Không thuộc diện báo cáo")
    send(page, "main form", "button.btn-primary")
    until(lambda: Incident.objects.filter(pk=incident.pk, status="closed").exists())
    expect(page.locator("main")).to_contain_text("Diễn tập hằng quý")

    page.locator(".page-head [data-bs-toggle=dropdown]").first.click()
    with page.expect_download() as waiting:
        page.locator("a[href$='/export/docx']").first.click()
    with zipfile.ZipFile(io.BytesIO(Path(waiting.value.path()).read_bytes())) as document:
        text = document.read("word/document.xml").decode()
    assert "Diễn tập hằng quý" in text
    assert Entry.objects.filter(action="incident.close", actor=here.analyst).exists()


@both
def test_a_conclusion_becomes_a_directive_that_a_unit_carries_out_and_the_office_checks(
    here: Province, visit: Visit, language: str
) -> None:
    visitor = visit(language)
    visitor.page.on("dialog", lambda dialog: dialog.accept())
    page = visitor.open(here.analyst, "/sessions/new/")
    page.fill("[name=title]", "Phiên họp quý ba")
    page.fill("[name=starts_at]", local(timezone.now() + timedelta(minutes=30)))
    send(page, "main form")
    session = until(Session.objects.first)
    unit = here.units["so-y-te"]

    page.locator("#attendance details summary").last.click()
    page.locator(f"[name=units][value='{unit.pk}']").check()
    send(page, "form[action$='/call/']")
    expect(page.locator("#attendance")).to_contain_text(unit.name)
    send(page, "form[action$='/hold/']")
    page.locator("#conclusions details summary").last.click()
    page.locator("form[action$='/conclusions/'] textarea").fill("Các đơn vị vá máy chủ trong tháng")
    send(page, "form[action$='/conclusions/']")
    expect(page.locator("#conclusions article")).to_contain_text("vá máy chủ")

    page.locator("#conclusions a[href*='/directives/new/']").click()
    page.fill("[name=title]", "Vá máy chủ")
    page.fill("[name=text]", "Các đơn vị vá máy chủ.")
    page.fill("[name=due_at]", local(timezone.now() + timedelta(days=10)))
    page.locator(f"[name=unit][value='{unit.pk}']").check()
    send(page, "main form")
    directive = until(Directive.objects.first)
    assert directive.conclusion.session == session

    page = visitor.open(here.chair, f"/directives/{directive.pk}/")
    send(page, "form[action$='/issue/']")
    task = until(lambda: Task.objects.filter(directive=directive, unit=unit).first())

    page = visitor.open(here.health, "/work/")
    card = page.locator("#work-board article", has_text="Vá máy chủ")
    card.locator("form[action$='/accept/'] button").click()
    until(lambda: Task.objects.filter(pk=task.pk, state="accepted").exists())
    page.goto(f"/tasks/{task.pk}/")
    report, finish = page.locator("#report"), page.locator("#finish")
    _unfold(report)
    report.locator("[name=percent]").fill("60")
    report.locator("[name=text]").fill("Đã vá sáu trong mười máy chủ")
    report.locator("[name=files]").set_input_files(
        {"name": "biên bản.txt", "mimeType": "text/plain", "buffer": "đã vá".encode()}
    )
    send(page, "#report form", ".actions button")
    expect(page.locator(".di-history")).to_contain_text("biên bản.txt")
    expect(page.locator(".di-history")).to_contain_text("60 %")
    _unfold(finish)
    finish.locator("[name=text]").fill("Đã vá xong mười máy chủ")
    send(page, "#finish form", ".actions button")
    until(lambda: Task.objects.filter(pk=task.pk, state="finished").exists())

    page = visitor.open(here.analyst, f"/tasks/{task.pk}/")
    _unfold(page.locator("#confirm"))
    send(page, "#confirm form", ".actions button")
    until(lambda: Task.objects.filter(pk=task.pk, state="done").exists())
    page = visitor.open(here.chair, f"/directives/{directive.pk}/")
    expect(page.locator("main table tbody")).to_contain_text("100 %")

    page = visitor.open(here.auditor, "/audit/")  # and all of it stands in the trail, in words
    recorded = set(Entry.objects.values_list("action", flat=True))
    assert [each for each in sorted(recorded) if label(each) == each] == []
    for action, actor in (
        ("session.plan", here.analyst),
        ("directive.issue", here.chair),
        ("task.accept", here.health),
        ("task.finish", here.health),
        ("task.confirm", here.analyst),
    ):
        page.goto(f"/audit/?action={action}")
        expect(page.locator("main tbody tr")).to_have_count(1)
        page.locator("main tbody tr a").first.click()
        page.wait_for_url("**/audit/*/")
        expect(page.locator("main")).to_contain_text(actor.name)


def _unfold(part: Any) -> None:
    if part.get_attribute("open") is None:
        part.locator("summary").click()


@both
def test_a_new_alert_shows_without_a_reload_within_two_seconds(here: Province, visit: Visit, language: str) -> None:
    fired(here, 1)
    page = visit(language).open(here.analyst, "/alerts/")
    rows, arrivals = page.locator("#alert-list tr[data-id]"), page.locator("[data-arrivals]")
    expect(rows).to_have_count(1)
    page.evaluate("window.unbroken = true")
    time.sleep(2)  # the stream begins after the page
    spent = []
    for number in range(1, 4):
        create_alert(
            here.analyst2, title=f"Mới {number}", level=4, unit=here.units["so-y-te"], entity_kind="host",
            entity_value="syt-pc-99",
        )  # fmt: skip
        began = time.monotonic()
        expect(arrivals).to_contain_text(str(number))
        spent.append(time.monotonic() - began)
    expect(rows).to_have_count(1)  # they enter when asked for
    assert min(spent) < 2, spent
    page.keyboard.press("r")
    expect(rows).to_have_count(4)
    expect(arrivals).to_be_hidden()
    assert page.evaluate("window.unbroken")
