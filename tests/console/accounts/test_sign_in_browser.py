"""Signing in with a real browser: an app's codes in both languages, recovery codes, and a passkey."""

from __future__ import annotations

import hashlib
import hmac
import shutil
import struct
import time
from base64 import b32decode
from collections.abc import Iterator

import pytest
from allauth.mfa.models import Authenticator
from playwright.sync_api import Browser, Page, sync_playwright

from console_accounts import PASSWORD
from khien.console.audit.models import Entry

pytestmark = [
    pytest.mark.slow,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(shutil.which("chromium") is None, reason="Chromium is not installed here"),
]
HERE = "/account/profile/"
SIGN_IN = "form:has([name=login]) button"


def code(secret: str, step: int = 0) -> str:
    """RFC 6238, written anew: the test shares nothing with what it tests."""
    mac = hmac.new(b32decode(secret), struct.pack(">Q", int(time.time()) // 30 + step), hashlib.sha1).digest()
    start = mac[-1] & 15
    return f"{(struct.unpack('>I', mac[start : start + 4])[0] & 0x7FFFFFFF) % 10**6:06d}"


@pytest.fixture
def browser(monkeypatch: pytest.MonkeyPatch) -> Iterator[Browser]:
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")  # Playwright keeps a loop in this thread
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        yield running
        running.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page on which nothing goes wrong: no error of a script, nothing refused by the content security policy."""
    context = browser.new_context()
    opened = context.new_page()
    trouble: list[str] = []
    opened.on("pageerror", lambda error: trouble.append(str(error)))
    opened.on("console", lambda told: trouble.append(told.text) if "Content Security Policy" in told.text else None)
    yield opened
    context.close()
    assert trouble == []


def password(page: Page, url: str, email: str, language: str) -> None:
    page.goto(f"{url}/account/login/?next={HERE}")  # a page without live streams
    if page.get_attribute("html", "lang") != language:
        page.click(f"button[value={language}]")
    page.fill("[name=login]", email)
    page.fill("[name=password]", PASSWORD)
    page.click(SIGN_IN)


def sign_out(page: Page) -> None:
    page.click(".dropdown:has(form[action='/account/logout/']) > button")
    page.click("form[action='/account/logout/'] button")
    page.wait_for_url("**/login/**")
    page.goto(f"{page.url.partition('?')[0]}?next={HERE}")


@pytest.mark.parametrize(
    ("language", "heading", "onward"), [("vi", "Mã khôi phục", "Tiếp tục"), ("en", "Recovery codes", "Go on")]
)
def test_setting_up_an_app_and_signing_in_with_its_code(
    province, live_server, browser: Browser, page: Page, language: str, heading: str, onward: str
) -> None:
    url = live_server.url
    password(page, url, "analyst@example.vn", language)
    page.wait_for_url("**/account/2fa/")
    page.click("a[href='/account/2fa/totp/activate/']")
    page.fill("[name=password]", PASSWORD)
    page.click("main .btn-primary")
    page.wait_for_url("**/totp/activate/")
    assert page.evaluate("document.querySelector('img.qr').naturalWidth") > 0
    secret = page.inner_text("main code")
    page.fill("[name=code]", "000000")
    page.click("main .btn-primary")
    assert page.inner_text(".field-error") == ("Mã không đúng." if language == "vi" else "Incorrect code.")
    page.fill("[name=code]", code(secret))
    page.click("main .btn-primary")
    page.wait_for_url("**/recovery-codes/")
    assert page.inner_text("main h1") == heading
    with page.expect_download() as saved:
        page.click("[data-codes-file]")
    codes = saved.value.path().read_text().split()
    assert len(codes) == 10
    page.check("[data-codes-saved]")
    assert page.get_attribute("[data-codes-onward]", "aria-disabled") is None
    assert page.inner_text("[data-codes-onward]") == onward

    other = browser.new_context().new_page()
    password(other, url, "analyst@example.vn", language)
    other.wait_for_url("**/2fa/authenticate/")
    other.fill("[name=code]", code(secret, 1))
    other.click("form:has([name=code]) .btn-primary")
    other.wait_for_url(f"**{HERE}")
    assert Entry.objects.filter(action="account.sign_in", after={"how": ["password", "totp"]}).count() == 1
    third = browser.new_context().new_page()
    password(third, url, "analyst@example.vn", language)
    third.fill("[name=code]", codes[0])
    third.click("form:has([name=code]) .btn-primary")
    third.wait_for_url(f"**{HERE}")


def test_a_passkey_signs_in_alone_and_opens_a_locked_account(province, live_server, page: Page) -> None:
    url = live_server.url
    devices = page.context.new_cdp_session(page)
    devices.send("WebAuthn.enable")
    device = devices.send(
        "WebAuthn.addVirtualAuthenticator",
        {
            "options": {
                "protocol": "ctap2",
                "transport": "internal",
                "hasResidentKey": True,
                "hasUserVerification": True,
                "isUserVerified": True,
                "automaticPresenceSimulation": True,
            }
        },
    )["authenticatorId"]
    password(page, url, "chair@example.vn", "en")
    page.wait_for_url("**/account/2fa/")
    page.click("a[href='/account/2fa/webauthn/add/']")
    page.fill("[name=password]", PASSWORD)
    page.click("main .btn-primary")
    page.fill("[name=name]", "Laptop")
    page.click("[data-webauthn-ask]")
    page.wait_for_url("**/recovery-codes/")
    page.check("[data-codes-saved]")
    assert Authenticator.objects.get(type="webauthn").wrap().is_passwordless
    sign_out(page)
    for _each in range(5):
        page.fill("[name=login]", "chair@example.vn")
        page.fill("[name=password]", "wrong")
        page.click(SIGN_IN)
    page.click("form[data-webauthn=login] button")
    page.wait_for_url(f"**{HERE}")
    assert Entry.objects.filter(action="account.sign_in", after={"how": ["webauthn"]}).count() == 1
    assert Entry.objects.filter(action="account.lock").count() == 1

    # The device says no: nobody is signed in, and the page says so.
    sign_out(page)
    devices.send("WebAuthn.setUserVerified", {"authenticatorId": device, "isUserVerified": False})
    page.click("form[data-webauthn=login] button")
    page.wait_for_selector("[data-webauthn-error]:visible")
    assert "/account/login/" in page.url
