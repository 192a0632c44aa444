"""What takes long is made by the worker, once, for the person who asked, and given with the rights of now."""

from __future__ import annotations

import errno
import json
import os
from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.urls import reverse
from django.utils import timezone, translation
from django_tasks_db.models import DBTaskResult

from console_lists import LONG
from khien.console.accounts.models import User
from khien.console.accounts.roles import Role
from khien.console.audit.models import Entry
from khien.console.exports import chores, documents, making, services
from khien.console.exports.models import FileState, MadeFile, Reason
from khien.console.incidents import exports as incident_exports
from khien.console.incidents.models import Incident, Tlp
from khien.console.incidents.services import open_incident
from khien.console.notifications.models import Notice
from khien.console.upkeep import jobs

pytestmark = pytest.mark.django_db
REPORT = {"kind": "first", "addressees": "Cục A05", "issuer": "Tiểu ban", "format": "docx"}


def _body(response) -> bytes:
    return b"".join(response.streaming_content)


def _download(client, made: MadeFile):
    return client.get(reverse("exports:download", args=[made.pk]))


@pytest.fixture
def incident(province, settings, tmp_path, monkeypatch) -> Incident:
    """An incident whose documents are all long."""
    settings.DATA = tmp_path
    monkeypatch.setattr(documents, "MOST_AT_ONCE", {"pdf": 10, "docx": 10})
    return open_incident(
        province.analyst,
        title="Mã độc",
        level=4,
        unit=province.units["so-y-te"],
        working_class="malware",
        leader=province.analyst,
    )


def test_a_short_list_comes_at_once(province, many_mails, signed_in):
    response = signed_in(province.admin).get(LONG + "&q=p1@")
    assert response["Content-Disposition"].startswith("attachment")
    assert not MadeFile.objects.exists()


def test_a_long_list_is_made_by_the_worker_and_saved_by_who_asked(province, many_mails, signed_in, work):
    client = signed_in(province.admin)
    asked = client.get(LONG, follow=True)
    assert asked.redirect_chain == [(reverse("exports:list"), 302)]
    page = asked.content.decode()
    assert "“Mails (CSV)” is being made" in page
    assert "Waiting" in page
    assert 'hx-trigger="every 2s"' in page
    made = MadeFile.objects.get()
    assert _download(client, made).status_code == 404
    work()
    made.refresh_from_db()
    assert (made.state, made.reason) == (FileState.READY, "")
    page = client.get(reverse("exports:rows")).content.decode()
    assert "Ready" in page
    assert "hx-trigger" not in page
    response = _download(client, made)
    body = _body(response)
    assert body.count(b"@example.vn") == 31
    assert len(body) == made.size
    assert response["Content-Disposition"].startswith('attachment; filename="mails-')
    notice = Notice.objects.get(user=province.admin, kind="file.ready")
    assert notice.url == reverse("exports:list")
    with translation.override("vi"):
        assert notice.worded() == "Tệp “Mails (CSV)” đã sẵn sàng."


def test_making_and_saving_are_both_in_the_trail(province, many_mails, signed_in, work):
    client = signed_in(province.admin)
    client.get(LONG)
    assert not Entry.objects.filter(action="export").exists()
    work()
    made = MadeFile.objects.get()
    _body(_download(client, made))
    told = Entry.objects.filter(action__startswith="export", actor=province.admin).order_by("number")
    assert [entry.action for entry in told] == ["export", "export.download"]
    assert told[0].after["count"] == 31
    assert told[1].after == {"name": made.name, "bytes": made.size, "address": LONG}


