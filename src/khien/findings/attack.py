"""ATT&CK tactics and techniques in Sigma tags."""

from __future__ import annotations

import re
from collections.abc import Iterable

TACTICS = {
    "reconnaissance": ("TA0043", "Reconnaissance"),
    "resource-development": ("TA0042", "Resource Development"),
    "initial-access": ("TA0001", "Initial Access"),
    "execution": ("TA0002", "Execution"),
    "persistence": ("TA0003", "Persistence"),
    "privilege-escalation": ("TA0004", "Privilege Escalation"),
    "defense-evasion": ("TA0005", "Defense Evasion"),
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
"""Tactics in the order of the matrix: name in tags to id and title (MITRE ATT&CK Enterprise)."""

_TECHNIQUE = re.compile(r"attack\.(t\d{4}(?:\.\d{3})?)\Z")


def techniques(tags: Iterable[str]) -> list[str]:
    """The technique ids in tags, such as T1059.001, each once."""
    return list(dict.fromkeys(found[1].upper() for tag in tags if (found := _TECHNIQUE.match(tag.lower()))))


def tactics(tags: Iterable[str]) -> list[str]:
    """The tactics in tags by their name in the matrix, each once."""
    names = (tag.lower().removeprefix("attack.").replace("_", "-") for tag in tags if tag.lower().startswith("attack."))
    return list(dict.fromkeys(name for name in names if name in TACTICS))
