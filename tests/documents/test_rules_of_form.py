"""Rules of form are data, checked when read; numbers, dates and letters follow the official way of writing."""

from __future__ import annotations

from copy import deepcopy
from datetime import UTC, date, datetime
from importlib.resources import files
from typing import Any

import pytest
import yaml

from khien.documents.layout import LayoutError, layout, read_layout
from khien.documents.measure import balanced, rule_width, text_width
from khien.documents.wording import clean, letter, padded, plain_name, roman, written_date, written_moment


@pytest.fixture
def raw() -> dict[str, Any]:
    return yaml.safe_load((files("khien.documents") / "data" / "decree30.yml").read_text("utf-8"))


@pytest.mark.parametrize("family", ["decree30", "party"])
def test_a_family_says_where_it_comes_from_and_since_when(family: str) -> None:
    rules = layout(family)
    assert rules.family == family
    assert rules.ruleset
    assert rules.source
    assert rules.effective_from < date(2026, 1, 1)


@pytest.mark.parametrize("family", ["nothing", "../data/decree30", ""])
def test_an_unknown_family_is_told(family: str) -> None:
    with pytest.raises(LayoutError):
        layout(family)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("page", "left", "use"), 29),
        (("page", "top", "use"), 26),
        (("body", "spacing", "use"), 2),
        (("body", "after", "use"), 5),
        (("body", "first_line", "use"), 11),
        (("text", "motto", "size"), [12, 14]),
        (("rules", "issuer", "use"), 0.6),
        (("text", "body"), None),
    ],
)
def test_a_choice_that_breaks_its_rule_is_refused(raw: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    broken = deepcopy(raw)
    place = broken
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = value
    with pytest.raises(LayoutError):
        read_layout(broken, "here.yml")


def test_numbers_under_ten_are_padded() -> None:
    assert [padded(number) for number in (1, 9, 10, 123)] == ["01", "09", "10", "123"]


@pytest.mark.parametrize(
    ("day", "written"),
    [
        (date(2026, 2, 5), "ngày 05 tháng 02 năm 2026"),
        (date(2026, 1, 31), "ngày 31 tháng 01 năm 2026"),
        (date(2026, 3, 9), "ngày 09 tháng 3 năm 2026"),
        (date(2026, 9, 10), "ngày 10 tháng 9 năm 2026"),
        (date(2026, 12, 1), "ngày 01 tháng 12 năm 2026"),
    ],
)
def test_days_under_ten_and_the_months_1_and_2_alone_are_padded(day: date, written: str) -> None:
    assert written_date(day) == written


def test_times_are_those_of_the_country() -> None:
    assert written_moment(datetime(2026, 11, 24, 2, 41, tzinfo=UTC)) == "09 giờ 41 phút, ngày 24/11/2026"
    assert written_moment(datetime(2026, 11, 24, 20, 5, tzinfo=UTC)) == "03 giờ 05 phút, ngày 25/11/2026"
    assert written_moment(None) == ""


def test_letters_follow_the_vietnamese_alphabet() -> None:
    assert "".join(letter(n) for n in range(23)) == "abcdđeghiklmnopqrstuvxy"
    assert letter(23) == "aa"


def test_roman_numbers() -> None:
    assert [roman(n) for n in (1, 4, 9, 14, 40, 1999)] == ["I", "IV", "IX", "XIV", "XL", "MCMXCIX"]


@pytest.mark.parametrize(
    "name", ["TS. Nguyễn Văn Mẫu", "GS.TS Nguyễn Văn Mẫu", "PGS. TS. Nguyễn Văn Mẫu", "ThS Nguyễn Văn Mẫu"]
)
def test_academic_titles_are_left_out(name: str) -> None:
    assert plain_name(name) == "Nguyễn Văn Mẫu"


def test_names_that_look_like_titles_stay() -> None:
    assert plain_name("Tsering Mẫu") == "Tsering Mẫu"
    assert plain_name("Đại tá Lê Mẫu") == "Đại tá Lê Mẫu"


def test_what_no_document_can_hold_is_replaced() -> None:
    assert clean("a\x00b\u202ec\r\nd\ud800") == "a\ufffdb\ufffdc\nd\ufffd"


def test_widths_are_those_of_bold_times() -> None:
    assert text_width("CỘNG HÒA XÃ HỘI CHỦ NGHĨA VIỆT NAM", 12) == pytest.approx(88.3, abs=0.1)
    assert text_width("ƯỚC", 10) == pytest.approx((796 + 778 + 722) / 100 * 25.4 / 72, abs=0.01)
    assert text_width("a\naaa", 10) == text_width("aaa", 10)
    assert rule_width("W" * 100, 14, 0.4, 100) == 40


def test_text_is_broken_into_two_like_lines_only_where_it_has_to() -> None:
    assert balanced("TIỂU BAN", 13, 60) == "TIỂU BAN"
    assert balanced("TIỂU BAN AN TOÀN, AN NINH MẠNG", 13, 60) == "TIỂU BAN AN TOÀN,\nAN NINH MẠNG"
    assert balanced("a\nb", 13, 1) == "a\nb"
