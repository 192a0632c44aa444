"""A Word file is opened and each rule of form is looked up in it."""

from __future__ import annotations

import zipfile
from dataclasses import replace
from datetime import date
from io import BytesIO

import docx
import pytest
from docx.enum.text import WD_ALIGN_PARAGRAPH
from docx.oxml.ns import qn
from docx.shared import Pt

from khien.documents.layout import layout
from khien.documents.official import (
    Annex,
    Article,
    Bullets,
    Clause,
    Document,
    Form,
    Paragraph,
    Section,
    Signature,
    Table,
    Urgency,
    render_docx,
)

NOTICE = Document(
    parent="Ủy ban nhân dân tỉnh Mẫu",
    issuer="Tiểu ban An toàn, An ninh mạng",
    number=9,
    sign="TB-TBATANM",
    place="Mẫu Thành",
    date=date(2026, 2, 5),
    kind="Thông báo",
    abstract="Kết luận phiên họp lần thứ 3",
    bases=["Căn cứ Luật An ninh mạng.", "Căn cứ Nghị định số 331/2026/NĐ-CP;"],
    body=[
        Paragraph("Mở đầu."),
        Section("Đánh giá", [Clause("Việc thứ nhất.", points=["một", "hai", "ba", "bốn", "năm"]), Clause("Việc hai.")]),
        Section("Nhiệm vụ", [Clause("Việc ba."), Table(["TT", "Đơn vị"], [["1", "Sở Y tế"]]), Bullets(["x"])]),
        Paragraph("Yêu cầu các đơn vị thực hiện."),
    ],
    signature=Signature(
        "Phó Trưởng Tiểu ban",
        "PGS.TS Nguyễn Văn Mẫu",
        [(Form.ON_BEHALF, "Tiểu ban"), (Form.IN_PLACE, "Trưởng Tiểu ban")],
    ),
    recipients=["Như trên", "Các thành viên;"],
    archive="VT, TGV",
)


def _opened(document: Document):
    return docx.Document(BytesIO(render_docx(document)))


def _paragraphs(word):
    """Every paragraph, those in tables too, in the order they stand."""
    return [docx.text.paragraph.Paragraph(each, word) for each in word.element.body.iter(qn("w:p"))]


def _find(word, text: str):
    return next(each for each in _paragraphs(word) if each.text == text)


def _dress(paragraph):
    run = next(run for run in paragraph.runs if run.text)
    return run.font.size.pt, bool(run.bold), bool(run.italic)


def _has_rule(paragraph) -> float:
    """The length in millimetres of the rule that is the border of an empty paragraph."""
    assert paragraph.text == ""
    assert paragraph._p.pPr.find(qn("w:pBdr")) is not None
    form = paragraph.paragraph_format
    return form.left_indent.mm + form.right_indent.mm


def _next(word, paragraph):
    every = _paragraphs(word)
    return every[next(i for i, each in enumerate(every) if each._p is paragraph._p) + 1]


def test_the_page_is_a4_with_margins_and_black_times_new_roman() -> None:
    word = _opened(NOTICE)
    section = word.sections[0]
    assert (round(section.page_width.mm, 1), round(section.page_height.mm, 1)) == (210, 297)
    for margin, low, high in (
        (section.top_margin, 20, 25),
        (section.bottom_margin, 20, 25),
        (section.left_margin, 30, 35),
        (section.right_margin, 15, 20),
    ):
        assert low <= round(margin.mm, 1) <= high
    normal = word.styles["Normal"]
    assert normal.font.name == "Times New Roman"
    assert str(normal.font.color.rgb) == "000000"
    assert normal.element.rPr.rFonts.get(qn("w:eastAsia")) == "Times New Roman"
    assert all(run.font.name in (None, "Times New Roman") for each in _paragraphs(word) for run in each.runs)


def test_the_page_number_stands_in_the_middle_of_the_top_margin_but_not_on_page_1() -> None:
    section = _opened(NOTICE).sections[0]
    assert section.different_first_page_header_footer
    number = section.header.paragraphs[0]
    assert number.alignment == WD_ALIGN_PARAGRAPH.CENTER
    assert "PAGE" in number._p.xml
    assert {run.font.size.pt for run in number.runs} <= {13, 14}
    assert "PAGE" not in section.first_page_header.paragraphs[0]._p.xml
    assert section.header_distance < section.top_margin


