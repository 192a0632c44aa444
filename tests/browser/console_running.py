"""A console that answers over HTTP with the database of the tests, and a browser in which nothing may go wrong."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.conf import settings
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from console_databases import as_the_tests
from console_province import sign_in
from khien.console.accounts.models import User

CHROMIUM = os.environ.get("KHIEN_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
PATIENCE = 15_000
"""Milliseconds to wait for what a page does: a busy machine is slow."""
expect.set_options(timeout=PATIENCE)


@contextmanager
def console(rules: Path | None = None) -> Iterator[str]:
    """A console in a process of its own, as ASGI, for streams need that; its address. `rules`: their folder."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(128)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        environment = {**as_the_tests(), "KHIEN_ADDRESS": url, **({"KHIEN_RULES": str(rules)} if rules else {})}
        command = [sys.executable, "-m", "uvicorn", "khien.console.asgi:application", "--lifespan", "off"]
        command += ["--fd", str(listener.fileno()), "--log-level", "warning", "--timeout-graceful-shutdown", "2"]
        running = subprocess.Popen(command, env=environment, pass_fds=[listener.fileno()])
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                with urllib.request.urlopen(f"{url}/health", timeout=5):
                    break
            except (OSError, urllib.error.URLError):
                assert running.poll() is None, "the console has ended"
                assert time.monotonic() < deadline, "the console does not answer"
                time.sleep(0.2)
        yield url
    finally:
        running.terminate()
        try:
            running.wait(10)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()


@contextmanager
def chromium() -> Iterator[Browser]:
    """One browser."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


class Visitor:
    """A browser window in which one person after another is signed in.

    `trouble`: errors of scripts, what the content security policy refused, and answers of 500 and more.
    """

    def __init__(self, browser: Browser, url: str, language: str = "vi", **more: Any) -> None:
        self.url, self.language, self.trouble = url, language, []  # type: str, str, list[str]
        self._sessions: dict[tuple[int, str], str] = {}
        more.setdefault("viewport", {"width": 1440, "height": 900})
        self.context: BrowserContext = browser.new_context(base_url=url, locale=language, **more)
        self.context.set_default_timeout(PATIENCE)
        self.page: Page = self.context.new_page()
        self.page.on("pageerror", lambda error: self.trouble.append(f"{self.page.url}: {error}"))
        self.page.on("console", self._said)
        self.page.on("response", self._answered)

    def _said(self, told: Any) -> None:
        # What the browser says of an answer of 4xx is no trouble: pages are tried with wrong values too.
        if told.type == "error" and "Failed to load resource" not in told.text:
            self.trouble.append(f"{self.page.url}: {told.text}")

    def _answered(self, answer: Any) -> None:
        if answer.status >= 500 or (answer.status == 404 and "/static/" in answer.url):
            self.trouble.append(f"{answer.url}: {answer.status}")

    def become(self, user: User | None) -> Page:
        """Be this person from the next request on, past the second factor; None: a stranger."""
        self.context.clear_cookies()
        if user is not None:
            key = (user.pk, self.language)
            if key not in self._sessions:
                client = sign_in(user, self.language)
                session = client.session
                now = time.time()
                session["account_authentication_methods"] = [{"method": "password", "at": now}]
                session.save()
                self._sessions[key] = str(session.session_key)
            cookie = {"name": settings.SESSION_COOKIE_NAME, "value": self._sessions[key], "url": self.url}
            self.context.add_cookies([cookie])
        return self.page

    def open(self, user: User | None, path: str) -> Page:
        """A page as this person sees it."""
        self.become(user).goto(path)
        return self.page

    def close(self) -> None:
        """Close the window; what went wrong in it fails the test."""
        self.context.close()
        assert self.trouble == []
