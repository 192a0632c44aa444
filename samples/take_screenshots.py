"""Pictures of the console's main pages, on a desk and on a phone, in both languages, for the manual.

    python samples/take_screenshots.py [--folder out/screenshots] [--alerts 25] [--only alerts] [--theme dark]

The sample province is started with its recording (`run_product.py`, in a folder of its own) and people of several
roles sign in. Files are named PAGE-LANGUAGE-WIDTH.png. Needs Chromium.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright
from playwright.sync_api import Error as PlaywrightError

ROOT = Path(__file__).resolve().parent.parent
CHROMIUM = os.environ.get("KHIEN_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
WIDTHS = {1440: 900, 390: 844}
TALLEST = 4000
"""Pixels of a picture: of a longer page its beginning is shown."""
DOMAIN = "tinh-mau.example"
ANALYST, CHAIR, ADMIN, AUDITOR, DUTY = "phan-tich-1", "chu-tich", "quan-tri", "kiem-toan", "truc.so-y-te"


@dataclass(frozen=True, slots=True)
class Shot:
    """A page: its file's name, who opens it, where it is, and the link of that page to follow, if any."""

    name: str
    who: str
    path: str
    follow: str = ""


SHOTS = (
    Shot("sign-in", "", "/account/login/"),
    Shot("password-forgotten", "", "/account/password/reset/"),
    Shot("alerts", ANALYST, "/alerts/"),
    Shot("alerts-grouped", ANALYST, "/alerts/?group=rule"),
    Shot("alerts-filtered", ANALYST, "/alerts/?q=level%3Ahigh%2Ccritical+powershell"),
    Shot("alerts-wrong-filter", ANALYST, "/alerts/?q=level%3Ahuge"),
    Shot("alerts-panel", ANALYST, "/alerts/", "#alert-list a.what panel"),
    Shot("alert", ANALYST, "/alerts/", "#alert-list a.what"),
    Shot("alert-new", ANALYST, "/alerts/new/"),
    Shot("exception-new", ANALYST, "/alerts/", "#alert-list a.what | [data-except]"),
    Shot("exceptions", ANALYST, "/alerts/exceptions/"),
    Shot("incidents", ANALYST, "/incidents/"),
    Shot("incident", ANALYST, "/incidents/", "main table tbody a"),
    Shot("incident-edit", ANALYST, "/incidents/", "main table tbody a | main a[href$='/edit/']"),
    Shot("incident-playbooks", ANALYST, "/incidents/", "main table tbody a | main a[href$='/playbooks/']"),
    Shot("incident-indicators", ANALYST, "/incidents/", "main table tbody a | main a[href$='/indicators/']"),
    Shot("incident-evidence", ANALYST, "/incidents/", "main table tbody a | main a[href$='/evidence/']"),
    Shot("incident-evidence-item", ANALYST, "/incidents/", "main table tbody a | main a[href$='/evidence/'] | main table tbody a[href*='/evidence/']"),
    Shot("incident-task-new", ANALYST, "/incidents/", "main table tbody a | main a[href$='/tasks/new/']"),
    Shot("incident-close", ANALYST, "/incidents/", "main table tbody a | main a[href$='/close/']"),
    Shot("incident-report", ANALYST, "/incidents/", "main table tbody a | ! main a[href$='/report/']"),
    Shot("incident-new", ANALYST, "/incidents/new/"),
    Shot("work", DUTY, "/work/"),
    Shot("work-office", CHAIR, "/work/"),
    Shot("tasks", ANALYST, "/tasks/"),
    Shot("task", DUTY, "/work/", "#work-board article a"),
    Shot("task-new", ANALYST, "/tasks/new/"),
    Shot("boards", CHAIR, "/tasks/boards/"),
    Shot("directives", CHAIR, "/directives/"),
    Shot("directive", CHAIR, "/directives/", "main table tbody a"),
    Shot("directive-draft", CHAIR, "/directives/?state=draft", "main table tbody a"),
    Shot("directive-edit", ANALYST, "/directives/?state=draft", "main table tbody a | main a[href$='/edit/']"),
    Shot("directive-new", ANALYST, "/directives/new/"),
    Shot("sessions", CHAIR, "/sessions/"),
    Shot("session", CHAIR, "/sessions/?state=concluded", "main table tbody a"),
    Shot("session-planned", ANALYST, "/sessions/?state=planned", "main table tbody a"),
    Shot("session-edit", ANALYST, "/sessions/?state=planned", "main table tbody a | main a[href$='/edit/']"),
    Shot("session-new", ANALYST, "/sessions/new/"),
    Shot("systems", ANALYST, "/systems/"),
    Shot("system", ANALYST, "/systems/", "main table tbody a"),
    Shot("system-edit", ADMIN, "/systems/", "main table tbody a | main a[href$='/edit']"),
    Shot("units", ADMIN, "/units/"),
    Shot("unit", ADMIN, "/units/", "main [role=treeitem] a, main .tree a, main table tbody a"),
    Shot("unit-edit", ADMIN, "/units/", "main [role=treeitem] a, main .tree a, main table tbody a | main a[href$='/edit']"),
    Shot("unit-new", ADMIN, "/units/new"),
    Shot("unit-kinds", ADMIN, "/units/kinds/"),
    Shot("unit-kind", ADMIN, "/units/kinds/new"),
    Shot("subcommittee", ADMIN, "/units/subcommittee/"),
    Shot("appointment", ADMIN, "/units/subcommittee/appoint"),
    Shot("users", ADMIN, "/account/people/"),
    Shot("user", ADMIN, "/account/people/", "main table tbody a"),
    Shot("invitations", ADMIN, "/account/people/invitations/"),
    Shot("keys-of-all", ADMIN, "/account/keys/all/"),
    Shot("imports", ANALYST, "/spreadsheets/"),
    Shot("files-being-made", ANALYST, "/exports/"),
    Shot("settings", ADMIN, "/settings/"),
    Shot("audit", AUDITOR, "/audit/"),
    Shot("audit-entry", AUDITOR, "/audit/", "main table tbody a"),
    Shot("notifications", DUTY, "/notifications/"),
    Shot("preferences", DUTY, "/notifications/preferences"),
    Shot("deliveries", ADMIN, "/notifications/deliveries"),
    Shot("profile", DUTY, "/account/profile/"),
    Shot("keys", ANALYST, "/account/keys/"),
    Shot("webhooks", ANALYST, "/api/webhooks/"),
    Shot("second-factor", ANALYST, "/account/2fa/"),
    Shot("confirm-identity", DUTY, "/account/2fa/totp/activate/"),
    Shot("passkeys", ANALYST, "/account/2fa/webauthn/"),
    Shot("password", ANALYST, "/account/password/change/"),
    Shot("sessions-of-mine", ANALYST, "/account/sessions/"),
    Shot("search", ANALYST, "/search?q=y+te"),
    Shot("forbidden", DUTY, "/audit/"),
    Shot("missing", DUTY, "/alerts/999999/"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Running:
    """The product, where it is and how to sign in."""

    url: str
    password: str
    data: Path

    def code(self, email: str) -> str:
        """A code of now of a person's second factor."""
        khien = str(Path(sys.executable).with_name("khien"))
        environment = {**os.environ, "KHIEN_CONSOLE_DATA": str(self.data)}
        told = subprocess.run(
            [khien, "console", "sample-code", email], env=environment, check=True, capture_output=True, text=True
        )
        return told.stdout.split()[0]


@contextmanager
def product(folder: Path) -> Iterator[Running]:
    """The whole product with its recording."""
    command = [sys.executable, str(ROOT / "samples" / "run_product.py"), "--folder", str(folder), "--speed", "240"]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"})
    try:
        password = url = ""
        assert running.stdout is not None
        for line in running.stdout:
            if found := re.search(r"all with the password (\S+)", line):
                password = found[1]
            if found := re.search(r"The console: +(http\S+)", line):
                url = found[1]
            if "Ctrl-C" in line:
                break
        if not url:
            raise SystemExit("the product has not started")
        yield Running(url, password, folder / "console")
    finally:
        running.send_signal(signal.SIGINT)
        running.wait(60)


def signed_in(browser: Browser, product: Running, who: str, theme: str) -> BrowserContext:
    """A window in which a person is signed in; a stranger's when nobody is named."""
    context = browser.new_context(base_url=product.url, color_scheme="dark" if theme == "dark" else "light")
    page = context.new_page()
    page.set_default_timeout(20_000)
    if who:
        email = f"{who}@{DOMAIN}"
        page.goto("/account/login/?next=/account/profile/")
        page.fill("[name=login]", email)
        page.fill("[name=password]", product.password)
        page.click("form:has([name=login]) button")
        page.wait_for_url(lambda url: "/login/" not in url)
        if "/2fa/" in page.url:
            page.fill("[name=code]", product.code(email))
            page.click("form:has([name=code]) .btn-primary")
            page.wait_for_url("**/account/profile/")
    return context


def speak(page: Page, language: str) -> None:
    """Change the language of the page that is open, by its button."""
    if page.get_attribute("html", "lang") != language:
        with page.expect_navigation():
            page.evaluate(f"document.querySelector('button[name=language][value={language}]').click()")


def settle(page: Page) -> None:
    """Wait until what loads after the page is there."""
    deadline = time.monotonic() + 15
    while page.evaluate("document.querySelectorAll('.skeleton').length") and time.monotonic() < deadline:
        time.sleep(0.1)
    page.evaluate("document.fonts.ready")
    time.sleep(0.3)


def follow(page: Page, links: str) -> bool:
    """Follow links one after another (`|` between them); `!`: one that a menu hides; `panel`: click, do not go."""
    for link in filter(None, (each.strip() for each in links.split("|"))):
        if link.endswith(" panel"):
            page.locator(link.removesuffix(" panel")).first.click()
            page.wait_for_selector("#alert-panel .card-body")
            continue
        found = page.locator(link.removeprefix("!").strip()).first
        if not found.count():
            return False
        page.goto(str(found.get_attribute("href")))
    return True


def take(page: Page, shot: Shot, language: str, width: int, path: Path) -> bool:
    """One picture; whether there was something to show."""
    page.set_viewport_size({"width": width, "height": WIDTHS[width]})
    page.goto(shot.path)
    speak(page, language)
    try:
        if not follow(page, shot.follow):
            return False
    except PlaywrightError:
        return False
    settle(page)
    tall = min(int(page.evaluate("document.documentElement.scrollHeight")), TALLEST)
    page.set_viewport_size({"width": width, "height": max(tall, WIDTHS[width])})  # the rail reaches down too
    page.screenshot(path=path)
    return True


def wait_for_alerts(page: Page, wanted: int) -> None:
    """Until so many alerts stand in the queue, or two minutes have passed."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        page.goto("/alerts/")
        if page.locator("#alert-list tr[data-id]").count() >= wanted:
            return
        time.sleep(3)


def main() -> int:
    """Take them all; 0 when every page was there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=ROOT / "out" / "screenshots")
    parser.add_argument("--product", type=Path, default=ROOT / "out" / "screenshots-product", help="its data folder")
    parser.add_argument("--alerts", type=int, default=25, help="wait until so many alerts have arrived")
    parser.add_argument("--only", default="", help="pages whose name begins with this")
    parser.add_argument("--language", choices=("vi", "en"), action="append", help="both when not told")
    parser.add_argument("--width", type=int, choices=sorted(WIDTHS), action="append", help="all when not told")
    parser.add_argument("--theme", choices=("light", "dark"), default="light")
    given = parser.parse_args()
    if CHROMIUM is None:
        raise SystemExit("there is no Chromium here: run `make packages`, or name one in KHIEN_CHROMIUM")
    given.folder.mkdir(parents=True, exist_ok=True)
    missing = []
    wanted = [shot for shot in SHOTS if shot.name.startswith(given.only)]
    with product(given.product.resolve()) as running, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        windows: dict[str, BrowserContext] = {}
        for shot in wanted:
            if shot.who not in windows:
                windows[shot.who] = signed_in(browser, running, shot.who, given.theme)
                if shot.who == ANALYST:
                    wait_for_alerts(windows[shot.who].pages[0], given.alerts)
            page = windows[shot.who].pages[0]
            for language in given.language or ("vi", "en"):
                for width in given.width or WIDTHS:
                    if width < 900 and shot.follow.endswith(" panel"):
                        continue  # on a phone an alert opens as a page
                    name = f"{shot.name}-{language}-{width}{'-dark' if given.theme == 'dark' else ''}.png"
                    if not take(page, shot, language, width, given.folder / name):
                        missing.append(shot.name)
            print(shot.name, flush=True)
        browser.close()
    for name in sorted(set(missing)):
        print(f"nothing to show for {name}", file=sys.stderr)
    print(f"The pictures are in {given.folder}")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
