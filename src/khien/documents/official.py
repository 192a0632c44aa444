"""Official documents: data in, a Word file or a PDF out.

document = Document(issuer="Tiểu ban ...", kind="Thông báo", ...)
render_docx(document), render_pdf(document)
"""

from __future__ import annotations

from khien.documents.document import (
    Annex,
    Article,
    Block,
    Bullets,
    Clause,
    Document,
    Form,
    Language,
    Paragraph,
    Run,
    Section,
    Signature,
    Table,
    Text,
    Urgency,
)
from khien.documents.layout import layout
from khien.documents.pdf import render_pdf, size_of
from khien.documents.word import render_docx

__all__ = [
    "Annex",
    "Article",
    "Block",
    "Bullets",
    "Clause",
    "Document",
    "Form",
    "Language",
    "Paragraph",
    "Run",
    "Section",
    "Signature",
    "Table",
    "Text",
    "Urgency",
    "layout",
    "render_docx",
    "render_pdf",
    "size_of",
]