@pytest.mark.parametrize(("large", "small_size", "size"), [(False, 12, 13), (True, 13, 14)])
def test_sizes_rise_and_fall_together(large: bool, small_size: int, size: int) -> None:
    word = _opened(replace(NOTICE, large=large))
    assert _dress(_find(word, "CỘNG HÒA XÃ HỘI CHỦ NGHĨA VIỆT NAM")) == (small_size, True, False)
    assert _dress(_find(word, "Độc lập - Tự do - Hạnh phúc")) == (size, True, False)
    assert _dress(next(p for p in _paragraphs(word) if p.text.replace("\n", " ") == "ỦY BAN NHÂN DÂN TỈNH MẪU")) == (
        *(small_size, False, False),
    )
    assert _dress(next(p for p in _paragraphs(word) if p.text.startswith("TIỂU BAN AN"))) == (small_size, True, False)
    assert _dress(_find(word, "Số: 09/TB-TBATANM")) == (13, False, False)
    assert _dress(_find(word, "Mẫu Thành, ngày 05 tháng 02 năm 2026")) == (size, False, True)
    assert _dress(_find(word, "THÔNG BÁO")) == (size, True, False)
    assert _dress(_find(word, "Kết luận phiên họp lần thứ 3")) == (size, True, False)
    assert _dress(_find(word, "Mở đầu.")) == (size, False, False)
    assert _dress(_find(word, "PHÓ TRƯỞNG TIỂU BAN")) == (size, True, False)
    assert _dress(_find(word, "Nơi nhận:")) == (12, True, True)
    assert _dress(_find(word, "- Như trên;")) == (11, False, False)


def test_rules_stand_under_motto_issuer_and_abstract() -> None:
    word = _opened(NOTICE)
    rules = layout("decree30")
    left, right = rules.page.issuer_column, rules.page.text_width - rules.page.issuer_column
    motto = right - _has_rule(_next(word, _find(word, "Độc lập - Tự do - Hạnh phúc")))
    assert 58 < motto < 63  # the motto at 14 points
    issuer = next(p for p in _paragraphs(word) if p.text.startswith("TIỂU BAN AN"))
    assert issuer.text == "TIỂU BAN AN TOÀN,\nAN NINH MẠNG"
    length = left - _has_rule(_next(word, issuer))
    assert 47 / 3 <= length <= 47 / 2  # "TIỂU BAN AN TOÀN," is 47 mm long
    abstract = rules.page.text_width - _has_rule(_next(word, _find(word, "Kết luận phiên họp lần thứ 3")))
    assert 68 / 3 <= abstract <= 68 / 2


def test_legal_bases_are_italic_and_end_with_semicolons_but_the_last() -> None:
    word = _opened(NOTICE)
    first, last = _find(word, "Căn cứ Luật An ninh mạng;"), _find(word, "Căn cứ Nghị định số 331/2026/NĐ-CP.")
    assert _dress(first) == _dress(last) == (14, False, True)


def test_the_body_is_justified_indented_spaced_and_ends_with_the_mark() -> None:
    word = _opened(NOTICE)
    form = _find(word, "Mở đầu.").paragraph_format
    assert form.alignment == WD_ALIGN_PARAGRAPH.JUSTIFY
    assert round(form.first_line_indent.mm, 1) in (10.0, 12.7)
    assert form.space_after >= Pt(6)
    assert 1.0 <= form.line_spacing <= 1.5
    assert _find(word, "Yêu cầu các đơn vị thực hiện./.")


def test_parts_are_numbered_and_points_follow_the_vietnamese_alphabet() -> None:
    texts = [each.text for each in _paragraphs(_opened(NOTICE))]
    start = texts.index("I. Đánh giá")
    assert texts[start : start + 11] == [
        *("I. Đánh giá", "1. Việc thứ nhất.", "a) một", "b) hai", "c) ba", "d) bốn", "đ) năm", "2. Việc hai."),
        *("II. Nhiệm vụ", "1. Việc ba.", "TT"),
    ]
    articles = _opened(replace(NOTICE, body=[Article("Ban hành."), Article("Hiệu lực.", "Thi hành")]))
    assert [run.bold for run in _find(articles, "Điều 1. Ban hành.").runs] == [True, False]
    assert _find(articles, "Điều 2. Thi hành. Hiệu lực./.")


def test_a_body_that_ends_with_a_table_has_the_mark_below_it() -> None:
    texts = [each.text for each in _paragraphs(_opened(replace(NOTICE, body=[Table(["a"], [["b"]])])))]
    assert "./." in texts


def test_the_signature_tells_by_what_right_and_the_name_has_no_academic_title() -> None:
    table = _opened(NOTICE).tables[-1]
    recipients, signature = (cell.text.split("\n") for cell in table.rows[0].cells)
    assert signature[:3] == ["TM. TIỂU BAN", "KT. TRƯỞNG TIỂU BAN", "PHÓ TRƯỞNG TIỂU BAN"]
    assert signature[-1] == "Nguyễn Văn Mẫu"
    assert recipients == ["Nơi nhận:", "- Như trên;", "- Các thành viên;", "- Lưu: VT, TGV."]
    name = table.rows[0].cells[1].paragraphs[-1]
    assert _dress(name) == (14, True, False)
    acting = replace(NOTICE, signature=Signature("", "Lê Mẫu", [(Form.ACTING, "Chánh Văn phòng")]))
    assert _opened(acting).tables[-1].rows[0].cells[1].text.split("\n")[0] == "Q. CHÁNH VĂN PHÒNG"


