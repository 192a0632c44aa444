"""Meta filters: `filter:` documents that narrow rules of others without editing them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from khien.errors import RuleError
from khien.events.logsource import LogSource
from khien.rules.detections import detection_conditions
from khien.rules.model import And, Node, Or, Rule, Unusable
from khien.rules.modifiers import join
from khien.rules.patterns import Placeholders


@dataclass(frozen=True, slots=True)
class Filter:
    """A meta filter. `rules`: ids or names; None for every rule of the log source."""

    id: str
    title: str
    path: str
    logsource: LogSource
    rules: tuple[str, ...] | None
    condition: Node


def parse_filter(body: dict[str, Any], path: str, placeholders: Placeholders) -> Filter:
    """Read a filter document. Raises RuleError."""
    detection = body["filter"]
    if not isinstance(detection, dict):
        raise RuleError("'filter' is not a map")
    if "rules" not in detection:
        raise RuleError("the filter does not say for which 'rules'", remedy="List rule ids or names, or write: any")
    named = detection["rules"]
    if named == "any" or named == []:
        rules = None
    else:
        listed = named if isinstance(named, list) else [named]
        rules = tuple(str(rule) for rule in listed)
    conditions = detection_conditions({k: v for k, v in detection.items() if k != "rules"}, placeholders)
    source = body.get("logsource")
    parts = {k: str((source or {}).get(k) or "").lower() for k in ("product", "category", "service")}
    title = str(body.get("title") or "")
    return Filter(str(body.get("id") or title), title, path, LogSource(**parts), rules, join(Or, list(conditions)))


def apply_filters(
    rules: dict[str, Rule], filters: Sequence[Filter], resolve: Callable[[str], str]
) -> tuple[dict[str, Rule], list[Unusable]]:
    """AND each filter's condition to the rules it names; the second result lists useless filters."""
    out = dict(rules)
    warnings: list[Unusable] = []
    for item in filters:
        targets: list[str] = []
        if item.rules is None:
            targets = [rule.id for rule in out.values() if item.logsource.covers(rule.logsource)]
        else:
            for reference in item.rules:
                try:
                    targets.append(resolve(reference))
                except RuleError as error:
                    warnings.append(Unusable(item.path, item.id, item.title, error.what))
        for rule_id in targets:
            rule = out.get(rule_id)
            if rule is None or not item.logsource.covers(rule.logsource):
                continue
            out[rule_id] = msgspec.structs.replace(
                rule,
                conditions=tuple(join(And, [node, item.condition]) for node in rule.conditions),
                filters=(*rule.filters, item.title or item.id),
            )
    return out, warnings
