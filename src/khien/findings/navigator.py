"""Findings as a layer for the ATT&CK Navigator: a score a technique."""

from __future__ import annotations

from collections import Counter
from typing import Any, BinaryIO

import msgspec
import orjson

from khien.findings.attack import VERSION, placed
from khien.findings.finding import LEVELS, Finding
from khien.findings.summary import HuntSummary, RuleTally, Tallies

_MOST_RULES = 20
Cell = tuple[str, str]  # (technique, tactic; "" for every tactic that the technique serves)


def layer(tallies: Tallies, name: str = "Khiên hunt") -> dict[str, Any]:
    """A layer of format 4.5; a technique's score is its findings, its comment the rules that found it."""
    scores: Counter[Cell] = Counter()
    rules: dict[Cell, list[RuleTally]] = {}
    for tally in tallies.ordered():
        for technique, tactics in placed(tally.tags):
            for tactic in tactics or [""]:
                scores[technique, tactic] += tally.count
                rules.setdefault((technique, tactic), []).append(tally)
    entries = [_entry(cell, scores[cell], rules[cell]) for cell in scores]
    entries.sort(key=lambda entry: (entry["techniqueID"], entry.get("tactic", "")))
    return {
        "name": name,
        "versions": {"attack": VERSION, "navigator": "5.2.0", "layer": "4.5"},
        "domain": "enterprise-attack",
        "description": "Techniques found by Sigma rules; the score counts findings",
        "sorting": 3,
        # "annotated" opens those parents under which a sub-technique has a score.
        "layout": {"layout": "side", "showID": True, "showName": True, "expandedSubtechniques": "annotated"},
        "hideDisabled": False,
        "techniques": entries,
        "gradient": {
            "colors": ["#fff2cc", "#d9480f", "#b42318"],
            "minValue": 0,
            "maxValue": max(scores.values(), default=1),
        },
        "legendItems": [],
        "selectTechniquesAcrossTactics": True,
        "selectSubtechniquesWithParent": False,
    }


def _entry(cell: Cell, score: int, rules: list[RuleTally]) -> dict[str, Any]:
    technique, tactic = cell
    more = f"; and {len(rules) - _MOST_RULES} more rules" if len(rules) > _MOST_RULES else ""
    entry = {
        "techniqueID": technique,
        "tactic": tactic,
        "score": score,
        "comment": "; ".join(f"{tally.title} ({tally.count})" for tally in rules[:_MOST_RULES]) + more,
        "metadata": [{"name": "highest level", "value": max((tally.level for tally in rules), key=LEVELS.index)}],
        "enabled": True,
        "showSubtechniques": "." not in technique,
    }
    if not tactic:
        del entry["tactic"]
    return entry


class NavigatorWriter:
    """One layer, written at the end."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._tallies = Tallies()
        self._decode = msgspec.json.Decoder(Finding).decode

    def write_line(self, line: bytes) -> None:
        """Count a finding given as NDJSON."""
        self._tallies.add(self._decode(line))

    def close(self, summary: HuntSummary) -> None:
        """Write the layer."""
        self._stream.write(orjson.dumps(layer(self._tallies), option=orjson.OPT_INDENT_2) + b"\n")