@pytest.mark.parametrize("kind", ["docx", "pdf"])
def test_a_long_incident_is_made_by_the_worker_in_the_language_of_who_asked(province, incident, signed_in, work, kind):
    client = signed_in(province.analyst, "vi")
    asked = client.get(reverse("incidents:export", args=[incident.pk, kind]), follow=True)
    assert f"“{incident.number}.{kind}” đang được lập" in asked.content.decode()
    work()
    made = MadeFile.objects.get()
    assert made.state == FileState.READY, made.reason
    response = _download(client, made)
    assert _body(response).startswith(b"PK" if kind == "docx" else b"%PDF")
    assert f'filename="{incident.number}.{kind}"' in response["Content-Disposition"]


def test_an_incident_with_very_many_entries_is_not_even_read_within_the_request(
    province, incident, signed_in, work, monkeypatch
):
    monkeypatch.setattr(incident_exports, "MOST_AT_ONCE", 0)
    client = signed_in(province.analyst)
    assert client.get(reverse("incidents:export", args=[incident.pk, "json"])).status_code == 302
    work()
    assert json.loads(_body(_download(client, MadeFile.objects.get())))["number"] == incident.number


def test_a_long_report_is_made_from_what_the_form_said(province, incident, signed_in, work):
    client = signed_in(province.analyst)
    asked = client.post(reverse("incidents:report", args=[incident.pk]), REPORT)
    assert asked.status_code == 302, asked.content.decode()
    work()
    made = MadeFile.objects.get()
    assert made.state == FileState.READY, made.reason
    assert _body(_download(client, made)).startswith(b"PK")
    told = Entry.objects.get(action="incident.compose_report")
    assert told.after["addressees"] == ["Cục A05"]


def test_the_same_is_not_made_twice_at_once(province, many_mails, signed_in, work):
    client = signed_in(province.admin)
    for _ in range(3):
        client.get(LONG)
    assert MadeFile.objects.count() == DBTaskResult.objects.count() == 1
    work()
    client.get(LONG)
    assert MadeFile.objects.count() == 2


def test_a_job_done_twice_makes_one_file_and_one_notice(province, many_mails, signed_in, work):
    signed_in(province.admin).get(LONG)
    work()
    made = MadeFile.objects.get()
    making.make.call(made.pk)
    after = MadeFile.objects.get()
    assert (after.maker, after.place) == (made.maker, made.place)
    assert Notice.objects.filter(kind="file.ready").count() == 1
    assert [path.name for path in services.folder().iterdir()] == [made.place]


def test_what_an_earlier_worker_still_does_is_thrown_away(province, many_mails, signed_in, monkeypatch):
    """A second worker begins with the file while a first, thought dead, is at it."""
    signed_in(province.admin).get(LONG)
    made = MadeFile.objects.get()
    keep, began = making._keep, []

    def interrupted(answer, place):
        kept = keep(answer, place)
        if not began:
            began.append(place)
            making.make.call(made.pk)
        return kept

    monkeypatch.setattr(making, "_keep", interrupted)
    making.make.call(made.pk)
    made.refresh_from_db()
    assert made.state == FileState.READY
    assert made.place != began[0]
    assert [path.name for path in services.folder().iterdir()] == [made.place]
    assert Notice.objects.filter(kind="file.ready").count() == 1


def test_nobody_else_sees_saves_or_deletes_it(province, many_mails, signed_in, work):
    signed_in(province.admin).get(LONG)
    work()
    made = MadeFile.objects.get()
    for other in (province.chair, province.auditor, province.health):
        client = signed_in(other)
        assert "Mails (CSV)" not in client.get(reverse("exports:list")).content.decode()
        assert _download(client, made).status_code == 404
        assert client.post(reverse("exports:give_up", args=[made.pk])).status_code == 404
    assert MadeFile.objects.count() == 1


def test_who_was_taken_off_a_sensitive_incident_cannot_save_it_any_more(province, incident, signed_in, work):
    Incident.objects.filter(pk=incident.pk).update(tlp=Tlp.RED, leader=province.health, created_by=province.chair)
    client = signed_in(province.health)
    client.get(reverse("incidents:export", args=[incident.pk, "docx"]))
    work()
    made = MadeFile.objects.get()
    assert _download(client, made).status_code == 200
    Incident.objects.filter(pk=incident.pk).update(leader=province.analyst)
    refused = _download(client, made)
    assert refused.status_code == 403
    assert "Your rights have changed" in refused.content.decode()
    assert Entry.objects.filter(action="export.download").count() == 1


