"""The manual of rules names all that a rule may say."""

from __future__ import annotations

from pathlib import Path

from khien.rules import modifiers
from khien.rules.correlations import TYPES

DOCS = Path(__file__).resolve().parents[2] / "docs"
LONG_FORMS = {"ignorecase", "multiline", "dotall"}  # pySigma's other names of i, m and s
BETWEEN = {"hour", "day", "week", "month"}  # "`minute` to `year`"


def test_every_modifier_is_in_the_manual() -> None:
    text = (DOCS / "rules.md").read_text(encoding="utf-8")
    assert {name for name in modifiers.KNOWN if f"`{name}`" not in text} <= LONG_FORMS | BETWEEN


def test_every_correlation_type_operator_and_key_is_in_the_manual() -> None:
    text = (DOCS / "correlation.md").read_text(encoding="utf-8")
    keys = ("lt", "lte", "gt", "gte", "eq", "neq", "group-by", "timespan", "percentile:", "generate: true")
    assert not [name for name in (*TYPES, *keys) if f"`{name}`" not in text]


def test_the_starter_pack_is_as_large_as_the_manual_says() -> None:
    rules = [path for path in (DOCS.parent / "rules").rglob("*.yml") if not path.name.endswith(".tests.yml")]
    assert f"`rules/` holds {len(rules)} rules" in (DOCS / "rules.md").read_text(encoding="utf-8")
