"""Every page of the console in a browser: usable with a screen reader and a keyboard, on a desk and on a phone.

Which pages there are comes from the resolver and `tests/console/access_matrix.yml`; what they show is made by
`console_objects`. Each is opened as somebody who may see it, in Vietnamese.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from axe_playwright_python.sync_playwright import Axe
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from browser.console_running import CHROMIUM, Visitor, chromium, console
from console_objects import MAKERS, make_objects
from console_province import Province, make_province

pytestmark = [
    pytest.mark.slow,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed here"),
]
MATRIX: dict[str, dict[str, Any]] = yaml.safe_load(
    (Path(__file__).resolve().parent.parent / "console" / "access_matrix.yml").read_text(encoding="utf-8")
)
WHO = {
    "analyst": "analyst",
    "chair": "chair",
    "health": "duty_officer",
    "admin": "administrator",
    "auditor": "auditor",
}
"""Who opens a page: the first of these who may."""
MAIN = (
    "account_login", "alerts:queue", "alerts:detail", "alerts:exception_new", "incidents:list", "incidents:detail",
    "work", "tasks:detail", "tasks:boards", "directives:detail", "sessions:detail", "systems:list", "units:list",
    "accounts:users", "audit:list", "notifications:preferences",
)  # fmt: skip
NO_PAGES = {"account_logout", "alerts:stream"}
AXE = Axe()
WIDE, NARROW = {"width": 1440, "height": 900}, {"width": 390, "height": 844}
PLACES = """() => [...document.querySelectorAll("body *")].filter((each) => {
  if (each.closest(".table-wrap, .tabs, pre, .visually-hidden, dialog:not([open])")) return false;
  const box = each.getBoundingClientRect();
  return box.width > 0 && box.right > document.documentElement.clientWidth + 1;
}).slice(0, 3).map((each) => each.outerHTML.slice(0, 120))"""


@pytest.fixture
def visitor(monkeypatch: pytest.MonkeyPatch) -> Iterator[Visitor]:
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")  # Playwright keeps a loop in this thread
    with console() as url, chromium() as browser:
        yield Visitor(browser, url)


def names(patterns: Any = None, prefix: str = "") -> Iterator[str]:
    """The full name of every address."""
    for each in get_resolver().url_patterns if patterns is None else patterns:
        if isinstance(each, URLResolver):
            yield from names(each.url_patterns, f"{prefix}{each.namespace}:" if each.namespace else prefix)
        elif isinstance(each, URLPattern):
            yield f"{prefix}{each.name or each.pattern}"


def pages(visitor: Visitor, province: Province, objects: dict[str, Any]) -> Iterator[tuple[str, str, Any]]:
    """Name, address and visitor of everything that answers a GET with a page of its own."""
    for name in dict.fromkeys(names()):
        rule = MATRIX.get(name, {})
        if rule.get("skip") or "scope" in rule or name.startswith("api:") or name in NO_PAGES:
            continue
        arguments = {key: objects[it] if it in MAKERS else it for key, it in (rule.get("with") or {}).items()}
        address = reverse(name, kwargs={key: getattr(value, "pk", value) for key, value in arguments.items()})
        address += rule.get("query", "").format(**{key: getattr(it, "pk", it) for key, it in objects.items()})
        person = None
        if not rule.get("public"):
            may, sees = rule["may"], rule.get("sees", list(WHO))
            short = next((who for who, role in WHO.items() if who in sees and (may == "all" or role in may)), None)
            assert short, f"nobody here may open {name}"
            person = getattr(province, short)
        visitor.become(person)
        answer = visitor.context.request.get(address, max_redirects=0)
        if answer.headers.get("content-type", "").startswith("text/html") and answer.status < 300:
            if "<!doctype html" in answer.text()[:100].lower():
                yield name, address, person
        assert answer.status < 500, (name, answer.status)


def wrongs(visitor: Visitor, what: str) -> list[str]:
    """What axe calls serious or critical on the page that is open."""
    found = AXE.run(visitor.page, options={"resultTypes": ["violations"]}).response["violations"]
    return [
        f"{what}: {each['id']} ({each['impact']}): {node['html'][:160]} {node.get('failureSummary', '')[:200]}"
        for each in found
        if each["impact"] in ("serious", "critical")
        for node in each["nodes"][:3]
    ]


def settle(visitor: Visitor) -> None:
    """Wait until parts that load after the page are there and nothing fades any more."""
    page = visitor.page
    deadline = time.monotonic() + 10
    busy = "document.querySelector('.skeleton, .htmx-request') || document.getAnimations().length > 0"
    while page.evaluate(f"Boolean({busy})") and time.monotonic() < deadline:
        time.sleep(0.05)


def test_every_page_serves_everybody_on_a_desk_and_on_a_phone(visitor: Visitor) -> None:
    province = make_province()
    objects = make_objects(province)
    found: list[str] = []
    seen = 0
    for name, address, person in pages(visitor, province, objects):
        visitor.page.set_viewport_size(WIDE)
        visitor.open(person, address)
        settle(visitor)
        seen += 1
        found += wrongs(visitor, f"{name} at 1440")
        visitor.page.set_viewport_size(NARROW)
        found += wrongs(visitor, f"{name} at 390")
        if visitor.page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"):
            found.append(f"{name} scrolls sideways at 390: {visitor.page.evaluate(PLACES)}")
    assert found == [], "\n".join(["", *found])
    assert seen > 80
    visitor.close()


def test_the_main_pages_serve_everybody_in_the_dark(visitor: Visitor) -> None:
    province = make_province()
    objects = make_objects(province)
    visitor.page.emulate_media(color_scheme="dark")
    found: list[str] = []
    seen = []
    for name, address, person in pages(visitor, province, objects):
        if name in MAIN:
            visitor.open(person, address)
            settle(visitor)
            found += wrongs(visitor, f"{name} in the dark")
            seen.append(name)
    assert found == [], "\n".join(["", *found])
    assert sorted(seen) == sorted(MAIN)
    visitor.close()