def test_a_list_with_a_sensitive_incident_is_refused_to_who_lost_it(province, incident, signed_in, work, monkeypatch):
    Incident.objects.filter(pk=incident.pk).update(tlp=Tlp.RED, leader=province.health, created_by=province.chair)
    monkeypatch.setattr("khien.console.spreadsheets.exports.MOST_AT_ONCE", 0)
    client = signed_in(province.health)
    client.get(reverse("incidents:list") + "?export=csv")
    work()
    made = MadeFile.objects.get()
    assert incident.number.encode() in _body(_download(client, made))
    Incident.objects.filter(pk=incident.pk).update(leader=province.analyst)
    assert _download(client, made).status_code == 403


def _list_of_incidents(person: User, work) -> MadeFile:
    services.ask(person, reverse("incidents:list") + "?export=csv", "Incidents")
    work()
    return MadeFile.objects.get()


def test_a_list_with_an_incident_that_became_sensitive_is_refused(province, incident, signed_in, work):
    client = signed_in(province.health)
    made = _list_of_incidents(province.health, work)
    assert incident.number.encode() in _body(_download(client, made))
    later = Incident.objects.get(pk=incident.pk)
    later.pk, later.number, later.tlp, later.created_at = None, "SC-2026-9999", Tlp.RED, timezone.now()
    later.save()
    assert _download(client, made).status_code == 200
    Incident.objects.filter(pk=incident.pk).update(tlp=Tlp.RED)
    assert _download(client, made).status_code == 403


def test_what_one_saw_only_while_a_list_was_made_is_refused_afterwards(
    province, incident, signed_in, work, monkeypatch
):
    """Put into the team while the worker is at it, and taken out again later."""
    Incident.objects.filter(pk=incident.pk).update(tlp=Tlp.RED)
    ask_again = making.ask_again

    def named_meanwhile(made, by):
        incident.team.add(province.health)
        return ask_again(made, by)

    monkeypatch.setattr(making, "ask_again", named_meanwhile)
    client = signed_in(province.health)
    made = _list_of_incidents(province.health, work)
    assert incident.number.encode() in _body(_download(client, made))
    incident.team.clear()
    assert _download(client, made).status_code == 403


@pytest.mark.parametrize("change", [{"role": Role.AUDITOR}, {"is_active": False}])
def test_who_loses_rights_while_a_list_is_made_gets_none(province, incident, work, monkeypatch, change):
    ask_again = making.ask_again

    def lost_meanwhile(made, by):
        User.objects.filter(pk=by.pk).update(**change)
        return ask_again(made, by)

    monkeypatch.setattr(making, "ask_again", lost_meanwhile)
    made = _list_of_incidents(province.health, work)
    assert (made.state, made.reason) == (FileState.FAILED, Reason.REFUSED)
    assert list(services.folder().iterdir()) == []


@pytest.mark.parametrize("change", [{"role": Role.AUDITOR}, {"unit": "so-y-te"}])
def test_another_role_or_unit_cannot_save_what_was_made_for_the_former(province, many_mails, signed_in, work, change):
    signed_in(province.admin).get(LONG)
    work()
    values = {key: province.units[value] if key == "unit" else value for key, value in change.items()}
    User.objects.filter(pk=province.admin.pk).update(**values)
    assert _download(signed_in(User.objects.get(pk=province.admin.pk)), MadeFile.objects.get()).status_code == 403


