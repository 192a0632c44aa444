"""The draft of an exception, and what is said of a wrong text."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from django.utils.translation import override

from console_exceptions import EVENT, WHOAMI_ID, drafted, record
from khien.console.alerts.exception_drafts import Unusable, check, choices, draft
from khien.console.alerts.exception_preview import is_silenced
from khien.console.alerts.rule_index import KnownRule, rule_index

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("folders")]


def test_the_draft_proposes_what_matched_and_the_entity(known: KnownRule, fired: Any) -> None:
    offered = choices(fired(), record(), known)
    assert [each.name for each in offered if each.chosen] == ["Image", "Computer"]
    assert offered[0].matched
    body = yaml.safe_load(draft(known, "T", [each for each in offered if each.chosen]))
    assert body["logsource"] == {"product": "windows", "category": "process_creation"}
    assert body["filter"]["rules"] == [WHOAMI_ID]
    assert body["filter"]["selection"] == {"Image": EVENT["Image"], "Computer": "SYT-PC-041"}
    assert body["filter"]["condition"] == "not selection"


@pytest.mark.parametrize(
    "value",
    [
        "a*b?c\\*d",
        "\\\\server\\share\\",
        "trailing\\",
        "'\"quoted: {yes}",
        "# no comment",
        "Đường dẫn\u2028",
        "null",
        "13",
        13,
        1.5,
        True,
        ["a", "b*"],
    ],
)
def test_a_drafted_value_silences_itself_and_nothing_near(value: Any, known: KnownRule, fired: Any) -> None:
    text = drafted(known, fired(), "Extra", Extra=value)
    found = check(text, known, rule_index())
    assert is_silenced(found, known, {**EVENT, "Extra": value}) is True
    assert is_silenced(found, known, {**EVENT, "Extra": "something else"}) is False
    assert is_silenced(found, known, EVENT) is False


@pytest.mark.parametrize(
    ("change", "message", "line"),
    [
        (("title:", "title: ["), "not valid YAML", 2),
        (("condition: not selection", "condition: not nothing"), "nothing", 0),
        ((WHOAMI_ID, "another"), "'rules' may name only", 7),
        ((f"- {WHOAMI_ID}", "[]"), "", 0),
        (("process_creation", "registry_set"), "not of the filter", 3),
        (("Image:", "Image|nonsense:"), "nonsense", 9),
        (("Image:", "User|re: '(a+)+(?=b)'\n    Image:"), "could hold up", 10),
        (("filter:", "detection:"), "Sigma filter", 0),
        (("title:", "---\ntitle: x\n---\ntitle:"), "one YAML document", 0),
    ],
)
def test_a_wrong_text_is_refused_with_the_place(
    change: tuple[str, str], message: str, line: int, known: KnownRule, fired: Any
) -> None:
    text = drafted(known, fired(), "Image")
    assert change[0] in text
    with pytest.raises(Unusable) as caught, override("en"):
        check(text.replace(*change, 1), known, rule_index())
    assert message in caught.value.problems[0].message
    if line:
        assert caught.value.problems[0].line == line


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("title:", "title: ["), "không đúng cú pháp YAML"),
        (("condition: not selection", "condition: not nothing"), "không có mục phát hiện 'nothing'"),
        (("condition: not selection", "condition: not selection)"), "')' không đúng chỗ tại ký tự"),
        (("condition: not selection", "condition: not selection and"), "kết thúc quá sớm"),
        (("process_creation", "registry_set"), "không thuộc"),
        (
            ("Image:", "Image|nonsense:"),
            "không có bộ biến đổi 'nonsense' trong 'Image|nonsense' (trong 'selection'). Có thể dùng:",
        ),
        (
            ("Image:", "User: []\n    Image:"),
            "'User' có danh sách giá trị rỗng (trong 'selection'). Hãy ghi một giá trị",
        ),
        (("Image:", "User|gt: a\n    Image:"), "'User|gt' cần một số, không phải 'a' (trong 'selection')"),
        (("Image:", "User|re: '('\n    Image:"), "có biểu thức chính quy sai"),
        (("Image:", "User|cidr: a\n    Image:"), "không có dải mạng hợp lệ"),
        (("title:", "titel:"), "thiếu 'title'"),
        (("logsource:", "source:"), "thiếu 'logsource'"),
    ],
)
def test_what_is_wrong_is_said_in_vietnamese_too(
    change: tuple[str, str], message: str, known: KnownRule, fired: Any
) -> None:
    text = drafted(known, fired(), "Image")
    assert change[0] in text
    with pytest.raises(Unusable) as caught, override("vi"):
        check(text.replace(*change, 1), known, rule_index())
    assert message in caught.value.problems[0].message


def test_a_filter_for_any_rule_and_one_that_is_too_long_are_refused(known: KnownRule, fired: Any) -> None:
    text = drafted(known, fired(), "Image")
    body = yaml.safe_load(text)
    body["filter"]["rules"] = "any"
    for wrong in (yaml.safe_dump(body), text + "#" * 70_000, "", "- 1", "a: &a [*a]", "\x00"):
        with pytest.raises(Unusable):
            check(wrong, known, rule_index())
