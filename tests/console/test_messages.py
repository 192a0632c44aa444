"""Every text of the console is there in Vietnamese: what the sources mark is compared with the catalogs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest
from babel.messages.pofile import read_po

CONSOLE = Path(__file__).resolve().parents[2] / "src" / "khien" / "console"
APPS = sorted(path.parent for path in CONSOLE.glob("*/__init__.py") if path.parent.name not in ("assets", "formats"))
_TAGS = re.compile(r"<(script|style)\b.*?</\1>|{#.*?#}|{% comment %}.*?{% endcomment %}|<!--.*?-->", re.S)
_MARKED = re.compile(r"{% blocktrans.*?{% endblocktrans(late)? %}", re.S)


def _catalog(app: Path) -> dict[tuple[str, str | None], str]:
    path = app / "locale" / "vi" / "LC_MESSAGES" / "django.po"
    if not path.exists():
        return {}
    with path.open("rb") as stream:
        found = {}
        for message in read_po(stream, locale="vi"):
            name = message.id[0] if isinstance(message.id, tuple) else message.id
            text = message.string[0] if isinstance(message.string, tuple) else message.string
            if name and not message.fuzzy:
                found[name, message.context] = text
        return found


def _extracted(app: Path, folder: Path) -> list[tuple[str, str | None]]:
    """What Django's own extraction finds in an app's sources, in a copy of them."""
    copy = folder / app.name
    shutil.copytree(app, copy, ignore=shutil.ignore_patterns("locale", "migrations", "__pycache__"))
    (copy / "locale").mkdir()
    command = ["django-admin", "makemessages", "-l", "vi", "--no-location", "-e", "html,py,txt"]
    plain = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    program = str(Path(sys.executable).with_name(command[0]))
    subprocess.run([program, *command[1:]], cwd=copy, check=True, capture_output=True, env=plain)
    po = copy / "locale" / "vi" / "LC_MESSAGES" / "django.po"
    if not po.exists():
        return []
    with po.open("rb") as stream:
        return [(m.id[0] if isinstance(m.id, tuple) else m.id, m.context) for m in read_po(stream, locale="vi") if m.id]


@pytest.mark.skipif(shutil.which("xgettext") is None, reason="xgettext (package gettext) is not installed")
@pytest.mark.parametrize("app", APPS, ids=lambda path: path.name)
def test_no_text_lacks_its_vietnamese(app: Path, tmp_path: Path) -> None:
    known = _catalog(app)
    wanted = set(_extracted(app, tmp_path))
    assert [each for each in wanted if not known.get(each)] == []
    assert [each for each in known if each not in wanted] == [], "no source has these any more"


def test_a_text_has_one_translation_in_all_apps() -> None:
    # The catalogs are one to Django: the first app's translation would stand in the pages of all.
    found: dict[tuple[str, str | None], dict[str, str]] = defaultdict(dict)
    for app in APPS:
        for message, text in _catalog(app).items():
            found[message][app.name] = text
    assert {message: texts for message, texts in found.items() if len(set(texts.values())) > 1} == {}


@pytest.mark.parametrize(
    "path", sorted(CONSOLE.glob("*/locale/vi/LC_MESSAGES/django.po")), ids=lambda path: path.parts[-5]
)
def test_a_catalog_has_the_plural_form_of_vietnamese_and_nothing_doubtful(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count('"Plural-Forms: nplurals=1; plural=0;\\n"') == 1
    assert re.findall(r"^(?:#,.*\bfuzzy\b|#~|#\s*\|).*$", text, re.M) == []


@pytest.mark.parametrize("app", APPS, ids=lambda path: path.name)
def test_translations_keep_the_places_for_values(app: Path) -> None:
    wrong = []
    for (name, _), text in _catalog(app).items():
        places = sorted(re.findall(r"%\(\w+\)[sd]|{\w*}", name))
        if text and sorted(set(re.findall(r"%\(\w+\)[sd]|{\w*}", text))) != sorted(set(places)):
            wrong.append((name, text))
    assert wrong == []


def _bare(path: Path) -> list[str]:
    """Words that stand in a template as they are, without being marked for translation."""
    text = _TAGS.sub("", path.read_text(encoding="utf-8"))
    text = _MARKED.sub("", text)
    text = re.sub(r"<(code|kbd)\b[^>]*>.*?</\1>", "", text, flags=re.S)  # words of the filter language, keys
    text = re.sub(r"{%.*?%}|{{.*?}}", "\n", text, flags=re.S)
    found = [line for part in re.findall(r">([^<]+)<", f">{text}<") for line in part.split("\n")]
    found += re.findall(r"\b(?:title|aria-label|placeholder|alt|data-confirm|data-label)=\"([^\"]+)\"", text)
    words = (each.strip() for each in found)
    return [each for each in words if re.search(r"[A-Za-zÀ-ỹ]{3,}", re.sub(r"&\w+;", "", each)) and each not in ALLOWED]


ALLOWED = {
    "Khiên",
    "· Khiên",
    "English",
    "Tiếng Việt",
    "Esc",
    "Enter",
    "Shift",
    "ATT&CK",
    "CSV",
    "XLSX",
    "JSON",
    "NDJSON",
    "PDF",
    "Word",
    "SHA-256",
    "TLP",
    "RSIT",
    "MITRE ATT&CK",
}
"""Names that are the same in every language."""


@pytest.mark.parametrize(
    "path", sorted(CONSOLE.glob("*/templates/**/*.html")), ids=lambda path: "/".join(path.parts[-2:])
)
def test_no_template_has_text_outside_translation(path: Path) -> None:
    assert _bare(path) == []
