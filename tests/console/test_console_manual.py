"""The console's manual names every setting, command and option there is, and no setting that there is not."""

from __future__ import annotations

import re
from pathlib import Path

import typer

from khien.cli.console import app

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "console.md").read_text(encoding="utf-8")
CONSOLE = ROOT / "src" / "khien" / "console"
READ = re.compile(r'(?:environ\.get\(|environ\[|_flag\()\s*"(KHIEN_[A-Z_]+)"')


def _read_by_the_console() -> set[str]:
    sources = [path for path in CONSOLE.rglob("*.py") if "node_modules" not in path.parts]
    return {name for path in sources for name in READ.findall(path.read_text(encoding="utf-8"))}


def test_every_setting_stands_in_the_manual():
    names = _read_by_the_console() | set(READ.findall((ROOT / "src/khien/cli/console.py").read_text()))
    assert len(names) > 15
    assert [name for name in sorted(names) if f"| `{name}`" not in PAGE and f", `{name}` |" not in PAGE] == []


def test_every_setting_of_the_manual_is_read_somewhere():
    shown = set(re.findall(r"`(KHIEN_[A-Z_]+)`", PAGE))
    sources = "".join(
        path.read_text(encoding="utf-8") for path in (ROOT / "src").rglob("*.py") if "node_modules" not in path.parts
    )
    assert [name for name in sorted(shown) if name not in sources] == []


def test_every_command_and_option_stands_in_the_manual():
    commands = typer.main.get_command(app).commands
    assert len(commands) >= 7
    missing = [name for name in commands if f"khien console {name}" not in PAGE]
    for name, command in commands.items():
        options = {option for each in command.params for option in (*each.opts, *each.secondary_opts)}
        missing += [
            f"{name} {option}"
            for option in sorted(options)
            if option.startswith("--") and option != "--help" and not re.search(rf"{option}(?![a-z-])", PAGE)
        ]
    assert missing == []


def test_settings_of_the_environment_file_are_settings_of_the_manual():
    text = (ROOT / "deploy" / "console.env").read_text(encoding="utf-8")
    names = set(re.findall(r"^#? ?(KHIEN_[A-Z_]+)=", text, re.MULTILINE))
    units = "".join(path.read_text() for path in (ROOT / "deploy").glob("khien-console*.service"))
    assert [name for name in sorted(names) if f"`{name}`" not in PAGE and f"${name}" not in units] == []
