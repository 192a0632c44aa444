"""PDF: the same content and form, with nothing fetched from outside."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from khien.documents.layout import layout
from khien.documents.official import Annex, Document, Paragraph, Section, Signature, Table, render_pdf
from khien.documents.pdf import TooLong, annexes_html, main_html

DOCUMENT = Document(
    parent="Ủy ban nhân dân tỉnh Mẫu",
    issuer="Tiểu ban An toàn, An ninh mạng",
    number=12,
    sign="BC-TBATANM",
    place="Mẫu Thành",
    date=date(2026, 3, 15),
    kind="Báo cáo",
    abstract="Sự cố",
    body=[Section("Diễn biến", [Paragraph("Nội dung. " * 60)] * 9)],
    signature=Signature("Trưởng Tiểu ban", "Nguyễn Văn Mẫu"),
    archive="VT",
    marking="TLP:AMBER",
    annexes=[Annex("Danh sách", [Table(["TT", "Tên"], [[str(n), "x"] for n in range(60)])])],
)

needs_poppler = pytest.mark.skipif(not shutil.which("pdftotext"), reason="pdftotext (poppler-utils) is not installed")


def _pages(pdf: bytes, folder: Path) -> list[str]:
    (folder / "a.pdf").write_bytes(pdf)
    done = subprocess.run(["pdftotext", "-layout", folder / "a.pdf", "-"], capture_output=True, check=True)
    return done.stdout.decode().split("\f")[:-1]


@needs_poppler
def test_pages_are_numbered_from_the_second_and_annexes_anew(tmp_path: Path) -> None:
    pages = _pages(render_pdf(DOCUMENT), tmp_path)
    first, second, *_, annex, annex_second = pages
    assert "CỘNG HÒA XÃ HỘI CHỦ NGHĨA VIỆT NAM" in first
    assert "Số: 12/BC-TBATANM" in first
    assert "ngày 15 tháng 3 năm 2026" in first
    assert first.splitlines()[0].split() == ["TLP:AMBER"]
    assert second.splitlines()[0].split() == ["2", "TLP:AMBER"]
    assert "Phụ lục" in annex
    assert annex.splitlines()[0].split() == ["TLP:AMBER"]
    assert annex_second.splitlines()[0].split() == ["2", "TLP:AMBER"]
    assert all(page.rstrip().endswith("TLP:AMBER") for page in pages)


@needs_poppler
def test_letters_come_from_times_new_roman_or_its_twin(tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(render_pdf(DOCUMENT))
    out = subprocess.run(["pdffonts", tmp_path / "a.pdf"], capture_output=True, check=True).stdout.decode()
    fonts = {line.split()[0].partition("+")[2] for line in out.splitlines()[2:]}
    if any("DejaVu" in font for font in fonts):
        pytest.skip("no twin of Times New Roman with Vietnamese letters (fonts-croscore) is installed")
    assert {font.split("-")[0] for font in fonts} <= {"Tinos", "LiberationSerif", "TimesNewRoman", "TimesNewRomanPS"}


def test_text_cannot_become_markup_nor_fetch_anything() -> None:
    nasty = '<img src="http://192.0.2.1/x.png"><link rel=stylesheet href=file:///etc/passwd>"\'&\x00\u202e'
    document = replace(DOCUMENT, abstract=nasty, parent=nasty, body=[Paragraph(nasty), Table([nasty], [[nasty]])])
    rules = layout("decree30")
    html = main_html(document, rules) + "".join(annexes_html(document, rules))
    assert "<img" not in html.lower()
    assert "<link" not in html.lower()
    assert render_pdf(replace(document, marking='x"; } @import url(http://192.0.2.1/); \\')).startswith(b"%PDF")


def test_an_english_document_is_english(tmp_path: Path) -> None:
    html = main_html(replace(DOCUMENT, language="en", kind="Report", addressees=["A"]), layout("decree30"))
    for words in ("SOCIALIST REPUBLIC OF VIET NAM", "No. 12/BC-TBATANM", "15 March 2026", "To: A", "- Archive: VT."):
        assert words in html


@pytest.mark.parametrize(
    "body",
    [
        [Paragraph("từ " * 1_000_000)],
        [Paragraph("từ")] * 20_000,
        [Table(["a", "b", "c"], [["1", "2", "3"]] * 5_000)],
    ],
    ids=["text", "paragraphs", "cells"],
)
def test_what_would_take_minutes_is_refused_at_once(body: list[Paragraph | Table]) -> None:
    with pytest.raises(TooLong, match="too long"):
        render_pdf(replace(DOCUMENT, body=body))


def test_a_long_paragraph_is_set_whole_and_in_pieces() -> None:
    text = "".join(f"<{n}> " for n in range(1_000))
    html = main_html(replace(DOCUMENT, body=[Paragraph(text)]), layout("decree30"))
    assert re.sub("</?span>", "", html).count("&lt;") == 1_000
    assert max(map(len, re.findall(r"<span>(.*?)</span>", html))) < 3_000
