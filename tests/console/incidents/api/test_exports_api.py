"""Files of an incident through the API: made at once, or by the worker and fetched later."""

from __future__ import annotations

import json

import pytest

from console_api import Api
from khien.console.api.models import IdempotentAnswer
from khien.console.audit.models import Entry
from khien.console.exports import documents
from khien.console.exports.models import FileState, MadeFile
from khien.console.incidents.models import Tlp
from khien.documents import pdf

pytestmark = pytest.mark.django_db


@pytest.fixture
def all_long(settings, tmp_path, monkeypatch) -> None:
    """Documents are all too long to be made within a request."""
    settings.DATA = tmp_path
    monkeypatch.setattr(documents, "MOST_AT_ONCE", {"pdf": 10, "docx": 10})


def test_an_incident_comes_as_each_kind_of_file(province, opened):
    made, api = opened(), Api(province.health)
    answer = api("GET", f"/incidents/{made.pk}/export/json")
    assert json.loads(answer.content)["number"] == made.number
    assert f'filename="{made.number}.json"' in answer["Content-Disposition"]
    for kind, begins in (("docx", b"PK"), ("pdf", b"%PDF")):
        assert api("GET", f"/incidents/{made.pk}/export/{kind}").content.startswith(begins)
    assert Entry.objects.filter(action="incident.export", actor=province.health).count() == 3
    assert api("GET", f"/incidents/{made.pk}/export/html").status_code == 422


@pytest.mark.parametrize("kind", ["docx", "pdf"])
def test_a_report_is_filled_with_what_is_known_and_changed(province, opened, kind):
    made, api = opened(level=4, serious=True, description="Máy chủ bị mã hóa"), Api(province.health)
    known = api("GET", f"/incidents/{made.pk}/report").json()
    assert (known["kind"], known["description"]) == ("first", "Máy chủ bị mã hóa")
    assert known["reporter"] == str(province.health.unit.name)
    body = {"addressees": ["Cục A05", "UBND"], "issuer": "Sở Y tế", "number": 7, "handled": False, "format": kind}
    answer = api("POST", f"/incidents/{made.pk}/report", body, **{"Idempotency-Key": "báo cáo"})
    assert answer.status_code == 200, answer.content
    assert answer.content.startswith(b"PK" if kind == "docx" else b"%PDF")
    told = Entry.objects.get(action="incident.compose_report").after
    assert (told["addressees"], told["number"], told["format"]) == (["Cục A05", "UBND"], 7, kind)
    assert not IdempotentAnswer.objects.exists()  # a file is no text to be kept


def test_what_a_report_lacks_is_said_where(province, opened):
    made, api = opened(), Api(province.health)
    answer = api("POST", f"/incidents/{made.pk}/report", {"issuer": "x" * 300})
    assert answer.status_code == 422
    assert {each["where"] for each in answer.json()["detail"]} == {"addressees", "issuer"}


def test_a_long_one_is_made_by_the_worker_and_given_to_who_asks_again(province, opened, all_long, work):
    made, api = opened(), Api(province.health)
    for _ in range(2):
        asked = api("GET", f"/incidents/{made.pk}/export/docx")
        assert (asked.status_code, asked.json()["code"]) == (202, "being_made")
    work()
    answer = api("GET", f"/incidents/{made.pk}/export/docx")
    assert b"".join(answer.streaming_content).startswith(b"PK")
    assert f'filename="{made.number}.docx"' in answer["Content-Disposition"]
    assert Entry.objects.filter(action="export.download", actor=province.health).count() == 1


def test_a_long_report_is_made_of_what_was_sent(province, opened, all_long, work):
    made, api = opened(), Api(province.health)
    body, key = {"addressees": ["Cục A05"], "issuer": "Sở Y tế", "confidential": True}, {"Idempotency-Key": "báo cáo"}
    asked = api("POST", f"/incidents/{made.pk}/report", body, **key)
    assert asked.status_code == 202, asked.content
    work()
    assert MadeFile.objects.get().state == FileState.READY, MadeFile.objects.get().reason
    answer = api("POST", f"/incidents/{made.pk}/report", body, **key)
    assert b"".join(answer.streaming_content).startswith(b"PK")
    assert Entry.objects.get(action="incident.compose_report").after["addressees"] == ["Cục A05"]
    other = api("POST", f"/incidents/{made.pk}/report", {**body, "addressees": ["UBND"]})
    assert other.status_code == 202


def test_who_lost_the_right_gets_it_no_more(province, opened, all_long, work):
    made = opened(tlp=Tlp.RED, team=[province.health])
    api = Api(province.health)
    assert api("GET", f"/incidents/{made.pk}/export/docx").status_code == 202
    work()
    MadeFile.objects.update(rights={**MadeFile.objects.get().rights, "scope": "all"})
    assert api("GET", f"/incidents/{made.pk}/export/docx").status_code == 403
    made.team.clear()
    assert api("GET", f"/incidents/{made.pk}/export/docx").status_code == 404
    assert not Entry.objects.filter(action="export.download").exists()


def test_without_pango_a_program_is_told_why_there_is_no_pdf(province, opened, monkeypatch):
    def missing():
        raise pdf.PdfError("PDF files need the Pango library", remedy="Install it.")

    monkeypatch.setattr(pdf, "_weasyprint", missing)
    answer = Api(province.health)("GET", f"/incidents/{opened().pk}/export/pdf")
    assert (answer.status_code, answer.json()["code"]) == (503, "not_made")
    assert "Pango" in answer.json()["detail"]
