"""The chain of the audit trail: what is written, what is refused, and what verifying finds."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest
from django.db import DatabaseError, connection, transaction
from django.test import Client

from khien.cli.audit import verify as verify_command
from khien.console.audit import anchors, append_only
from khien.console.audit.models import Entry, Head
from khien.console.audit.selectors import history_of
from khien.console.audit.services import digest, record, record_view
from khien.console.audit.verification import Finding, verify


def finding(path: Path = Path("/nowhere")) -> tuple[int, str] | None:
    found: Finding | None = verify(path).finding
    return (found.number, found.kind) if found else None


@pytest.fixture
def five(province):
    """Five entries."""
    for number in range(5):
        record(province.admin, "unit.change", province.units["xa-mau"], before={"n": number}, after={"n": number + 1})
    return province


@pytest.fixture
def unlocked(db: None):
    """The database's own refusal taken away, as somebody with the database file would."""
    append_only.remove(connection)
    yield
    append_only.install(connection, refuse_delete=False)


def test_the_chain_as_it_was_written_is_intact(five) -> None:
    verdict = verify(Path("/nowhere"))
    assert (verdict.entries, verdict.last, verdict.finding) == (5, 5, None)


def test_hostile_text_and_odd_numbers_are_kept_and_verify(province) -> None:
    odd = {"nul": "a\x00b", "half": "\ud800", "float": 1e22, "small": 1.5e-7, "deep": [{"x": [None, True, "\x00"]}]}
    record(province.admin, "unit.change", after=odd, actor_name="x" * 999)
    assert finding() is None
    assert Entry.objects.get().after["nul"] == "a\ufffdb"


def test_a_changed_entry_is_found(five, unlocked) -> None:
    Entry.objects.filter(number=3).update(after={"n": 99})
    assert finding() == (3, "changed")


def test_a_changed_entry_with_a_new_digest_is_found_at_the_next(five, unlocked) -> None:
    entry = Entry.objects.get(number=3)
    entry.actor_name = "somebody else"
    entry.digest = digest(entry)
    entry.save()
    assert finding() == (4, "relinked")


def test_a_missing_entry_is_found(five, unlocked) -> None:
    Entry.objects.filter(number=2).delete()
    assert finding() == (2, "missing")


def test_entries_cut_off_at_the_end_are_found_by_the_head(five, unlocked) -> None:
    Entry.objects.filter(number__gte=4).delete()
    assert finding() == (4, "cut")


def test_entries_cut_off_with_the_head_set_back_are_found_by_an_anchor(five, unlocked, tmp_path, settings) -> None:
    settings.DATA = tmp_path
    assert anchors.drop_anchor() is True
    assert anchors.drop_anchor() is False
    Entry.objects.filter(number__gte=4).delete()
    Head.objects.update(number=3, digest=Entry.objects.get(number=3).digest)
    assert finding() is None
    assert finding(anchors.anchor_file()) == (4, "cut")


def test_a_chain_rewritten_as_a_whole_is_found_by_an_anchor(five, unlocked, tmp_path, settings) -> None:
    settings.DATA = tmp_path
    anchors.drop_anchor()
    previous = ""
    for entry in Entry.objects.order_by("number"):
        entry.actor_name = "nobody"
        entry.previous = previous
        previous = entry.digest = digest(entry)
        entry.save()
    Head.objects.update(digest=previous)
    assert finding() is None
    assert finding(anchors.anchor_file()) == (5, "rewritten")


def test_an_entry_past_the_head_is_found(five, unlocked) -> None:
    last = Entry.objects.get(number=5)
    extra = Entry(number=6, at=last.at, actor_name="x", action="unit.change", previous=last.digest)
    extra.digest = digest(extra)
    extra.save(force_insert=True)
    assert finding() == (6, "added")


def test_a_torn_anchor_file_is_read_and_written_on(five, tmp_path, settings) -> None:
    settings.DATA = tmp_path
    anchors.anchor_file().write_text('{"at": "x", "num')
    anchors.drop_anchor()
    assert [each["number"] for each in anchors.anchors(anchors.anchor_file())] == [5]
    assert verify(anchors.anchor_file()).anchors == 1


def test_the_database_refuses_changes(five) -> None:
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        Entry.objects.filter(number=3).update(action="x.y")
    append_only.install(connection)
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        Entry.objects.filter(number=3).delete()
    assert Entry.objects.count() == 5
    append_only.remove(connection)
    append_only.install(connection, refuse_delete=False)


def test_the_command_says_what_is_broken(five, unlocked, capsys, monkeypatch) -> None:
    monkeypatch.setattr("khien.cli.audit.set_up", lambda data: None)
    verify_command(None, Path("/nowhere"))
    assert "intact: 5 entries" in capsys.readouterr().out
    Entry.objects.filter(number=2).delete()
    with pytest.raises(BaseException) as ended:  # noqa: PT011
        verify_command(None, Path("/nowhere"))
    assert ended.value.exit_code == 1
    assert "broken at entry 2: missing" in capsys.readouterr().out


def test_looks_within_ten_minutes_are_one(province) -> None:
    unit = province.units["xa-mau"]
    assert record_view(province.auditor, unit) is not None
    assert record_view(province.auditor, unit) is None
    assert record_view(province.chair, unit) is not None
    assert record_view(province.auditor, province.units["so-y-te"]) is not None


def test_the_history_of_a_thing_hides_addresses_from_those_without_the_trail(five, rf) -> None:
    unit = five.units["xa-mau"]
    Client().get("/health")
    assert len(history_of(five.admin, unit)) == 5
    assert all(not entry.address for entry in history_of(five.admin, unit))
    assert history_of(five.admin, five.units["so-y-te"]) == []


def test_an_entry_is_kept_or_lost_with_its_change(province) -> None:
    def change() -> None:
        with transaction.atomic():
            record(province.admin, "unit.change")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        change()
    assert Entry.objects.count() == 0
    assert finding() is None


@pytest.mark.django_db(transaction=True)
def test_many_threads_write_one_chain() -> None:
    trouble: list[BaseException] = []

    def write(who: int) -> None:
        try:
            for number in range(15):
                with transaction.atomic():
                    record(None, "unit.change", after={"who": who, "n": number})
        except BaseException as error:
            trouble.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=write, args=(who,)) for who in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert trouble == []
    assert Entry.objects.count() == 90
    assert finding() is None
    assert json.dumps(sorted(Entry.objects.values_list("number", flat=True))) == json.dumps(list(range(1, 91)))