def test_a_letter_has_its_subject_under_the_number_and_says_to_whom() -> None:
    letter = replace(NOTICE, kind="", sign="TBATANM-TGV", number=12, abstract="Đôn đốc", addressees=["Sở Y tế"])
    word = _opened(letter)
    subject = _find(word, "V/v đôn đốc")
    assert subject.paragraph_format.space_before == Pt(6)
    assert _dress(subject)[0] in (12, 13)
    assert _find(word, "Số: 12/TBATANM-TGV")
    assert _find(word, "Kính gửi: Sở Y tế")
    several = _opened(replace(letter, addressees=["Sở Y tế", "Các xã"]))
    assert _find(several, "- Sở Y tế;")
    assert _find(several, "- Các xã.")


def test_annexes_have_roman_numbers_when_several_and_pages_of_their_own() -> None:
    one = _opened(replace(NOTICE, annexes=[Annex("Danh sách", [Paragraph("x")])]))
    heading = _find(one, "Phụ lục")
    assert _dress(heading) == (14, True, False)
    assert heading.alignment == WD_ALIGN_PARAGRAPH.CENTER
    assert _find(
        one, "(Kèm theo Thông báo số 09/TB-TBATANM ngày 05 tháng 02 năm 2026 của Tiểu ban An toàn, An ninh mạng)"
    )
    assert one.sections[1]._sectPr.find(qn("w:pgNumType")).get(qn("w:start")) == "1"
    assert one.sections[1].different_first_page_header_footer
    two = _opened(replace(NOTICE, annexes=[Annex("A", [Paragraph("x")]), Annex("B", [Paragraph("y")])]))
    assert _find(two, "Phụ lục I")
    assert _find(two, "Phụ lục II")


@pytest.mark.parametrize(
    ("urgency", "words", "width"),
    [(Urgency.FLASH, "HỎA TỐC", 30), (Urgency.MOST_URGENT, "THƯỢNG KHẨN", 40), (Urgency.URGENT, "KHẨN", 20)],
)
def test_the_stamp_of_urgency_is_red_and_of_its_size(urgency: Urgency, words: str, width: int) -> None:
    word = _opened(replace(NOTICE, urgency=urgency))
    stamp = _find(word, words)
    assert str(stamp.runs[0].font.color.rgb) == "FF0000"
    assert _dress(stamp)[:2] == (14, True)
    cell = stamp._p.getparent()
    assert round(int(cell.tcPr.find(qn("w:tcW")).get(qn("w:w"))) / 56.7) == width
    assert round(int(cell.getparent().trPr.find(qn("w:trHeight")).get(qn("w:val"))) / 56.7) == 8


def test_a_marking_stands_on_every_page_above_and_below() -> None:
    section = _opened(replace(NOTICE, marking="TLP:AMBER")).sections[0]
    for place in (section.header, section.first_page_header, section.footer, section.first_page_footer):
        assert "TLP:AMBER" in place.paragraphs[0].text
    assert "PAGE" in section.header.paragraphs[0]._p.xml


def test_the_party_s_form_is_a_family_of_its_own() -> None:
    word = _opened(replace(NOTICE, family="party"))
    assert _dress(_find(word, "ĐẢNG CỘNG SẢN VIỆT NAM")) == (15, True, False)
    assert _find(word, "*")
    assert _find(word, "Số 09-TB-TBATANM")
    assert not [each for each in _paragraphs(word) if "Độc lập" in each.text]


def test_hostile_text_makes_a_file_that_opens() -> None:
    nasty = "\x00\x1b[31m<w:p/>&amp;\u202egpj.exe\ud800\ufffe"
    word = _opened(replace(NOTICE, abstract=nasty, body=[Paragraph(nasty), Table([nasty], [[nasty * 200]])]))
    assert any("<w:p/>&amp;" in each.text for each in _paragraphs(word))
    assert not any(mark in each.text for each in _paragraphs(word) for mark in "\x00\x1b\u202e")


def test_elements_stand_in_the_order_the_schema_wants() -> None:
    """Word calls a file broken whose elements stand in another order."""
    orders = {
        "tblPr": ("tblStyle", "tblW", "jc", "tblLayout", "tblCellMar", "tblLook"),
        "tcPr": ("tcW", "tcBorders", "shd", "vAlign"),
        "pPr": ("pStyle", "keepNext", "widowControl", "pBdr", "tabs", "spacing", "ind", "jc", "rPr", "sectPr"),
        "sectPr": (
            "headerReference",
            "footerReference",
            "type",
            "pgSz",
            "pgMar",
            "pgNumType",
            "cols",
            "titlePg",
            "docGrid",
        ),
        "rPr": ("rFonts", "b", "i", "color", "sz", "shd"),
    }
    annexes = [Annex("A", [Paragraph("x")])]
    whole = replace(NOTICE, urgency=Urgency.URGENT, annexes=annexes, marking="TLP:RED")
    names = zipfile.ZipFile(BytesIO(render_docx(whole)))
    trees = [names.read(name) for name in names.namelist() if name.startswith("word/") and name.endswith(".xml")]
    from lxml import etree

    seen = 0
    for tree in trees:
        for kind, order in orders.items():
            for properties in etree.fromstring(tree).iter(qn(f"w:{kind}")):
                children = [etree.QName(child).localname for child in properties]
                known = [order.index(child) for child in children if child in order]
                assert known == sorted(known), (kind, children)
                seen += 1
    assert seen > 50
