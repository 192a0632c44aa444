"""The cache of loaded rules never changes what is loaded."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

import msgspec
import pytest

from khien.rules import cache
from khien.rules.cache import load_rules_cached
from khien.rules.collection import load_rules

RULE = "title: r{n}\nlogsource: {{product: windows}}\ndetection: {{s: {{a: b{n}}}, condition: s}}\n"


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    folder = tmp_path / "rules"
    folder.mkdir()
    (folder / "a.yml").write_text(RULE.format(n=1))
    (folder / "bad.yml").write_text("title: x\n")
    return folder


def entries(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.rules"))


def test_a_second_load_reads_the_entry_and_equals_the_first(
    rules: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "cache"
    first = load_rules_cached([rules], None, folder)
    assert first == load_rules([rules])
    assert first.unusable
    monkeypatch.setattr(cache, "load_sources", lambda *_: pytest.fail("the entry was not used"))
    assert load_rules_cached([rules], None, folder) == first


def test_the_key_is_the_content(rules: Path, tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    load_rules_cached([rules], None, folder)
    stamp = (rules / "a.yml").stat()
    (rules / "a.yml").write_text(RULE.format(n=2))  # same length, same time
    os.utime(rules / "a.yml", ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert load_rules_cached([rules], None, folder).rules[0].title == "r2"
    load_rules_cached([rules], {"admins": ["x"]}, folder)
    load_rules_cached([rules], {"admins": ["y"]}, folder)
    assert len(entries(folder)) == 4


def test_entries_are_plain_data_that_only_their_owner_reads(rules: Path, tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    load_rules_cached([rules], None, folder)
    (entry,) = entries(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(entry.stat().st_mode) == 0o600
    data = entry.read_bytes()
    assert data[:32] == hashlib.blake2b(data[32:], digest_size=32).digest()
    assert isinstance(msgspec.msgpack.decode(data[32:]), dict)


@pytest.mark.parametrize("damage", ["empty", "cut", "flipped", "foreign", "another type", "text", "deep"])
def test_a_damaged_or_foreign_entry_is_ignored_and_written_anew(rules: Path, tmp_path: Path, damage: str) -> None:
    folder = tmp_path / "cache"
    expected = load_rules_cached([rules], None, folder)
    (entry,) = entries(folder)
    data = entry.read_bytes()

    def sealed(body: bytes) -> bytes:
        return hashlib.blake2b(body, digest_size=32).digest() + body

    entry.write_bytes(
        {
            "empty": b"",
            "cut": data[:-5],
            "flipped": data[:-1] + bytes([data[-1] ^ 1]),
            "foreign": b"\x80\x04\x95" + b"pickle" * 20,
            "another type": sealed(msgspec.msgpack.encode([1, 2, 3])),
            "text": b"title: x",
            "deep": sealed(b"\x91" * 1_000_000),
        }[damage]
    )
    assert load_rules_cached([rules], None, folder) == expected
    assert entry.read_bytes() == data


def test_an_entry_of_another_user_is_not_used(rules: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "cache"
    expected = load_rules_cached([rules], None, folder)
    (entry,) = entries(folder)
    body = msgspec.msgpack.encode(msgspec.structs.replace(expected, rules=()))
    entry.write_bytes(hashlib.blake2b(body, digest_size=32).digest() + body)
    assert load_rules_cached([rules], None, folder).rules == ()  # its owner may write it
    mine = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: mine + 1)
    assert load_rules_cached([rules], None, folder) == expected


def test_the_cache_may_be_deleted_unwritable_or_switched_off(rules: Path, tmp_path: Path) -> None:
    expected = load_rules([rules])
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    assert load_rules_cached([rules], None, None) == expected
    assert load_rules_cached([rules], None, blocked / "cache") == expected
    assert load_rules_cached([rules], None, tmp_path / "new") == expected


def test_old_entries_go_and_nothing_half_written_stays(rules: Path, tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    for n in range(12):
        (rules / "a.yml").write_text(RULE.format(n=n))
        load_rules_cached([rules], None, folder)
    assert len(entries(folder)) == 8
    assert sorted(folder.iterdir()) == entries(folder)


def test_a_file_that_cannot_be_read_is_reported_each_time(rules: Path, tmp_path: Path) -> None:
    (rules / "gone.yml").symlink_to(rules / "nowhere")
    for _ in range(2):
        found = load_rules_cached([rules], None, tmp_path / "cache")
        assert any("cannot be read" in each.reason for each in found.unusable)
