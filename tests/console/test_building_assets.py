"""What pages load is built while others read it: each of its files is there at every moment."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ASSETS = Path(__file__).resolve().parents[2] / "src" / "khien" / "console" / "assets"
NODE = shutil.which("node")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        NODE is None or not (ASSETS / "node_modules" / ".installed").exists(), reason="needs `make assets`"
    ),
]


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """A copy of the assets, built once."""
    assets = tmp_path / "assets"
    assets.mkdir()
    shutil.copytree(ASSETS / "src", assets / "src")
    shutil.copy(ASSETS / "build.mjs", assets)
    (assets / "node_modules").symlink_to(ASSETS / "node_modules")
    subprocess.run([NODE, "build.mjs"], cwd=assets, check=True, capture_output=True)
    return assets


def test_no_reader_misses_a_file_while_it_is_built_anew(copied: Path) -> None:
    static = copied.parent / "static"
    files = {path.relative_to(static): path.read_bytes() for path in static.rglob("*") if path.is_file()}
    assert Path("khien/app.js") in files
    rounds = 0
    with subprocess.Popen([NODE, "build.mjs"], cwd=copied, stdout=subprocess.DEVNULL) as building:
        while building.poll() is None:
            rounds += 1
            assert [each.name for each in static.iterdir()] == ["khien"]
            for name, content in files.items():
                assert (static / name).read_bytes() == content
    assert building.returncode == 0
    assert rounds > 10


def test_what_is_built_no_more_and_what_a_killed_build_left_goes_away(copied: Path) -> None:
    static = copied.parent / "static"
    (static / "khien" / "former.js").touch()
    left = copied / ".made-99999999"  # no process has such a number
    left.mkdir()
    subprocess.run([NODE, "build.mjs"], cwd=copied, check=True, capture_output=True)
    assert not (static / "khien" / "former.js").exists()
    assert list(copied.glob(".made-*")) == []
