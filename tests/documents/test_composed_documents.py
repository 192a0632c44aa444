"""Documents composed from plain data carry every field of their form."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from io import BytesIO

import docx
import pytest
from docx.oxml.ns import qn

from khien.documents.directives import DirectiveText, directive_decision, directive_letter
from khien.documents.document import Document, Form, Signature, Urgency
from khien.documents.incident_reports import AffectedSystem, ClosingReport, FirstNotice, closing_report, first_notice
from khien.documents.office import Office
from khien.documents.official import render_docx, render_pdf
from khien.documents.sessions import AgendaItem, Assignment, Conclusion, SessionRecord, conclusion_notice, minutes

AT = datetime(2026, 11, 24, 2, 41, tzinfo=UTC)
OFFICE = Office(
    parent="Ủy ban nhân dân tỉnh Mẫu",
    issuer="Tiểu ban An toàn, An ninh mạng",
    code="TBATANM",
    unit_code="TGV",
    place="Mẫu Thành",
    signature=Signature("Trưởng Tiểu ban", "Nguyễn Văn Mẫu", [(Form.ON_BEHALF, "Tiểu ban")]),
    recipients=["Như trên"],
    archive="VT, TGV",
)
SYSTEM = AffectedSystem(
    name="Cổng thông tin",
    level=3,
    owner="Sở Y tế",
    operator="Trung tâm",
    providers="Viễn thông Mẫu",
    os_version="Linux 6.1",
    services="Web",
    safeguards="Tường lửa",
    addresses="203.0.113.5",
    domains="example.vn",
    purpose="Cung cấp thông tin",
)
SESSION = SessionRecord(
    name="phiên họp lần thứ 3 năm 2026",
    began_at=AT,
    ended_at=AT,
    place="Hội trường A",
    chair="Nguyễn Văn Mẫu, Trưởng Tiểu ban",
    secretary="Trần Thị Mẫu, Tổ giúp việc",
    present=["Nguyễn Văn Mẫu", "Lê Mẫu"],
    absent=["Phạm Mẫu (có lý do)"],
    agenda=[AgendaItem(title="Tình hình", presenter="Cơ quan thường trực", discussion="Thống nhất.")],
    conclusions=[
        Conclusion(
            title="Rà soát",
            text="Các đơn vị rà soát.",
            assignments=[Assignment(unit="Sở Y tế", text="Thu hồi", due=date(2026, 12, 5))],
        )
    ],
)
DIRECTIVE = DirectiveText(
    title="Khắc phục lỗ hổng",
    bases=["Căn cứ Nghị định số 331/2026/NĐ-CP"],
    text="Yêu cầu:",
    points=["Vá lỗ hổng.", "Đổi mật khẩu."],
    assignments=SESSION.conclusions[0].assignments,
    urgency=Urgency.URGENT,
)


def _text(document: Document) -> str:
    body = docx.Document(BytesIO(render_docx(document))).element.body
    return "\n".join("".join(t.text or "" for t in p.iter(qn("w:t"))) for p in body.iter(qn("w:p")))


def _has(document: Document, *parts: str) -> None:
    text = _text(document)
    assert [part for part in parts if part not in text] == []


def test_a_first_notice_has_every_field_of_the_form() -> None:
    facts = FirstNotice(
        incident="SC-2026-0007",
        reporter="Cơ quan thường trực",
        contact="0900 000 000",
        systems=[SYSTEM],
        description="Trang chủ bị thay.",
        detected_at=AT,
        how_detected="Cảnh báo",
        handled=True,
        measures="Cô lập",
        already_told="Công an tỉnh",
        attachments=["CC-01"],
        confidential=False,
        support_wanted="Điều tra",
        reported_at=AT,
    )
    document = first_notice(OFFICE, facts, ["Công an tỉnh"], number=3, day=date(2026, 11, 24), marking="TLP:AMBER")
    _has(
        document,
        *(
            "Số: 03/BC-TBATANM",
            "BÁO CÁO",
            "SC-2026-0007",
            "Kính gửi: Công an tỉnh",
            "Cơ quan thường trực",
            "0900 000 000",
        ),
        *("Cổng thông tin", "3", "Sở Y tế", "Trung tâm", "Viễn thông Mẫu", "Linux 6.1", "Web", "Tường lửa"),
        *("203.0.113.5", "example.vn", "Cung cấp thông tin", "Trang chủ bị thay.", "09 giờ 41 phút, ngày 24/11/2026"),
        *("Cảnh báo", "Cô lập", "CC-01", "Điều tra", "TM. TIỂU BAN"),
    )
    assert document.marking == "TLP:AMBER"


def test_a_first_notice_can_go_out_before_all_is_known() -> None:
    facts = FirstNotice(incident="SC-1", reporter="A", contact="", systems=[], description="", detected_at=AT)
    assert _text(first_notice(OFFICE, facts, [])).count("Chưa xác định") > 5


def test_a_breach_of_personal_data_has_a_notice_of_its_own() -> None:
    facts = FirstNotice(
        incident="SC-1", reporter="A", contact="", systems=[], description="", detected_at=AT, personal_data=True
    )
    _has(first_notice(OFFICE, facts, []), "dữ liệu cá nhân")


def test_a_closing_report_has_cause_effect_result_and_lessons() -> None:
    facts = ClosingReport(
        incident="SC-2026-0007",
        systems=[SYSTEM, replace(SYSTEM, name="Hệ thống B")],
        detected_at=AT,
        closed_at=AT,
        description="Mô tả.",
        cause="Lỗ hổng",
        effect="Gián đoạn",
        result="Khôi phục",
        lessons="Vá định kỳ",
        timeline=[(AT, "Phát hiện")],
        attachments=["CC-01 log.zip"],
    )
    _has(
        closing_report(OFFICE, facts, ["Công an tỉnh"]),
        *("1. Cổng thông tin", "2. Hệ thống B", "Mô tả.", "Phát hiện", "1. Nguyên nhân. Lỗ hổng", "Gián đoạn"),
        *("Khôi phục", "Vá định kỳ", "CC-01 log.zip"),
    )


def test_the_notice_of_conclusions_gives_each_unit_its_work_and_time() -> None:
    _has(
        conclusion_notice(OFFICE, SESSION, number=9, day=date(2026, 11, 25)),
        *("Số: 09/TB-TBATANM", "THÔNG BÁO", "Kết luận phiên họp lần thứ 3 năm 2026", "1. Rà soát. Các đơn vị rà soát."),
        *("Sở Y tế", "Thu hồi", "05/12/2026"),
    )


def test_minutes_are_signed_by_secretary_and_chair() -> None:
    document = minutes(OFFICE, SESSION)
    _has(document, "BIÊN BẢN", "1. Có mặt: 02", "2. Vắng mặt: 01", "- Lê Mẫu", "Tình hình (Cơ quan thường trực)")
    tables = docx.Document(BytesIO(render_docx(document))).tables
    secretary, chair = (cell.text.split("\n") for cell in tables[-2].rows[0].cells)
    assert (secretary[0], secretary[-1]) == ("THƯ KÝ", "Trần Thị Mẫu")
    assert (chair[0], chair[-1]) == ("CHỦ TRÌ", "Nguyễn Văn Mẫu")


def test_a_directive_goes_out_as_letter_or_decision() -> None:
    letter = directive_letter(OFFICE, DIRECTIVE, number=3, day=date(2026, 3, 5))
    _has(
        letter,
        "Số: 03/TBATANM-TGV",
        "V/v khắc phục lỗ hổng",
        "KHẨN",
        "Kính gửi: Sở Y tế",
        "1. Vá lỗ hổng.",
        "05/12/2026",
    )
    decision = directive_decision(OFFICE, DIRECTIVE, number=4, day=date(2026, 3, 5))
    _has(decision, "QUYẾT ĐỊNH", "Về việc khắc phục lỗ hổng", "Điều 1. Yêu cầu:", "Điều 3. ", "Số: 04/QĐ-TBATANM")


@pytest.mark.parametrize("compose", [minutes, conclusion_notice])
def test_documents_of_a_session_in_english(compose) -> None:
    text = _text(compose(replace(OFFICE, language="en"), SESSION))
    assert "SOCIALIST REPUBLIC OF VIET NAM" in text
    assert render_pdf(compose(replace(OFFICE, language="en"), SESSION)).startswith(b"%PDF")
