"""The manual says all there is: commands, options, settings, metrics, formats; and its links lead somewhere."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import typer

from khien.cli.hunt import Level, OutputFormat
from khien.cli.main import app, register
from khien.cli.query import QueryFormat
from khien.cli.search import SearchFormat
from khien.collect.settings import KINDS
from khien.collect.sources import LIMITS, LISTEN, SOURCE, TLS, parse_sources
from khien.formats.sniff import formats

ROOT = Path(__file__).resolve().parents[1]
PAGES = {path.relative_to(ROOT).as_posix(): path.read_text() for path in sorted((ROOT / "docs").rglob("*.md"))}
README, README_VI = (ROOT / "README.md").read_text(), (ROOT / "README.vi.md").read_text()
TEXTS = {
    **PAGES,
    "README.md": README,
    "README.vi.md": README_VI,
    **{name: (ROOT / name).read_text() for name in ("CHANGELOG.md", "SECURITY.md", "rules/README.md")},
}
MANUAL = {name: text for name, text in {**PAGES, "README.md": README}.items() if "decisions/" not in name}
UNITS = sorted((ROOT / "deploy").glob("*.service"))


def _leaves(command: Any, name: str) -> dict[str, set[str]]:
    """Every command without commands of its own, and its long options."""
    if inner := getattr(command, "commands", None):
        return {leaf: options for each in inner for leaf, options in _leaves(inner[each], f"{name} {each}").items()}
    return {name: {option for each in command.params for option in each.opts if option.startswith("--")} - {"--help"}}


@pytest.fixture(scope="module")
def commands() -> dict[str, set[str]]:
    register([])
    return _leaves(typer.main.get_command(app), "khien")


def _names(text: str, command: str) -> bool:
    """Whether a page speaks of a command, also as in `khien lake compact | retain`."""
    *group, last = command.split()
    if re.search(rf"\b{re.escape(command)}\b", text):
        return True
    return len(group) > 1 and bool(re.search(rf"\b{' '.join(group)} [a-z |]*\b{last}\b", text))


def test_every_command_stands_in_the_manual(commands: dict[str, set[str]]) -> None:
    assert len(commands) > 10
    assert [name for name in commands if not any(_names(text, name) for text in MANUAL.values())] == []


def test_every_option_stands_on_a_page_that_speaks_of_its_command(commands: dict[str, set[str]]) -> None:
    missing = [
        f"{name} {option}"
        for name, options in commands.items()
        for option in sorted(options)
        if not any(re.search(rf"{option}(?![a-z-])", text) and _names(text, name) for text in MANUAL.values())
    ]
    assert missing == []


def test_every_key_of_the_sources_file_and_every_kind_stands_in_collect() -> None:
    page = PAGES["docs/collect.md"]
    keys = {*SOURCE, *LISTEN, *TLS, *LIMITS}
    assert [key for key in sorted(keys) if not re.search(rf"`{key}`|^{key} = ", page, re.MULTILINE)] == []
    assert [kind for kind in KINDS if f"`{kind}`" not in page] == []


def test_every_metric_stands_in_operate() -> None:
    sources = "".join(path.read_text() for path in (ROOT / "src").rglob("*.py"))
    metrics = {name.removesuffix("_total") for name in re.findall(r'"(khien_[a-z_]+)"', sources)}
    assert len(metrics) > 10
    page = PAGES["docs/operate.md"]
    assert [name for name in sorted(metrics) if not re.search(rf"\b{name}(_total)?\b", page)] == []


def test_every_error_in_the_log_stands_in_operate() -> None:
    sources = "".join(path.read_text() for path in (ROOT / "src").rglob("*.py"))
    events = set(re.findall(r'_log\.error\(\s*"([^"]+)"', sources))
    assert len(events) > 10
    assert [event for event in sorted(events) if f"`{event}`" not in PAGES["docs/operate.md"]] == []


def test_every_input_format_output_format_and_level_stands_in_the_manual() -> None:
    for name in formats():
        assert f"| `{name}` |" in PAGES["docs/formats.md"]
        option = next(line for line in PAGES["docs/hunt.md"].splitlines() if line.startswith("| `--input-format"))
        assert re.search(rf"\b{name}\b", option), name
    assert [each for each in OutputFormat if f"`{each}`" not in PAGES["docs/hunt.md"]] == []
    assert [each for each in (*QueryFormat, *SearchFormat) if str(each) not in PAGES["docs/lake.md"]] == []
    assert [each for each in Level if str(each) not in PAGES["docs/hunt.md"]] == []


def test_the_readmes_link_every_page() -> None:
    pages = [name for name in PAGES if "decisions/" not in name]
    for readme in (README, README_VI):
        assert [name for name in pages if f"]({name})" not in readme] == []


def _anchors(text: str) -> set[str]:
    heads = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def test_no_relative_link_is_dead() -> None:
    dead = []
    for name, text in TEXTS.items():
        for link in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"```.*?```", "", text, flags=re.DOTALL)):
            place, _, anchor = link.partition("#")
            if "://" in link:
                continue
            target = (ROOT / name).parent / place if place else ROOT / name
            if not target.exists() or (anchor and anchor not in _anchors(target.read_text())):
                dead.append(f"{name}: {link}")
    assert dead == []


def test_the_vietnamese_readme_has_the_same_commands_and_links() -> None:
    def parts(text: str) -> tuple[list[str], list[str], int]:
        shown = re.findall(r"^    ((?:khien|make)(?: [a-z]+)*)", text, re.MULTILINE)
        links = [link for link in re.findall(r"\]\(([^)]+)\)", text) if link.startswith("docs/")]
        return shown, links, len(re.findall("^## ", text, re.MULTILINE))

    assert parts(README) == parts(README_VI)


def test_the_changelog_names_every_command(commands: dict[str, set[str]]) -> None:
    changes = TEXTS["CHANGELOG.md"]
    assert [name for name in commands if not _names(changes, name)] == []


def test_the_texts_speak_of_the_product_alone() -> None:
    strange = re.compile(
        r"\bissues? #?\d|\bsession #?\d|\bthis session\b|/work/|\.\./shared|\bhelper sessions?\b", re.I
    )
    deploy = {path.name: path.read_text() for path in (ROOT / "deploy").iterdir()}
    assert [
        f"{name}: {found[0]}" for name, text in {**TEXTS, **deploy}.items() if (found := strange.search(text))
    ] == []


def test_sources_files_in_the_manual_are_valid(tmp_path: Path) -> None:
    shown = [
        (name, block)
        for name, text in PAGES.items()
        for block in re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
        if "[[source]]" in block
    ]
    assert len(shown) >= 3
    for name in ("server.pem", "server.key", "agents-ca.pem"):
        (tmp_path / name).touch()
    for name, block in shown:
        assert parse_sources(block.encode(), tmp_path / Path(name).name).sources


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_units_call_commands_as_they_are_and_give_up_rights(unit: Path, commands: dict[str, set[str]]) -> None:
    text = unit.read_text()
    calls = re.findall(r"^ExecStart=/opt/khien/bin/(.+)$", text, re.MULTILINE)
    assert calls
    for call in calls:
        words = shlex.split(call)
        name = max((name for name in commands if call.startswith(name)), key=len)
        assert {word for word in words if word.startswith("--")} <= commands[name]
    for line in ("NoNewPrivileges=yes", "ProtectSystem=strict", "ProtectHome=yes", "PrivateTmp=yes", "User=khien"):
        assert line in text.splitlines()
    right = "CAP_NET_BIND_SERVICE" if unit.name == "khien.service" else ""
    assert f"CapabilityBoundingSet={right}" in text.splitlines()
    assert re.search(r"^MemoryMax=\d+G$", text, re.MULTILINE)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_understands_the_units(tmp_path: Path) -> None:
    for path in (ROOT / "deploy").glob("*.*er*"):
        (tmp_path / path.name).write_text(path.read_text().replace("/opt/khien/bin/khien", "/bin/true"))
    files = sorted(map(str, tmp_path.iterdir()))
    assert len(files) == len(UNITS) + len(list((ROOT / "deploy").glob("*.timer")))
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", *files], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
