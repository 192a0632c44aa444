"""Judges one detection on one event by the engine itself, and holds `explain` to the same verdict."""

from __future__ import annotations

from typing import Any

import yaml

from khien.engine.detector import Detector
from khien.events.logsource import LogSource
from khien.events.mapping import Classifier, event_text
from khien.events.records import RecordBlock
from khien.hunt.explanation import explain_event
from khien.rules.collection import load_sources
from khien.rules.model import RuleSet, Unusable

SOURCE = {"product": "test", "category": "made"}
LOG_SOURCE = LogSource("test", "made", "")


def rule_yaml(detection: Any, **more: Any) -> bytes:
    """A rule document with this detection."""
    body = {"title": "made", "id": "made", "logsource": SOURCE, "detection": detection, **more}
    return yaml.safe_dump(body, allow_unicode=True, sort_keys=False).encode()


def loaded(detection: Any, placeholders: dict[str, list[Any]] | None = None) -> RuleSet:
    """The rule set of this one detection."""
    return load_sources([("made.yml", rule_yaml(detection))], placeholders or {})


def refusal(detection: Any) -> str:
    """Why a rule with this detection cannot be used; fails where it can."""
    rules = loaded(detection)
    assert not rules.rules, "the rule is usable"
    (unusable,) = rules.unusable
    assert isinstance(unusable, Unusable)
    assert unusable.path == "made.yml"
    return unusable.reason


def matches(detection: Any, event: dict[str, Any], placeholders: dict[str, list[Any]] | None = None) -> bool:
    """Whether a rule with this detection matches the event."""
    rules = loaded(detection, placeholders)
    assert not rules.unusable, rules.unusable
    detector = Detector(rules)
    block = RecordBlock("json", [1], [{**event, "logsource": SOURCE}])
    found = False
    for batch in Classifier([]).batches(block, "made", detector):
        if batch.texts is not None:
            batch.texts = [event_text(event)]
        found = bool(detector.detect(batch))
        explained = explain_event(rules.rules[0], batch.kind, batch.event(0), event_text(event))
        assert explained.matches == found, "explain says otherwise"
    return found


def selects(item: Any, event: dict[str, Any], placeholders: dict[str, list[Any]] | None = None) -> bool:
    """Whether one detection item selects the event."""
    return matches({"selection": item, "condition": "selection"}, event, placeholders)
