"""Numbers, dates and letters as official documents write them."""

from __future__ import annotations

import re
from datetime import date, datetime
from zoneinfo import ZoneInfo

from khien.documents.document import Language

HERE = ZoneInfo("Asia/Ho_Chi_Minh")
_ROOM = "\u00a0" * 6
_LETTERS = "abcdđeghiklmnopqrstuvxy"
_MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July"),
    *("August", "September", "October", "November", "December"),
)
# What XML cannot hold, and what would turn the direction of text around it.
_UNFIT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")
_TITLE = re.compile(r"^(?:GS|PGS|TSKH|TS|ThS|CN|KS|BS|Dr|Prof)(?:\.\s*|\s+)", re.IGNORECASE)


def clean(text: str) -> str:
    """Text that any document can hold: what cannot stand in it becomes U+FFFD."""
    return _UNFIT.sub("\ufffd", text.replace("\r\n", "\n").replace("\r", "\n"))


def padded(number: int) -> str:
    """A document's number: 9 is written 09, 12 is 12."""
    return f"{number:02d}"


def written_date(day: date | None, language: Language = "vi", year: int | None = None) -> str:
    """ "ngày 05 tháng 02 năm 2026": days under 10 and the months 1 and 2 get a zero, no others. None leaves room."""
    if language == "en":
        return f"{day.day} {_MONTHS[day.month - 1]} {day.year}" if day else f"...... {year or ''}".rstrip()
    if day is None:
        return f"ngày{_ROOM}tháng{_ROOM}năm {year or ''}".rstrip()
    month = f"{day.month:02d}" if day.month <= 2 else str(day.month)
    return f"ngày {day.day:02d} tháng {month} năm {day.year}"


def written_moment(at: datetime | None, language: Language = "vi") -> str:
    """A time to the minute on the country's clock: "09 giờ 41 phút, ngày 24/11/2026"; empty for None."""
    if at is None:
        return ""
    local = at.astimezone(HERE)
    if language == "en":
        return local.strftime("%H:%M, %d/%m/%Y")
    return f"{local:%H} giờ {local:%M} phút, ngày {local:%d/%m/%Y}"


def short_moment(at: datetime | None) -> str:
    """A time for tables: "24/11/2026 09:41"; empty for None."""
    return at.astimezone(HERE).strftime("%d/%m/%Y %H:%M") if at else ""


def short_date(day: date | None) -> str:
    """A date for tables: "24/11/2026"; empty for None."""
    return day.strftime("%d/%m/%Y") if day else ""


def roman(number: int) -> str:
    """1 to 3999 in Roman figures."""
    made = ""
    for value, figure in (
        *((1000, "M"), (900, "CM"), (500, "D"), (400, "CD"), (100, "C"), (90, "XC"), (50, "L")),
        *((40, "XL"), (10, "X"), (9, "IX"), (5, "V"), (4, "IV"), (1, "I")),
    ):
        made += figure * (number // value)
        number %= value
    return made


def letter(position: int) -> str:
    """The letter of a point, from 0, by the Vietnamese alphabet: a, b, c, d, đ, e, g ...; then aa, ab ..."""
    base = len(_LETTERS)
    return _LETTERS[position] if position < base else letter(position // base - 1) + _LETTERS[position % base]


def plain_name(name: str) -> str:
    """A signer's name without academic titles, which official documents do not carry."""
    while short := _TITLE.match(name.strip()):
        name = name.strip()[short.end() :]
    return name.strip()


def lower_first(text: str) -> str:
    """With its first letter small, as after "V/v"; abbreviations stay."""
    return text if len(text) > 1 and text[1].isupper() else text[:1].lower() + text[1:]


def basis(text: str, last: bool) -> str:
    """A legal basis: ends with ";", the last one with "."."""
    return text.rstrip(" .;") + ("." if last else ";")
