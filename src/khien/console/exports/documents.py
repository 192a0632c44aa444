"""A document as Word or PDF: a short one at once, a long one by the worker."""

from __future__ import annotations

from khien.console.exports.models import Reason
from khien.console.exports.progress import NotMade, weigh
from khien.documents.official import Document, render_docx, render_pdf, size_of

MOST_AT_ONCE = {"pdf": 80_000, "docx": 350_000}
"""Sizes (`size_of`) that are set in about 2 s."""
MOST_IN_WORKER = 6_000_000
"""What is set as PDF in some two minutes, with less than 1 GB of memory."""


def rendered(document: Document, kind: str, title: str, address: str) -> bytes:
    """The document as `docx` or `pdf`; `title`, `address`: as `weigh` is told.

    Raises TakesLong where the worker has to make it, and PdfError.
    """
    size = size_of(document)
    weigh(title, address, long=size > MOST_AT_ONCE[kind])
    if size > MOST_IN_WORKER:
        raise NotMade(Reason.TOO_LARGE)
    return render_pdf(document, most=MOST_IN_WORKER) if kind == "pdf" else render_docx(document)