def test_who_lost_the_right_before_it_was_made_is_told_so_in_their_language(province, incident, signed_in, work):
    signed_in(province.analyst, "vi").get(reverse("incidents:export", args=[incident.pk, "docx"]))
    User.objects.filter(pk=province.analyst.pk).update(role=Role.AUDITOR)
    work()
    made = MadeFile.objects.get()
    assert (made.state, made.reason) == (FileState.FAILED, Reason.REFUSED)
    client = signed_in(User.objects.get(pk=province.analyst.pk), "vi")
    assert "Bạn không còn quyền xem" in client.get(reverse("exports:list")).content.decode()
    assert Notice.objects.filter(user=province.analyst, kind="file.failed").count() == 1


def test_a_full_disk_is_told(province, many_mails, signed_in, work, monkeypatch):
    client = signed_in(province.admin)
    client.get(LONG)

    def full(*given):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("khien.console.spreadsheets.exports.write_table", full)
    work()
    assert MadeFile.objects.get().reason == Reason.NO_ROOM
    assert "no room left on the disk" in client.get(reverse("exports:list")).content.decode()
    monkeypatch.setattr(services, "LEAST_ROOM", 1 << 60)
    page = client.get(LONG, follow=True).content.decode()
    assert "There is no room left on the disk of the console" in page
    assert MadeFile.objects.count() == 1


def test_a_file_that_is_too_large_is_not_kept(province, many_mails, signed_in, work, monkeypatch):
    signed_in(province.admin).get(LONG)
    monkeypatch.setattr(making, "MOST_BYTES", 100)
    work()
    assert MadeFile.objects.get().reason == Reason.TOO_LARGE
    assert list(services.folder().iterdir()) == []


def test_a_document_too_long_for_the_worker_says_so(province, incident, signed_in, work, monkeypatch):
    signed_in(province.analyst).get(reverse("incidents:export", args=[incident.pk, "pdf"]))
    monkeypatch.setattr(documents, "MOST_IN_WORKER", 20)
    work()
    assert MadeFile.objects.get().reason == Reason.TOO_LARGE


def test_a_machine_without_pango_is_told_so(province, incident, signed_in, work, monkeypatch):
    from khien.documents import pdf

    def missing():
        raise pdf.PdfError("PDF files need the Pango library", remedy="Install it.")

    signed_in(province.analyst).get(reverse("incidents:export", args=[incident.pk, "pdf"]))
    monkeypatch.setattr(pdf, "_weasyprint", missing)
    work()
    assert MadeFile.objects.get().reason == Reason.NO_PDF


def test_a_person_has_a_bounded_number_waiting_and_a_bounded_room(province, many_mails, signed_in, work, monkeypatch):
    client = signed_in(province.admin)
    for number in range(services.MOST_UNFINISHED):
        client.get(f"{LONG}&n={number}")
    page = client.get(f"{LONG}&n=more", follow=True).content.decode()
    assert "5 files are being made for you already" in page
    assert MadeFile.objects.count() == services.MOST_UNFINISHED
    work()
    monkeypatch.setattr(services, "MOST_KEPT_BYTES", 1)
    assert "take up all the room" in client.get(LONG, follow=True).content.decode()
    services.give_up(province.admin, MadeFile.objects.first().pk)
    with pytest.raises(ValidationError):
        services.ask(province.admin, LONG, "x")
    assert services.ask(province.analyst, LONG, "x").by == province.analyst


def test_what_is_given_up_is_not_made_and_what_is_deleted_leaves_no_bytes(
    province, many_mails, signed_in, work, django_capture_on_commit_callbacks
):
    client = signed_in(province.admin)
    client.get(LONG)
    client.post(reverse("exports:give_up", args=[MadeFile.objects.get().pk]))
    work()
    assert not MadeFile.objects.exists()
    client.get(LONG)
    work()
    assert len(list(services.folder().iterdir())) == 1
    with django_capture_on_commit_callbacks(execute=True):
        client.post(reverse("exports:give_up", args=[MadeFile.objects.get().pk]))
    assert list(services.folder().iterdir()) == []
    assert Entry.objects.filter(action="export.delete").count() == 2


