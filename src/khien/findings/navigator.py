"""Findings as a layer for the ATT&CK Navigator: a score a technique."""

from __future__ import annotations

from collections import Counter
from typing import Any, BinaryIO

import msgspec
import orjson

from khien.findings.attack import techniques
from khien.findings.finding import Finding
from khien.findings.summary import HuntSummary, Tallies

_MOST_RULES = 20


def layer(tallies: Tallies, name: str = "Khiên hunt") -> dict[str, Any]:
    """A layer of format 4.5; a technique's score is its findings, its comment the rules that found it."""
    scores: Counter[str] = Counter()
    rules: dict[str, list[str]] = {}
    for tally in tallies.ordered():
        for technique in techniques(tally.tags):
            scores[technique] += tally.count
            rules.setdefault(technique, []).append(f"{tally.title} ({tally.count})")
    return {
        "name": name,
        "versions": {"attack": "18", "navigator": "5.1.0", "layer": "4.5"},
        "domain": "enterprise-attack",
        "description": "Techniques found by Sigma rules; the score counts findings",
        "sorting": 3,
        "hideDisabled": False,
        "techniques": [
            {
                "techniqueID": technique,
                "score": score,
                "enabled": True,
                "comment": "; ".join(rules[technique][:_MOST_RULES]),
                "showSubtechniques": "." not in technique,
            }
            for technique, score in sorted(scores.items())
        ],
        "gradient": {
            "colors": ["#fff2cc", "#d9480f", "#b42318"],
            "minValue": 0,
            "maxValue": max(scores.values(), default=1),
        },
    }


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
