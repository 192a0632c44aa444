"""Meta filters: `filter:` documents that narrow rules of others without editing them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from khien.errors import RuleError
from khien.events.logsource import LogSource
from khien.rules.detections import detection_conditions, log_source
from khien.rules.model import And, Node, Or, Rule, Unusable
from khien.rules.modifiers import join
from khien.rules.patterns import Placeholders, Values


@dataclass(frozen=True, slots=True)
class Filter:
    """A meta filter. `rules`: ids or names; None for every rule of the log source."""

    id: str
    title: str
    path: str
    logsource: LogSource
    rules: tuple[str, ...] | None
    condition: Node


def parse_filter(body: dict[str, Any], path: str, values: Values) -> Filter:
    """Read a filter document. Raises RuleError."""
    detection = body["filter"]
    if not isinstance(detection, dict):
        raise RuleError("'filter' is not a map")
    title = body.get("title")
    if not isinstance(title, str) or not title.strip():
        raise RuleError("has no 'title'")
    given = Placeholders(values)
    conditions = detection_conditions({k: v for k, v in detection.items() if k != "rules"}, given)
    if given.missing:  # a filter that has lost its values would hide nothing, or everything
        raise RuleError(
            f"placeholder {', '.join(f'%{name}%' for name in sorted(given.missing))} is not given",
            remedy="Give its values in a YAML file with --placeholders",
        )
    source = log_source(body.get("logsource"))
    return Filter(str(body.get("id") or title), title, path, source, _rules(detection), join(Or, list(conditions)))


def _rules(detection: dict[Any, Any]) -> tuple[str, ...] | None:
    named = detection.get("rules")
    if named == [] or (isinstance(named, str) and named.lower() == "any"):
        return None
    listed = named if isinstance(named, list) else [named]
    if not all(isinstance(name, str) and name for name in listed):
        raise RuleError("the filter does not say for which 'rules'", remedy="List rule ids or names, or write: any")
    return tuple(listed)


def apply_filters(
    rules: dict[str, Rule], filters: Sequence[Filter], resolve: Callable[[str], str]
) -> tuple[dict[str, Rule], list[Unusable]]:
    """AND each filter's condition to the rules it names; the second result says where one has no effect."""
    out = dict(rules)
    warnings: list[Unusable] = []
    for item in filters:
        targets: list[str] = []
        if item.rules is None:
            targets = [rule.id for rule in out.values() if item.logsource.covers(rule.logsource)]
            if not targets:
                warnings.append(_warning(item, f"no rule is for its log source {item.logsource}, so it narrows none"))
        for reference in item.rules or ():
            try:
                rule = out[resolve(reference)]
            except RuleError as error:
                warnings.append(_warning(item, error.what))
                continue
            if item.logsource.covers(rule.logsource):
                targets.append(rule.id)
            else:
                what = f"rule '{reference}' is for {rule.logsource}, which is not of the filter's {item.logsource}"
                warnings.append(_warning(item, what))
        for rule_id in dict.fromkeys(targets):
            rule = out[rule_id]
            out[rule_id] = msgspec.structs.replace(
                rule,
                conditions=tuple(join(And, [node, item.condition]) for node in rule.conditions),
                filters=(*rule.filters, item.title),
            )
    return out, warnings


def _warning(item: Filter, what: str) -> Unusable:
    return Unusable(item.path, item.id, item.title, what)
