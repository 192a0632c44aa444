"""ATT&CK tactics and techniques in Sigma tags (MITRE ATT&CK Enterprise)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from importlib import resources

import yaml

VERSION = "19"
"""The version of ATT&CK that ids and tactics are of: the first with Stealth and Defense Impairment."""
TACTICS = {
    "reconnaissance": ("TA0043", "Reconnaissance"),
    "resource-development": ("TA0042", "Resource Development"),
    "initial-access": ("TA0001", "Initial Access"),
    "execution": ("TA0002", "Execution"),
    "persistence": ("TA0003", "Persistence"),
    "privilege-escalation": ("TA0004", "Privilege Escalation"),
    "stealth": ("TA0005", "Stealth"),
    "defense-impairment": ("TA0112", "Defense Impairment"),
    "credential-access": ("TA0006", "Credential Access"),
    "discovery": ("TA0007", "Discovery"),
    "lateral-movement": ("TA0008", "Lateral Movement"),
    "collection": ("TA0009", "Collection"),
    "command-and-control": ("TA0011", "Command and Control"),
    "exfiltration": ("TA0010", "Exfiltration"),
    "impact": ("TA0040", "Impact"),
}
"""Tactics in the order of the matrix: name in tags to id and title."""
_FORMER = "defense-evasion"
"""Until version 18 one tactic; its techniques now stand under Stealth or Defense Impairment."""
_SUCCESSORS = ("stealth", "defense-impairment")
_TECHNIQUE = re.compile(r"attack\.(t\d{4}(?:\.\d{3})?)\Z")
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@cache
def _known() -> dict[str, tuple[str, tuple[str, ...]]]:
    text = (resources.files("khien.findings") / "attack_techniques.yml").read_text(encoding="utf-8")
    body: dict[str, list[str]] = yaml.load(text, Loader=_Loader)  # noqa: S506 - a safe loader
    return {technique: (names[0], tuple(names[1:])) for technique, names in body.items()}


def techniques(tags: Iterable[str]) -> list[str]:
    """The technique ids in tags, such as T1059.001, each once."""
    return list(dict.fromkeys(found[1].upper() for tag in tags if (found := _TECHNIQUE.match(tag.lower()))))


def technique_name(technique: str) -> str:
    """The name of a technique; a sub-technique's own name without its parent's. "" when it is not known."""
    return _known().get(technique, ("", ()))[0]


def tactics(tags: Iterable[str]) -> list[str]:
    """The tactics in tags by their name in the matrix, each once.

    The former Defense Evasion counts as the one of its successors that the rule's techniques serve, else as Stealth.
    """
    tags = list(tags)
    named: dict[str, None] = {}
    for tag in tags:
        name = tag.lower().removeprefix("attack.").replace("_", "-")
        if not tag.lower().startswith("attack."):
            continue
        if name in TACTICS:
            named[name] = None
        elif name == _FORMER:
            served = {tactic for technique in techniques(tags) for tactic in _served(technique)}
            named.update(dict.fromkeys([each for each in _SUCCESSORS if each in served] or ["stealth"]))
    return list(named)


def _served(technique: str) -> tuple[str, ...]:
    return _known().get(technique, ("", ()))[1]


def placed(tags: Iterable[str]) -> list[tuple[str, list[str]]]:
    """Each technique in tags with those tactics of the same tags that it serves.

    Sigma tags are one flat list, so which technique belongs to which tactic follows from the matrix. A technique
    that serves none of the tactics named gets all of them when the matrix does not know it, else its own.
    """
    tags = list(tags)
    named = tactics(tags)
    out = []
    for technique in techniques(tags):
        served = _served(technique)
        out.append((technique, [tactic for tactic in named if tactic in served] or list(served) or named))
    return out
