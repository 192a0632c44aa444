"""A layer that the ATT&CK Navigator opens, format 4.5."""

from __future__ import annotations

import io
import json
import re
from typing import Any

from findings.made import finding, line, summary
from khien.findings.attack import TACTICS
from khien.findings.finding import Finding
from khien.findings.navigator import NavigatorWriter

_TOP = {
    "name": str,
    "versions": dict,
    "domain": str,
    "description": str,
    "sorting": int,
    "layout": dict,
    "hideDisabled": bool,
    "techniques": list,
    "gradient": dict,
    "legendItems": list,
    "selectTechniquesAcrossTactics": bool,
    "selectSubtechniquesWithParent": bool,
}
_TECHNIQUE = {
    "techniqueID": str,
    "tactic": str,
    "score": int,
    "comment": str,
    "enabled": bool,
    "metadata": list,
    "showSubtechniques": bool,
}


def layer(*made: Finding) -> dict[str, Any]:
    stream = io.BytesIO()
    writer = NavigatorWriter(stream)
    for each in made:
        writer.write_line(line(each))
    writer.close(summary())
    out: dict[str, Any] = json.loads(stream.getvalue())
    check(out)
    return out


def check(out: dict[str, Any]) -> None:
    """What the specification of format 4.5 asks: names, types, versions, the gradient's bounds."""
    assert {name: type(value) for name, value in out.items()} == _TOP
    assert out["domain"] == "enterprise-attack"
    assert out["versions"]["layer"] == "4.5"
    assert out["versions"]["attack"].isdigit()
    assert tuple(map(int, out["versions"]["navigator"].split("."))) >= (4, 9, 0)
    assert out["sorting"] in range(4)
    assert out["layout"]["layout"] in ("side", "flat", "mini")
    assert out["layout"]["expandedSubtechniques"] in ("none", "all", "annotated")
    assert len(out["gradient"]["colors"]) >= 2
    assert out["gradient"]["maxValue"] > out["gradient"]["minValue"]
    cells = set()
    for each in out["techniques"]:
        for name, value in each.items():
            assert type(value) is _TECHNIQUE[name], name
        assert re.fullmatch(r"T\d{4}(\.\d{3})?", each["techniqueID"])
        assert each.get("tactic", "impact") in TACTICS
        assert all(set(item) == {"name", "value"} for item in each["metadata"])
        cells.add((each["techniqueID"], each.get("tactic")))
    assert len(cells) == len(out["techniques"]), "a cell of the matrix has one entry"


def test_a_score_counts_findings_and_the_comment_names_rules() -> None:
    other = finding(rule_id="b", title="Download cradle", level="critical")
    (entry,) = layer(finding(), finding(), other)["techniques"]
    assert entry["techniqueID"] == "T1059.001"
    assert entry["tactic"] == "execution"
    assert entry["score"] == 3
    assert entry["comment"] == "Download cradle (1); Encoded command (2)"
    assert entry["metadata"] == [{"name": "highest level", "value": "critical"}]


def test_a_technique_stands_under_each_of_its_rules_tactics_that_it_serves() -> None:
    tags = ["attack.persistence", "attack.privilege-escalation", "attack.t1543.003", "attack.execution", "attack.t1059"]
    entries = layer(finding(tags=tags))["techniques"]
    assert [(entry["techniqueID"], entry["tactic"]) for entry in entries] == [
        ("T1059", "execution"),
        ("T1543.003", "persistence"),
        ("T1543.003", "privilege-escalation"),
    ]


def test_a_technique_without_a_known_tactic_is_marked_wherever_it_stands() -> None:
    (entry,) = layer(finding(tags=["attack.t9999"]))["techniques"]
    assert "tactic" not in entry


def test_the_gradient_reaches_to_the_highest_score() -> None:
    assert layer(*[finding()] * 5)["gradient"]["maxValue"] == 5


def test_no_findings_are_an_empty_layer() -> None:
    assert layer()["techniques"] == []


def test_many_rules_of_one_technique_are_cut_and_said() -> None:
    made = [finding(rule_id=f"r{number}", title=f"Rule {number}") for number in range(25)]
    (entry,) = layer(*made)["techniques"]
    assert entry["comment"].count(";") == 20
    assert entry["comment"].endswith("; and 5 more rules")
