"""The rules of the live flow, and their change while it works."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from flow.live_service import FAILED, WHOAMI
from khien.errors import KhienError
from khien.flow.rulebook import Rulebook


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    (tmp_path / "whoami.yml").write_text(WHOAMI)
    return tmp_path


def test_a_new_rule_is_taken_up_and_not_looked_for_too_often(rules: Path) -> None:
    book = Rulebook((rules,), "low", None)
    (rules / "failed.yml").write_text(FAILED)
    assert not book.changed(book._looked + 5)
    assert book.changed(book._looked + 11)
    assert len(book.plan.ruleset.rules) == 2
    assert not book.changed(book._looked + 11)


def test_a_rule_written_in_place_and_one_that_vanished_are_seen(rules: Path) -> None:
    (rules / "failed.yml").write_text(FAILED)
    book = Rulebook((rules,), "low", None)
    (rules / "whoami.yml").write_text(WHOAMI.replace("whoami.exe", "hostname.exe"))
    os.utime(rules / "whoami.yml", ns=(1, 1))
    assert book.changed(book._looked + 11)
    (rules / "failed.yml").unlink()
    assert book.changed(book._looked + 11)
    assert len(book.plan.ruleset.rules) == 1


def test_rules_that_cannot_be_used_leave_the_last_good_ones_at_work(rules: Path) -> None:
    book = Rulebook((rules,), "low", None)
    (rules / "whoami.yml").write_text("title: [broken")
    assert not book.changed(book._looked + 11)
    assert len(book.plan.ruleset.rules) == 1
    (rules / "whoami.yml").write_text(WHOAMI + "# mended\n")
    assert book.changed(book._looked + 11)


def test_no_rule_at_all_is_said(tmp_path: Path) -> None:
    with pytest.raises(KhienError, match="no usable rule"):
        Rulebook((tmp_path,), "low", None)
