"""An incident leaves whole as JSON, Word and PDF, and as reports to the authorities; each time it is audited."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from datetime import timedelta
from io import BytesIO
from pathlib import Path

import docx
import pytest
from django.core.exceptions import PermissionDenied
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse
from django.utils import timezone, translation
from docx.oxml.ns import qn

from khien.console.audit.models import Entry
from khien.console.directives.models import Task
from khien.console.incidents import evidence, exports, exports_document
from khien.console.incidents.models import Incident, Tlp
from khien.console.incidents.reports import ReportFacts, report_incident
from khien.console.incidents.timeline import write_entry

DOCS = Path(__file__).resolve().parents[3] / "docs" / "documents.md"


@pytest.fixture
def whole(province, opened, an_alert, a_system, tmp_path, settings) -> Incident:
    """An incident with something of everything."""
    settings.DATA = tmp_path
    system = a_system("cong-tt", "so-y-te")
    incident = opened(
        title="Mã độc tại http://evil.example.com/x",
        description="Tải từ https://evil.example.com/a.exe",
        serious=True,
        systems=[system],
        leader=province.analyst,
        alerts=[an_alert()],
        indicators=[("domain", "evil.example.com"), ("ip", "203.0.113.9")],
        tlp="AMBER",
    )
    write_entry(province.analyst, incident.pk, kind="note", text="Đã cô lập máy <b>SYT</b>")
    evidence.add_evidence(
        province.analyst,
        incident.pk,
        [SimpleUploadedFile("auth.log", b"content")],
        description="Nhật ký",
        collected_at=timezone.now(),
        collected_where="SYT-PC-041",
        collected_by="Lê Mẫu",
    )
    Task.objects.create(
        title="Đổi mật khẩu",
        unit=province.units["so-y-te"],
        incident=incident,
        due_at=timezone.now() + timedelta(days=1),
    )
    incident.refresh_from_db()
    return incident


def _word(body: bytes) -> str:
    tree = docx.Document(BytesIO(body)).element.body
    return "\n".join("".join(t.text or "" for t in p.iter(qn("w:t"))) for p in tree.iter(qn("w:p")))


def test_the_json_is_whole_and_documented(province, whole):
    exported = exports.export_incident(province.analyst, whole.pk, "json")
    content = json.loads(exported.body)
    assert (exported.name, exported.kind) == (f"{whole.number}.json", "json")
    assert content["format"] == "khien-incident/1"
    assert content["tlp"] == "TLP:AMBER"
    assert [each["name"] for each in content["systems"]] == ["Hệ thống cong-tt"]
    assert {each["code"] for each in content["clocks"]} == set(whole.clocks.values_list("code", flat=True)) != set()
    assert any("Đã cô lập" in each["text"] for each in content["timeline"])
    assert any(each["alert"] for each in content["timeline"])
    assert content["alerts"][0]["entity"] == "SYT-PC-041"
    assert {each["defanged"] for each in content["indicators"]} == {"evil[.]example[.]com", "203[.]0[.]113[.]9"}
    assert content["tasks"][0]["title"] == "Đổi mật khẩu"
    assert content["evidence"][0]["sha256"] == whole.evidence.get().file.sha256
    assert content["evidence"][0]["custody"][0]["what"] == "uploaded"
    manual = DOCS.read_text()
    told = set(re.findall(r"`([a-z0-9_]+)`", manual))
    used = set(content) | {
        name
        for rows in content.values()
        if isinstance(rows, list)
        for row in rows
        if isinstance(row, dict)
        for name in row
    }
    assert used - told == set()


@pytest.mark.parametrize("language", ["vi", "en"])
def test_the_word_file_tells_all_in_the_reader_s_language(province, whole, language):
    with translation.override(language):
        exported = exports.export_incident(province.analyst, whole.pk, "docx")
    text = _word(exported.body)
    wanted = {
        "vi": [
            "HỒ SƠ SỰ CỐ",
            "CHỨNG CỨ",
            "DIỄN BIẾN",
            "Chuỗi lưu giữ",
            "CỘNG HÒA XÃ HỘI CHỦ NGHĨA VIỆT NAM",
            "cấp độ 3",
        ],
        "en": [
            "INCIDENT FILE",
            "EVIDENCE",
            "TIMELINE",
            "CHAIN OF CUSTODY",
            "SOCIALIST REPUBLIC OF VIET NAM",
            "level 3",
        ],
    }[language]
    wanted += [
        whole.number,
        "Đã cô lập máy <b>SYT</b>",
        "evil[.]example[.]com",
        "Đổi mật khẩu",
        whole.evidence.get().file.sha256,
    ]
    assert [each for each in wanted if each.lower() not in text.lower()] == []
    assert "http://" not in text
    assert "https://" not in text
    section = docx.Document(BytesIO(exported.body)).sections[0]
    for place in (section.header, section.first_page_header, section.footer, section.first_page_footer):
        assert "TLP:AMBER" in place.paragraphs[0].text


@pytest.mark.skipif(not shutil.which("pdftotext"), reason="pdftotext (poppler-utils) is not installed")
def test_the_pdf_is_marked_on_each_page(province, whole, tmp_path):
    exported = exports.export_incident(province.analyst, whole.pk, "pdf")
    (tmp_path / "a.pdf").write_bytes(exported.body)
    done = subprocess.run(["pdftotext", "-layout", tmp_path / "a.pdf", "-"], capture_output=True, check=True)
    pages = done.stdout.decode().split("\f")[:-1]
    assert len(pages) >= 2
    assert all(page.count("TLP:AMBER") >= 2 for page in pages)
    assert whole.number in pages[0]


def test_exports_are_audited(province, whole):
    for kind in ("json", "docx", "pdf"):
        exports.export_incident(province.analyst, whole.pk, kind)
    told = Entry.objects.filter(action="incident.export", actor=province.analyst).values_list(
        "after__format", flat=True
    )
    assert sorted(told) == ["docx", "json", "pdf"]


def test_an_empty_incident_exports_too(province, opened):
    incident = opened(description="")
    for kind in ("json", "docx", "pdf"):
        assert exports.export_incident(province.analyst, incident.pk, kind).body


def test_hostile_text_breaks_nothing(province, opened):
    nasty = "\x00\x1b<script>\u202e]]>&\ud800".replace("\x00", "").replace("\ud800", "") + "\x0b"
    incident = opened(title=nasty, description=nasty * 50)
    for kind in ("json", "docx", "pdf"):
        assert exports.export_incident(province.analyst, incident.pk, kind).body


def test_long_tables_are_shortened_in_documents_and_whole_in_json(province, whole, monkeypatch):
    monkeypatch.setattr(exports_document, "MOST_ROWS", 2)
    content = exports.incident_content(province.analyst, whole)
    assert len(content["timeline"]) > 2
    with translation.override("en"):
        document = exports_document.incident_document(content)
    timeline = next(each for each in document.body if each.title == "TIMELINE")
    assert len(timeline.blocks[0].rows) == 2
    assert timeline.blocks[1].text == f"The first 2 of {len(content['timeline'])}; the JSON export has all."


def test_one_takes_away_only_what_one_sees(province, whole, opened, an_alert):
    hidden = an_alert("xa-mau", "Chỉ xã thấy")
    hidden.incident = whole
    hidden.save()
    content = exports.incident_content(province.health, whole)
    assert "Chỉ xã thấy" not in json.dumps(content, ensure_ascii=False)
    assert "Chỉ xã thấy" in json.dumps(exports.incident_content(province.analyst, whole), ensure_ascii=False)
    with pytest.raises(Incident.DoesNotExist):
        exports.export_incident(province.commune, whole.pk, "json")
    with pytest.raises(PermissionDenied):
        exports.export_incident(province.press, whole.pk, "json")
    Incident.objects.filter(pk=whole.pk).update(tlp=Tlp.RED)
    with pytest.raises(Incident.DoesNotExist):
        exports.export_incident(province.analyst2, whole.pk, "json")


FORM = {
    "kind": "first",
    "addressees": "Công an tỉnh\nỦy ban nhân dân tỉnh",
    "issuer": "Tiểu ban An toàn, An ninh mạng",
    "parent": "Ủy ban nhân dân tỉnh Mẫu",
    "number": "7",
    "sign": "BC-TBATANM",
    "place": "Mẫu Thành",
    "day": "2026-11-24",
    "position": "Trưởng Tiểu ban",
    "signer": "Nguyễn Văn Mẫu",
    "reporter": "Cơ quan thường trực",
    "contact": "0900 000 000",
    "description": "Máy chủ nhiễm mã độc.",
    "handled": "1",
    "os_version": "Linux 6.1",
}


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("first", ["Ban đầu về sự cố", "Linux 6.1", "0900 000 000", "Hệ thống cong-tt", "Máy chủ nhiễm mã độc."]),
        ("personal_data", ["dữ liệu cá nhân", "0900 000 000"]),
        ("closing", ["Kết thúc ứng cứu", "CC-01 auth.log", "Nguyên nhân"]),
    ],
)
def test_reports_are_vietnamese_whatever_the_reader_s_language(province, whole, signed_in, kind, words):
    url = reverse("incidents:report", args=[whole.pk])
    response = signed_in(province.analyst, "en").post(url, {**FORM, "kind": kind, "format": "docx"})
    assert response.status_code == 200, response.content.decode()[:3000]
    assert response["Content-Disposition"] == f'attachment; filename="{whole.number}-{kind}.docx"'
    text = _word(response.content)
    words = [
        *words,
        "Số: 07/BC-TBATANM",
        "CỘNG HÒA XÃ HỘI",
        "- Công an tỉnh;",
        "ngày 24 tháng 11 năm 2026",
        "Nguyễn Văn Mẫu",
    ]
    assert [each for each in words if each not in text] == []
    assert Entry.objects.get(action="incident.compose_report").after["report"] == kind


def test_a_report_as_pdf(province, whole, signed_in):
    response = signed_in(province.analyst).post(reverse("incidents:report", args=[whole.pk]), {**FORM, "format": "pdf"})
    assert response["Content-Type"] == "application/pdf"
    assert response.content.startswith(b"%PDF")


def test_the_form_of_a_report_is_filled_with_what_is_known(province, whole, signed_in):
    client = signed_in(province.analyst)
    page = client.get(reverse("incidents:report", args=[whole.pk])).content.decode()
    assert "Tiểu ban An toàn, An ninh mạng" in page
    assert "analyst@example.vn" in page
    assert "Tải từ https://evil.example.com/a.exe" in page
    refused = client.post(reverse("incidents:report", args=[whole.pk]), {**FORM, "addressees": " ", "signer": "<i>"})
    assert refused.status_code == 422
    assert "&lt;i&gt;" in refused.content.decode()


def test_pages_of_exports_and_reports_are_closed_to_others(province, whole, signed_in, client):
    export = reverse("incidents:export", args=[whole.pk, "json"])
    report = reverse("incidents:report", args=[whole.pk])
    for url in (export, report):
        assert client.get(url).status_code == 302
        assert signed_in(province.commune).get(url).status_code == 404
        for role in (province.press, province.auditor, province.admin, province.telecom):
            assert signed_in(role).get(url).status_code == 403
    assert signed_in(province.chair).get(export).status_code == 200
    assert signed_in(province.chair).get(report).status_code == 403
    assert signed_in(province.analyst).get(reverse("incidents:export", args=[whole.pk, "exe"])).status_code == 404
    with pytest.raises(PermissionDenied):
        report_incident(province.chair, whole.pk, ReportFacts(kind="first", addressees=[], issuer="x"), "pdf")


def test_a_machine_without_pango_is_told_so(province, whole, signed_in, monkeypatch):
    from khien.documents import pdf

    def missing():
        raise pdf.PdfError("PDF files need the Pango library", remedy="Install it.")

    monkeypatch.setattr(pdf, "_weasyprint", missing)
    client = signed_in(province.analyst, "vi")
    for response in (
        client.get(reverse("incidents:export", args=[whole.pk, "pdf"])),
        client.post(reverse("incidents:report", args=[whole.pk]), {**FORM, "format": "pdf"}),
    ):
        assert response.status_code == 503
        assert "Máy chủ thiếu thư viện Pango" in response.content.decode()


def test_the_incident_s_page_offers_exports(province, whole, signed_in):
    page = signed_in(province.analyst).get(reverse("incidents:detail", args=[whole.pk])).content.decode()
    for kind in ("docx", "pdf", "json"):
        assert reverse("incidents:export", args=[whole.pk, kind]) in page
    assert reverse("incidents:report", args=[whole.pk]) in page
    assert reverse("incidents:evidence", args=[whole.pk]) in page
    assert "auth.log" in page


def test_an_export_makes_a_bounded_number_of_queries(province, whole, an_alert, django_assert_max_num_queries):
    for round_ in range(2):
        for number in range(10 * round_):
            alert = an_alert(title=f"alert {number}")
            alert.incident = whole
            alert.save()
            write_entry(province.analyst, whole.pk, kind="note", text=f"note {number}")
            Task.objects.create(
                title=f"task {number}", unit=province.units["so-y-te"], incident=whole, due_at=timezone.now()
            )
            evidence.hand_over(province.analyst, whole.evidence.get().pk, to="x", reason="y")
        with django_assert_max_num_queries(30):
            exports.incident_content(province.analyst2, whole)


def test_a_system_out_of_sight_is_not_named_beside_an_alert(province, opened, an_alert, a_system):
    incident = opened(alerts=[an_alert(system=a_system("moved", "xa-mau"))])
    for person, code in ((province.health, ""), (province.analyst, "moved")):
        content = json.loads(exports.export_incident(person, incident.pk, "json").body)
        assert [each["system"] for each in content["alerts"]] == [code]
