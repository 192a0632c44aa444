"""Ids of four digits stay whole in addresses and attributes: 4321 is never written 4.321 there."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from urllib.parse import urlsplit

import pytest
from django.apps import apps
from django.db import connection, models

from console_objects import make_objects
from console_province import make_province, sign_in

pytestmark = pytest.mark.django_db
FIRST = 4321
_BROKEN = re.compile(r"(?<![\d.,])4[.,\u00a0]3\d\d(?![\d.,])")
_NOT_FOLLOWED = ("logout", "language", "export=", "/open", ".docx", ".pdf", ".json", "/file", "/stream", "/download")


def _begin_ids_at(first: int) -> None:
    for model in apps.get_models():
        if not isinstance(model._meta.pk, models.AutoField | models.BigAutoField):
            continue
        table = model._meta.db_table
        with connection.cursor() as cursor:
            if connection.vendor == "postgresql":
                cursor.execute("SELECT setval(pg_get_serial_sequence(%s, 'id'), %s)", [table, first])
            else:
                cursor.execute("DELETE FROM sqlite_sequence WHERE name = %s", [table])
                cursor.execute("INSERT INTO sqlite_sequence (name, seq) VALUES (%s, %s)", [table, first])


class _Page(HTMLParser):
    """The links of a page, and the attributes in which an id is broken."""

    def __init__(self) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.broken: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "href" and tag == "a" and (value or "").startswith(("/", "?")):
                self.links.add(value or "")
            if name != "title" and _BROKEN.search(value or ""):
                self.broken.append(f'<{tag} {name}="{value}">')


@pytest.mark.parametrize("who", ["analyst", "admin", "chair", "auditor"])
def test_ids_of_four_digits_stay_whole_in_every_attribute(who: str) -> None:
    _begin_ids_at(FIRST)
    province = make_province()
    make_objects(province)
    client = sign_in(getattr(province, who), "vi")
    waiting, seen, shapes = ["/"], set(), {}
    while waiting and len(seen) < 150:
        address = waiting.pop(0)
        parts = urlsplit(address)
        shape = re.sub(r"\d+", "0", parts.path)
        if address in seen or shapes.get(shape, 0) >= 2 or any(each in address for each in _NOT_FOLLOWED):
            continue
        seen.add(address)
        shapes[shape] = shapes.get(shape, 0) + 1
        answer = client.get(address)
        assert answer.status_code < 500, address
        if answer.status_code in (301, 302):
            waiting.append(answer["Location"])
        if answer.streaming or "html" not in answer.headers.get("Content-Type", ""):
            continue
        page = _Page()
        page.feed(answer.content.decode())
        assert page.broken == [], address
        waiting += sorted(f"{parts.path}{link}" if link.startswith("?") else link for link in page.links)
    assert len(seen) > 15