def test_what_is_given_up_while_it_is_made_ends_soon(province, many_mails, signed_in, work, monkeypatch):
    signed_in(province.admin).get(LONG)
    made = MadeFile.objects.get()
    monkeypatch.setattr("khien.console.exports.progress._EVERY", 10)
    tell = making._Teller.__call__

    def told(self, done, total):
        assert (done, total) == (10, 31)
        services.give_up(province.admin, made.pk)
        tell(self, done, total)

    monkeypatch.setattr(making._Teller, "__call__", told)
    work()
    assert not MadeFile.objects.exists()
    assert list(services.folder().iterdir()) == []
    assert not Notice.objects.filter(kind__startswith="file.").exists()


def test_how_far_it_is_shows_on_the_page(province, many_mails, signed_in):
    client = signed_in(province.admin, "vi")
    client.get(LONG)
    MadeFile.objects.update(state=FileState.MAKING, started_at=timezone.now(), done=12_000, total=50_000)
    page = client.get(reverse("exports:rows")).content.decode()
    assert '<progress class="di-progress" value="12000" max="50000"' in page
    assert "12.000 trên 50.000 dòng" in page


def test_after_seven_days_it_is_gone(province, many_mails, signed_in, work, django_capture_on_commit_callbacks):
    client = signed_in(province.admin)
    client.get(LONG)
    work()
    made = MadeFile.objects.get()
    assert made.expires_at - made.ended_at == timedelta(days=7)
    assert chores.forget_old() == 0
    MadeFile.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert _download(client, made).status_code == 404
    with django_capture_on_commit_callbacks(execute=True):
        assert chores.forget_old() == 1
    assert not MadeFile.objects.exists()
    assert list(services.folder().iterdir()) == []


def test_bytes_of_no_file_are_cleared_away_after_a_day(province, many_mails):
    services.has_room()
    old, new = services.folder() / "7-old", services.folder() / "8-new"
    for path in (old, new):
        path.write_bytes(b"x")
    os.utime(old, (0, 0))
    chores.forget_old()
    assert [path.name for path in services.folder().iterdir()] == ["8-new"]


def test_a_job_that_ended_several_workers_is_told(province, many_mails, signed_in):
    signed_in(province.admin).get(LONG)
    DBTaskResult.objects.update(status="RUNNING", worker_ids=["gone"] * jobs.MOST_CLAIMS)
    MadeFile.objects.update(state=FileState.MAKING, asked_at=timezone.now() - timedelta(hours=1))
    assert chores.tell_given_up() == 0
    jobs.recover()
    assert chores.tell_given_up() == 1
    assert MadeFile.objects.get().reason == Reason.STOPPED
    assert chores.tell_given_up() == 0
    assert Notice.objects.filter(kind="file.failed").count() == 1


def test_a_file_lost_from_the_disk_is_refused_not_broken(province, many_mails, signed_in, work):
    client = signed_in(province.admin)
    client.get(LONG)
    work()
    for path in services.folder().iterdir():
        path.unlink()
    assert _download(client, MadeFile.objects.get()).status_code == 403


def test_the_page_makes_a_bounded_number_of_queries(province, many_mails, signed_in, django_assert_max_num_queries):
    client = signed_in(province.admin)
    client.get(reverse("exports:list"))
    for count in (3, 90):
        MadeFile.objects.bulk_create(
            MadeFile(by=province.admin, title="x", address="/x", language="vi", digest="x", state=FileState.READY)
            for _ in range(count)
        )
        with django_assert_max_num_queries(15):
            assert client.get(reverse("exports:rows")).status_code == 200


def test_saving_makes_a_bounded_number_of_queries(province, many_mails, signed_in, work, django_assert_max_num_queries):
    client = signed_in(province.admin)
    client.get(LONG)
    work()
    with django_assert_max_num_queries(30):
        _body(_download(client, MadeFile.objects.get()))
