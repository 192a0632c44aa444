"""An official document as data: what it says, not how it looks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Literal

Language = Literal["vi", "en"]


@dataclass(frozen=True, slots=True)
class Run:
    """A stretch of text in one dress."""

    text: str
    bold: bool = False
    italic: bool = False


Text = str | Sequence[Run]
"""Plain text, or runs."""


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A paragraph of the body. `plain`: without the indented first line (captions, notes)."""

    text: Text
    plain: bool = False
    centred: bool = False


@dataclass(frozen=True, slots=True)
class Clause:
    """A numbered clause, "1.", with points "a)", "b)" ... "đ)" below it. A title stands bold before the text."""

    text: Text = ""
    title: str = ""
    points: Sequence[Text] = ()
    blocks: Sequence[Block] = ()


@dataclass(frozen=True, slots=True)
class Bullets:
    """A list with dashes."""

    items: Sequence[Text]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under named columns. `widths`: relative. Without columns it is a table of names (bold) and values."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Text]]
    widths: Sequence[float] = ()


@dataclass(frozen=True, slots=True)
class Section:
    """A part with a Roman number: "I. ..."; clauses begin at 1 in each."""

    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True, slots=True)
class Article:
    """ "Điều 1." and what it says; articles are numbered through the whole document."""

    text: Text
    title: str = ""
    blocks: Sequence[Block] = ()


Block = Paragraph | Clause | Bullets | Table | Section | Article


class Urgency(StrEnum):
    """The stamp of urgency."""

    FLASH = "flash"
    MOST_URGENT = "most_urgent"
    URGENT = "urgent"


class Form(StrEnum):
    """In which right one signs: on behalf of a body, in place of the head, by order, by authority, as acting head."""

    ON_BEHALF = "TM."
    IN_PLACE = "KT."
    BY_ORDER = "TL."
    BY_AUTHORITY = "TUQ."
    ACTING = "Q."


@dataclass(frozen=True, slots=True)
class Signature:
    """Who signs. `rights`: the lines above the position, such as (TM., "Ủy ban nhân dân"), (KT., "Chủ tịch").

    For an acting head (`Q.`) leave `position` empty: the right names it.
    """

    position: str
    name: str
    rights: Sequence[tuple[Form, str]] = ()


@dataclass(frozen=True, slots=True)
class Annex:
    """What is attached, on pages of its own."""

    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """An official document.

    `number`: None leaves room for it. `sign`: what follows the number, `TB-TBATANM`. `date`: None leaves room too.
    `kind`: its name, "Thông báo"; empty for an official letter, whose `abstract` becomes its subject ("V/v ...").
    `archive`: who keeps a copy, "VT, TGV". `large`: sizes 13/14/14 instead of 12/13/13. `marking`: a mark on every
    page, such as a TLP label. `family`: the rules of form, by the name of their file. `co_signature`: signs on the
    left, as a secretary does beside the chair.
    """

    issuer: str
    parent: str = ""
    number: int | None = None
    sign: str = ""
    place: str = ""
    date: date | None = None
    kind: str = ""
    abstract: str = ""
    bases: Sequence[str] = ()
    addressees: Sequence[str] = ()
    body: Sequence[Block] = ()
    signature: Signature | None = None
    co_signature: Signature | None = None
    recipients: Sequence[str] = ()
    archive: str = ""
    urgency: Urgency | None = None
    annexes: Sequence[Annex] = ()
    family: str = "decree30"
    large: bool = True
    language: Language = "vi"
    marking: str = ""
