from __future__ import annotations

import pytest

from khien.errors import RuleError
from khien.rules.condition import parse_condition
from khien.rules.model import And, Named, Node, Not, Null, Or

A, B, C = (Named(name, Null(name)) for name in ("sel_a", "sel_b", "other"))
ITEMS: dict[str, Node] = {"sel_a": A, "sel_b": B, "other": C, "_hidden": Named("_hidden", Null("h"))}


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("sel_a", A),
        ("not sel_a", Not(A)),
        ("not not sel_a", A),
        ("sel_a and sel_b or other", Or((And((A, B)), C))),
        ("sel_a and (sel_b or other)", And((A, Or((B, C))))),
        ("sel_a or sel_b and not other", Or((A, And((B, Not(C)))))),
        ("1 of sel_*", Or((A, B))),
        ("any of sel_*", Or((A, B))),
        ("all of sel_*", And((A, B))),
        ("all of them", And((A, B, C))),
        ("1 of them", Or((A, B, C))),
        ("1 of _*", ITEMS["_hidden"]),
        ("2 of them", Or((And((A, B)), And((A, C)), And((B, C))))),
        ("not 1 of sel_*", Not(Or((A, B)))),
        ("SEL_A".lower() + " AND sel_b", And((A, B))),
    ],
)
def test_a_condition_has_the_tree_that_the_specification_gives_it(text: str, tree: Node) -> None:
    assert parse_condition(text, ITEMS) == tree


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "ends too early"),
        ("sel_a and", "ends too early"),
        ("(sel_a", "ends too early"),
        ("sel_a)", "not expected"),
        ("nothing", "no detection item 'nothing'"),
        ("1 of nothing*", "no detection item is called 'nothing*'"),
        ("and sel_a", "not expected"),
        ("sel_a sel_b", "'sel_b' is not expected"),
        ("9 of them", "not possible"),
        ("² of them", "no detection item '²'"),
        (f"{'9' * 5000} of them", "no detection item"),
        ("sel_a | count() > 5", "removed from Sigma"),
        ("(" * 200 + "sel_a" + ")" * 200, "too deeply"),
    ],
)
def test_a_broken_condition_says_what_is_wrong(text: str, says: str) -> None:
    with pytest.raises(RuleError) as caught:
        parse_condition(text, ITEMS)
    assert says in str(caught.value)
