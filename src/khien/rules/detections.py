"""The `detection` part of a rule: named items, and the condition over them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from khien.errors import RuleError
from khien.events.logsource import LogSource
from khien.rules.condition import parse_condition
from khien.rules.model import And, Named, Node, Or
from khien.rules.modifiers import Key, item_node, join, scalar_text
from khien.rules.patterns import Placeholders

_NOT_ITEMS = frozenset({"condition", "timeframe"})


def detection_conditions(detection: Any, placeholders: Placeholders) -> tuple[Node, ...]:
    """The condition trees of a detection (more than one where the condition is a list)."""
    if not isinstance(detection, dict):
        raise RuleError("'detection' is not a map")
    if "timeframe" in detection:
        raise RuleError("'timeframe' was removed from Sigma", remedy="Write a correlation rule with a timespan")
    condition = detection.get("condition")
    listed: list[Any] = condition if isinstance(condition, list) else [condition]
    if not listed or not all(isinstance(text, str) and text.strip() for text in listed):
        raise RuleError("'detection' has no condition")
    items = named_items(detection, placeholders)
    return tuple(parse_condition(text, items) for text in listed)


def log_source(value: Any) -> LogSource:
    """A rule's log source. Raises RuleError where it is no map or empty."""
    if not isinstance(value, Mapping):
        raise RuleError("has no 'logsource'")
    parts = {}
    for key in ("product", "category", "service"):
        part = value.get(key)
        if part is not None and not isinstance(part, str):
            raise RuleError(f"the {key} of 'logsource' is not a text")
        parts[key] = (part or "").lower()
    if not any(parts.values()):
        raise RuleError("'logsource' names neither product nor category nor service")
    return LogSource(**parts)


def named_items(detection: dict[Any, Any], placeholders: Placeholders) -> dict[str, Node]:
    """The detection items by name; each error names the item it stands in."""
    items: dict[str, Node] = {}
    for name, body in detection.items():
        if name in _NOT_ITEMS:
            continue
        try:
            items[str(name)] = Named(str(name), _body_node(body, placeholders))
        except RuleError as error:
            raise RuleError(f"{error.what} (in '{name}')", error.where, error.remedy) from error
    if not items:
        raise RuleError("'detection' has no detection items")
    return items


def _name(key: Any) -> str:
    return key if isinstance(key, str) else scalar_text(key)


def _body_node(body: Any, placeholders: Placeholders) -> Node:
    if isinstance(body, dict):
        if not body:
            raise RuleError("an empty map matches nothing")
        if None in body:
            raise RuleError("a field has no name")
        nodes = [item_node(Key.parse(_name(key)), values, placeholders) for key, values in body.items()]
        return join(And, nodes)
    if isinstance(body, list):
        if not body:
            raise RuleError("an empty list matches nothing")
        return join(Or, [_body_node(item, placeholders) for item in body])
    return item_node(Key("", ()), body, placeholders)
