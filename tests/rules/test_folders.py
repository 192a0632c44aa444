"""Where rules come from when nobody says."""

from __future__ import annotations

from pathlib import Path

import pytest

from khien.errors import UsageError
from khien.rules import folders as rule_folders


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_the_starter_pack_is_there_and_used_without_a_sync() -> None:
    assert (rule_folders.starter_folder() / "windows").is_dir()
    assert not rule_folders.synced_folder().exists()
    assert len(rule_folders.load(None, None).rules) > 40


def test_synced_rules_are_used_beside_the_starter_pack() -> None:
    before = len(rule_folders.load(None, None).rules)
    folder = rule_folders.synced_folder()
    folder.mkdir(parents=True)
    (folder / "one.yml").write_text(
        "title: One\nid: 11111111-0000-4000-8000-000000000001\nlogsource: {product: windows}\n"
        "detection: {s: {A: b}, condition: s}\nlevel: low\n"
    )
    rules = rule_folders.load(None, None)
    assert len(rules.rules) == before + 1
    assert "One" in {rule.title for rule in rules.rules}


def test_folders_that_are_given_replace_the_default(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    with pytest.raises(UsageError, match="there is no usable rule"):
        rule_folders.load([folder], None)
