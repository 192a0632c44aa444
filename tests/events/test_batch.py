"""Reading fields of nested events."""

from __future__ import annotations

import copy
import pickle

import pytest

from khien.events.batch import MISSING, EventKind, read_path

EVENT = {
    "a.b": "whole name",
    "a": {"b": "path", "c": [{"d": 1}, {"d": 2}, {"e": 3}], "": "empty"},
    "list": [["x"], ["y"]],
    "null": None,
    "deep": {"x.y": {"z": "dotted key"}},
}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("a.b", "whole name"),
        ("a.c.d", [1, 2]),
        ("a.c.0.d", 1),
        ("a.c.9.d", MISSING),
        ("a.c.2.e", 3),
        ("a.x", MISSING),
        ("null", None),
        ("null.x", MISSING),
        ("deep.x.y.z", "dotted key"),
        ("a.c", EVENT["a"]["c"]),  # type: ignore[index]
        ("", MISSING),
        (".", MISSING),
        ("a.", "empty"),
        ("list.1", ["y"]),
        ("a.c.².d", MISSING),
        (f"a.c.{'9' * 5000}.d", MISSING),
    ],
)
def test_a_name_reads_by_itself_then_by_its_path(name: str, value: object) -> None:
    assert read_path(EVENT, name) == value


def test_missing_is_one_object_even_after_copying_and_pickling() -> None:
    assert copy.deepcopy(MISSING) is MISSING
    assert pickle.loads(pickle.dumps(MISSING)) is MISSING
    assert not MISSING


def test_a_field_without_alias_is_read_by_its_own_name() -> None:
    kind = EventKind("k", (), {"Image": ("NewProcessName", "Image")})
    assert kind.names("Image") == ("NewProcessName", "Image")
    assert kind.names("CommandLine") == ("CommandLine",)
