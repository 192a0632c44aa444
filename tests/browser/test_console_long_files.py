"""A long file in the browser: asked for by keyboard, its progress seen, saved; on a desk and on a phone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.utils import timezone
from playwright.sync_api import expect

from browser.console_running import CHROMIUM, Visitor, chromium, console
from console_lists import LONG, write_mails
from console_province import make_province
from khien.console.exports.models import FileState, MadeFile, Reason
from khien.console.spreadsheets.exports import MOST_AT_ONCE
from khien.console.upkeep import jobs

pytestmark = [
    pytest.mark.slow,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed here"),
]
WORDS = {
    "vi": ("Tệp đang lập", "Đang chờ", "4.000 trên 8.001 dòng", "Đã sẵn sàng", "Đĩa của hệ thống đã hết chỗ"),
    "en": ("Files being made", "Waiting", "4,000 of 8,001 rows", "Ready", "no room left on the disk"),
}


@pytest.fixture(params=[("vi", 1440), ("en", 390)], ids=lambda value: f"{value[0]}-{value[1]}")
def visitor(request, monkeypatch) -> Iterator[Visitor]:
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")  # Playwright keeps a loop in this thread
    language, width = request.param
    with console() as url, chromium() as browser:
        yield Visitor(browser, url, language, viewport={"width": width, "height": 844})


def _serves(visitor: Visitor) -> None:
    found = Axe().run(visitor.page, options={"resultTypes": ["violations"]}).response["violations"]
    assert [each["id"] for each in found if each["impact"] in ("serious", "critical")] == []
    assert not visitor.page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")


def test_a_long_list_is_seen_being_made_and_then_saved(visitor: Visitor) -> None:
    province = make_province()
    title, waiting, progress, ready, _ = WORDS[visitor.language]
    write_mails(MOST_AT_ONCE + 1)
    page = visitor.open(province.admin, LONG.partition("?")[0])
    link = page.locator("main a[href*='export=csv']")
    link.focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/exports/")
    rows = page.locator("#made-files")
    expect(page.locator("h1")).to_have_text(title)
    expect(rows).to_contain_text(waiting)
    _serves(visitor)

    give_up = rows.locator("form button")
    give_up.focus()
    MadeFile.objects.update(state=FileState.MAKING, started_at=timezone.now(), done=4_000, total=MOST_AT_ONCE + 1)
    expect(rows).to_contain_text(progress)
    expect(rows.locator("progress")).to_have_attribute("max", str(MOST_AT_ONCE + 1))
    expect(give_up).to_be_focused()  # what is asked for again takes nobody's place away
    _serves(visitor)

    assert jobs.work("test")
    expect(rows).to_contain_text(ready)
    expect(rows).not_to_have_attribute("hx-trigger", "every 2s")
    _serves(visitor)
    with page.expect_download() as saving:
        rows.locator("a.btn").focus()
        page.keyboard.press("Enter")
    assert saving.value.suggested_filename.endswith(".csv")
    assert Path(saving.value.path()).read_bytes().count(b"@example.vn") == MOST_AT_ONCE + 1
    visitor.close()


def test_why_a_file_was_not_made_is_told(visitor: Visitor) -> None:
    province = make_province()
    MadeFile.objects.create(
        by=province.admin, title="Thư", address=LONG, language="vi", digest="x", state=FileState.FAILED,
        reason=Reason.NO_ROOM,
    )  # fmt: skip
    page = visitor.open(province.admin, "/exports/")
    expect(page.locator("#made-files")).to_contain_text(WORDS[visitor.language][4])
    _serves(visitor)
    page.locator("#made-files form button").focus()
    page.keyboard.press("Enter")
    expect(page.locator(".empty")).to_be_visible()
    assert not MadeFile.objects.exists()
    visitor.close()
