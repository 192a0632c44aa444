"""The queue in a browser: choosing, ranges, what is done to many and undone, the panel, the brush, the views."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from browser.console_running import CHROMIUM, PATIENCE, Visitor, chromium, console
from khien.console.alerts.models import Alert, SavedView, Status

pytestmark = [
    pytest.mark.slow,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed here"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")  # Playwright keeps a loop in this thread
        with chromium() as running:
            yield running


@pytest.fixture(scope="module")
def address(django_db_setup: None) -> Iterator[str]:
    with console() as url:
        yield url


@pytest.fixture
def queue(province: Any, make_alert: Any, browser: Browser, address: str) -> Iterator[Callable[[str], Page]]:
    """`queue("?tab=all")`: the page as the analyst sees it, with sixty alerts; no error may happen on it."""
    for number in range(60):
        make_alert(title=f"Alert {number:02d}", level=number % 5, ago=timedelta(hours=number))
    visitor = Visitor(browser, address, "en")
    yield lambda query: visitor.open(province.analyst, f"/alerts/{query}")
    visitor.close()


def chosen(page: Page) -> str:
    return page.locator("#bulk-bar [data-selected]").inner_text()


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE / 1000
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_rows_are_chosen_by_key_range_page_and_filter(queue: Callable[[str], Page]) -> None:
    page = queue("?q=status:new")
    expect(page.locator("#bulk-bar")).to_be_hidden()
    for key in "jxjx":
        page.keyboard.press(key)
    assert chosen(page) == "2 selected"
    page.locator("tr[data-id]").nth(9).locator(".col-level").click(modifiers=["Shift"])
    assert chosen(page) == "10 selected"
    page.locator("[data-tick-all]").click()
    assert chosen(page) == "50 selected"
    page.get_by_role("button", name="Select all 60 that match").click()
    assert chosen(page) == "All 60 that match are selected"
    page.keyboard.press("Escape")
    expect(page.locator("#bulk-bar")).to_be_hidden()


def test_a_button_of_the_bar_does_its_deed_to_what_is_chosen_and_no_more(queue: Callable[[str], Page]) -> None:
    page = queue("")
    page.locator("tr[data-id] [data-tick]").nth(2).click()
    page.locator("#bulk-bar [data-do=close]").click()
    page.keyboard.press("2")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#toasts")).to_contain_text("1 alert closed.")
    assert Alert.objects.filter(status=Status.CLOSED).count() == 1


def test_all_that_match_are_closed_and_it_is_undone(queue: Callable[[str], Page]) -> None:
    page = queue("?q=level:critical,informational")
    page.locator("[data-tick-all]").click()
    page.keyboard.press("c")
    page.keyboard.press("3")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#close-dialog [data-error]")).to_contain_text("false positive")
    page.keyboard.type("a test")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#toasts")).to_contain_text("24 alerts closed.")
    assert Alert.objects.filter(status=Status.CLOSED, reason="a test").count() == 24
    page.locator("#toasts").get_by_role("button", name="Undo").click()
    expect(page.locator("#toasts")).to_contain_text("24 alerts are as before.")
    assert Alert.objects.filter(status=Status.NEW, verdict="").count() == 60


def test_what_somebody_else_changed_is_told_and_stays(queue: Callable[[str], Page], province: Any) -> None:
    from khien.console.alerts import services

    page = queue("?q=rule:rule-1")
    alert = Alert.objects.get(title="Alert 00")
    services.close(province.analyst2, alert, verdict="true_positive", reason="real")
    page.keyboard.press("j")
    page.keyboard.press("c")
    page.keyboard.press("2")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#close-dialog [data-error]")).to_contain_text("Somebody else")
    alert.refresh_from_db()
    assert (alert.verdict, alert.reason) == ("true_positive", "real")


def test_the_panel_goes_along_and_is_in_the_address(queue: Callable[[str], Page]) -> None:
    page = queue("")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page.locator("#alert-panel")).to_contain_text("Alert 00")
    page.keyboard.press("j")
    expect(page.locator("#alert-panel")).to_contain_text("Alert 01")
    assert f"open={Alert.objects.get(title='Alert 01').pk}" in page.url
    page.reload()
    expect(page.locator("#alert-panel")).to_contain_text("Alert 01")
    page.keyboard.press("Escape")
    expect(page.locator("#alert-panel")).to_be_hidden()
    assert "open=" not in page.url


def test_the_brush_narrows_the_time(queue: Callable[[str], Page]) -> None:
    page = queue("?q=level:low,high")
    box = page.locator("[data-histogram] svg").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.9, box["y"] + 10)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.99, box["y"] + 10, steps=3)
    with page.expect_navigation():
        page.mouse.up()
    value = page.locator("#filter").input_value()
    assert value.startswith("level:low,high since:")
    assert 0 < page.locator("tr[data-id]").count() < 24


def test_lists_change_the_filter_and_a_view_is_kept(queue: Callable[[str], Page]) -> None:
    page = queue("")
    with page.expect_navigation():
        page.locator("select[name=set-level]").select_option("high,critical")
    assert page.locator("#filter").input_value() == "level:high,critical"
    page.get_by_role("button", name="Save view").click()
    page.locator("#view-name").fill("Severe")
    with page.expect_navigation():
        page.locator("#save-view .btn-primary").click()
    expect(page.locator(".queue-head .chips")).to_contain_text("Severe")
    until(lambda: SavedView.objects.filter(name="Severe", query="q=level%3Ahigh%2Ccritical").exists())


@pytest.mark.parametrize("language", ["vi", "en"])
def test_on_a_phone_one_row_of_buttons_stands_over_the_list_and_a_menu_has_the_rest(
    province: Any, browser: Browser, address: str, language: str
) -> None:
    visitor = Visitor(browser, address, language)
    page = visitor.open(province.analyst, "/alerts/?tab=all")
    rest = page.locator("#queue-rest")
    expect(rest.get_by_role("button").first).to_be_visible()
    expect(page.locator("[aria-controls=queue-rest]")).to_be_hidden()
    page.set_viewport_size({"width": 390, "height": 844})
    expect(rest).to_be_hidden()
    boxes = [each.bounding_box() for each in page.locator(".queue-head .actions .btn:visible").all()]
    assert len(boxes) == 2
    heading = page.locator("h1").bounding_box()
    for box in boxes:
        assert heading["y"] < box["y"] + box["height"] / 2 < heading["y"] + heading["height"]
        assert box["x"] + box["width"] <= 390
    more = page.locator("[aria-controls=queue-rest]")
    for close in (lambda: page.keyboard.press("Escape"), lambda: page.locator("h1").click()):
        more.click()
        expect(rest).to_have_class("queue-rest collapse show")  # it has come to rest
        close()
        expect(rest).to_be_hidden()
        expect(more).to_have_attribute("aria-expanded", "false")
    more.click()
    expect(rest).to_be_visible()
    rest.locator("[data-bs-toggle=dropdown]").first.click()
    rest.locator(".dropdown-menu.show .dropdown-item").nth(1).click()
    page.wait_for_url("**group=rule**")
    visitor.close()
