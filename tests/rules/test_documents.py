"""Rule files as YAML: what is read, and hostile ones that are not."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from khien.errors import RuleError, UsageError
from khien.rules.documents import parse_documents, read_sources, rule_files


def read(text: str | bytes) -> list[dict[str, Any]]:
    data = text.encode() if isinstance(text, str) else text
    return [document.body for document in parse_documents("r.yml", data)]


def test_scalars_are_read_by_the_core_schema_of_yaml_1_2() -> None:
    text = "a: yes\nb: off\nc: 010\nd: 2026-11-24\ne: 1:30\nf: 0x1F\ng: 0o17\nh: 1.5\ni: true\nj: null\nk:\nl: 1_0\nm: '7'\n"
    assert read(text) == [
        {"a": "yes", "b": "off", "c": "010", "d": "2026-11-24", "e": "1:30", "f": 31, "g": 15, "h": 1.5, "i": True}
        | {"j": None, "k": None, "l": "1_0", "m": "7"}
    ]


def test_several_documents_share_what_a_global_one_says() -> None:
    text = "action: global\nlogsource: {product: a}\n---\ntitle: x\n---\ntitle: y\nlogsource: {service: s}\n---\naction: reset\ntitle: z\n"
    assert read(text) == [
        {"logsource": {"product": "a"}, "title": "x"},
        {"logsource": {"product": "a", "service": "s"}, "title": "y"},
        {"title": "z"},
    ]


def test_anchors_and_merges_work() -> None:
    assert read("a: &x {p: 1, q: 2}\nb: {<<: *x, q: 3}\nc: *x\n") == [
        {"a": {"p": 1, "q": 2}, "b": {"p": 1, "q": 3}, "c": {"p": 1, "q": 2}}
    ]


BOMB = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{chr(c + 1)}: &{chr(c + 1)} [{','.join(['*' + chr(c)] * 10)}]\n" for c in range(97, 107)
)
LONG = f"a: &a {'x' * 100_000}\nb: [{','.join(['*a'] * 1_000)}]\n"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (BOMB, "expand to too much"),
        (LONG, "expand to too much"),
        ("a: &a [*a]\n", "expand to too much"),
        ("a: &a {b: *a}\n", "expand to too much"),
        ("a: &a {<<: *a}\n", "not valid YAML"),
        ("[" * 200_000, "too deeply"),
        ("- " * 200_000, "too deeply"),
        ("{a: " * 50_000, "too deeply"),
        ("a: 1\na: 2\n", "'a' stands twice"),
        ("d: {s: {x: 1, x: 2}}\n", "line 1, column 15"),
        ("a: [x\n", "line 2, column 1"),
        ("a: !!python/object/apply:os.system ['true']\n", "could not determine a constructor"),
        ("? [a]\n: b\n", "a key is no text"),
        ("- a\n- b\n", "document 1 is not a map"),
        ("just text\n", "document 1 is not a map"),
        ("a: *b\n", "undefined alias"),
        ("a: {<<: 5}\n", "only maps can be merged"),
        (b"a: \x00\n", "not valid YAML"),
        (b"a: \xff\xfe\n", "not valid YAML"),
        ("a: " + "9" * 5_000, "not valid YAML"),
        (b" " * (5 << 20), "larger than 4 MB"),
    ],
    ids=range(21),
)
def test_a_hostile_file_is_refused_at_once_with_the_reason(text: str | bytes, says: str) -> None:
    started = time.perf_counter()
    with pytest.raises(RuleError) as caught:
        read(text)
    assert says in str(caught.value)
    assert time.perf_counter() - started < 5


def test_all_rule_files_of_a_folder_are_found_once_and_test_files_left_alone(tmp_path: Path) -> None:
    for name in ("b.yml", "sub/a.YAML", "c.Yml", "b.tests.yml", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("title: x\n")
    (tmp_path / "same.yml").symlink_to(tmp_path / "b.yml")
    found = rule_files([tmp_path, tmp_path / "b.yml"])
    assert [file.relative_to(tmp_path).as_posix() for file in found] == ["b.yml", "c.Yml", "sub/a.YAML"]
    with pytest.raises(UsageError, match="no such rule file"):
        rule_files([tmp_path / "nowhere"])


def test_a_file_that_cannot_be_read_comes_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "gone.yml").symlink_to(tmp_path / "nowhere")
    ((path, reason),) = read_sources(rule_files([tmp_path]))
    assert path.endswith("gone.yml")
    assert isinstance(reason, FileNotFoundError)
