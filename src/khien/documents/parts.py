"""The fixed lines around a document's body: number, place and date, recipients, rights of signature, annex headings."""

from __future__ import annotations

from khien.documents.document import Document, Signature
from khien.documents.layout import Layout
from khien.documents.measure import balanced
from khien.documents.wording import clean, lower_first, padded, roman, written_date

_REGULAR = 0.97  # how much narrower letters are that are not bold


def is_issued(document: Document) -> bool:
    """Whether it is signed or kept by an office, so that its end has to be marked; a mere print-out is not."""
    return bool(document.signature or document.archive)


def issuer_lines(document: Document, rules: Layout) -> tuple[str, str]:
    """The parent agency and the issuer in capitals, broken where a line does not hold them."""
    room = rules.page.issuer_column - 2
    parent, issuer = (rules.text[name].size(document.large) for name in ("parent", "issuer"))
    return (
        balanced(clean(document.parent.upper()), parent * _REGULAR, room),
        balanced(clean(document.issuer.upper()), issuer, room),
    )


def abstract_lines(document: Document, rules: Layout) -> str:
    """What the document is about, in two lines of about the same width where one does not hold it."""
    size = rules.text["abstract"].size(document.large)
    return balanced(clean(document.abstract), size, rules.page.text_width)


def subject_lines(document: Document, rules: Layout) -> str:
    """ "V/v ..." of a letter."""
    subject = rules.word("subject", document.language).format(subject=lower_first(document.abstract))
    size = rules.text["subject"].size(document.large) * _REGULAR
    return balanced(clean(subject), size, rules.page.issuer_column - 2)


def number_line(document: Document, rules: Layout) -> str:
    """ "Số: 09/TB-TBATANM", with room for a number not given yet; empty without number and sign."""
    if document.number is None and not document.sign:
        return ""
    number = rules.word("no_number", document.language) if document.number is None else padded(document.number)
    return clean(rules.word("number", document.language).format(number=number, sign=document.sign))


def place_line(document: Document) -> str:
    """ "Hà Nội, ngày 05 tháng 02 năm 2026"; empty without place and date."""
    if not document.place and document.date is None:
        return ""
    return clean(", ".join(part for part in (document.place, written_date(document.date, document.language)) if part))


def annex_note(document: Document, rules: Layout) -> str:
    """To which document an annex belongs; empty where that has no number."""
    if not document.sign:
        return ""
    blank = rules.word("no_number", document.language)
    return clean(
        rules.word("annex_note", document.language).format(
            kind=document.kind or letter_name(document.language),
            number=blank.strip() or "....." if document.number is None else padded(document.number),
            sign=document.sign,
            date=written_date(document.date, document.language),
            issuer=document.issuer,
        )
    )


def letter_name(language: str) -> str:
    """What a document without a name of its kind is called."""
    return "letter" if language == "en" else "Công văn"


def annex_heading(document: Document, rules: Layout, position: int) -> str:
    """ "Phụ lục" alone, or with a Roman number where there are two or more."""
    word = rules.word("annex", document.language)
    return word if len(document.annexes) < 2 else f"{word} {roman(position + 1)}"


def recipient_lines(document: Document, rules: Layout) -> list[str]:
    """ "- Như Điều 3;" ... and at the end who keeps a copy."""
    lines = [f"- {clean(each).rstrip(' ;.')};" for each in document.recipients]
    if document.archive:
        lines.append(rules.word("archive", document.language).format(archive=clean(document.archive).rstrip(" .")))
    elif lines:
        lines[-1] = lines[-1].rstrip(";") + "."
    return lines


def signature_lines(signature: Signature) -> list[str]:
    """The rights by which one signs, and the position, from top to bottom."""
    lines = [f"{form} {clean(whose)}" for form, whose in signature.rights]
    return [*lines, signature.position] if signature.position else lines
