"""Correlation rules: `correlation:` documents to the model, with references resolved."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from math import isfinite
from typing import Any

from khien.errors import RuleError
from khien.rules.condition import parse_condition
from khien.rules.model import (
    And,
    Correlation,
    Named,
    Node,
    Not,
    Or,
    RefAnd,
    RefNode,
    RefNot,
    RefOr,
    RuleRef,
)
from khien.rules.modifiers import COMPARISONS

TYPES = (
    "event_count",
    "value_count",
    "temporal",
    "temporal_ordered",
    "value_sum",
    "value_avg",
    "value_percentile",
    "value_median",
)
TEMPORAL = ("temporal", "temporal_ordered")
_UNIT_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800, "M": 2592000, "y": 31536000}
_TIMESPAN = re.compile(r"([0-9]{1,9})\s*([smhdwMy])")
_LONGEST = 100 * 31536000
_OPERATORS = (*COMPARISONS, "eq", "neq")

# A rule's id or name to its id; raises RuleError where there is none or more than one.
Resolve = Callable[[str], str]


def parse_timespan(text: Any) -> float:
    """Seconds of a Sigma timespan such as 30s, 5m, 1h, 7d (a month has 30 days, a year 365)."""
    found = _TIMESPAN.fullmatch(str(text).strip())
    seconds = int(found[1]) * _UNIT_SECONDS[found[2]] if found else 0
    if not 0 < seconds <= _LONGEST:
        raise RuleError(
            f"'{str(text)[:40]}' is no timespan",
            remedy="Write a number and one of s, m, h, d, w, M, y; at most 100 years",
        )
    return float(seconds)


def correlation_body(body: Any, resolve: Resolve) -> dict[str, Any]:
    """The fields of `Correlation` that stand under `correlation:`."""
    if not isinstance(body, dict):
        raise RuleError("'correlation' is not a map")
    kind = str(body.get("type", "")).lower()
    if kind not in TYPES:
        raise RuleError(f"unknown correlation type '{kind}'", remedy=f"Known: {', '.join(TYPES)}")
    condition = body.get("condition")
    names = _strings(body.get("rules"), "rules")
    if not names and isinstance(condition, str):
        words = re.findall(r"[^\s()]+", condition)
        names = list(dict.fromkeys(word for word in words if word.lower() not in ("and", "or", "not")))
    if not names:
        raise RuleError("a correlation names its 'rules'")
    ids = {name: resolve(name) for name in names}
    generate = body.get("generate", False)
    if not isinstance(generate, bool):
        raise RuleError("'generate' wants true or false")
    out: dict[str, Any] = {
        "type": kind,
        "rules": tuple(ids[name] for name in names),
        "names": tuple(names),
        "timespan": parse_timespan(body.get("timespan", body.get("timeframe", ""))),
        "group_by": tuple(dict.fromkeys(_strings(body.get("group-by"), "group-by"))),
        "aliases": _aliases(body.get("aliases"), resolve),
        "generate": generate,
    }
    if isinstance(condition, str):
        if kind not in TEMPORAL:
            raise RuleError(f"a boolean condition has no meaning for '{kind}'")
        out["condition"] = _reference_tree(condition, ids)
    elif isinstance(condition, dict):
        out |= _bounds(condition, kind)
    elif condition is not None:
        raise RuleError("the correlation's 'condition' is neither a map nor a text")
    elif kind not in TEMPORAL:
        raise RuleError(f"'{kind}' needs a condition such as gte: 10")
    return out


def _strings(value: Any, what: str) -> list[str]:
    if value is None:
        return []
    listed = value if isinstance(value, list) else [value]
    if not all(isinstance(item, str) and item for item in listed):
        raise RuleError(f"'{what}' is not a list of names")
    return listed


def _aliases(value: Any, resolve: Resolve) -> dict[str, dict[str, str]]:
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(isinstance(fields, dict) for fields in value.values()):
        raise RuleError("'aliases' is not a map of maps", remedy="Write alias: {rule: field}")
    return {
        str(alias): {resolve(str(rule)): str(field) for rule, field in fields.items()}
        for alias, fields in value.items()
    }


def _bounds(condition: dict[Any, Any], kind: str) -> dict[str, Any]:
    bounds: list[tuple[str, float | int]] = []
    out: dict[str, Any] = {}
    for key, value in condition.items():
        if key in _OPERATORS:
            if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
                raise RuleError(f"condition '{key}' wants a number, not {str(value)[:40]!r}")
            bounds.append((str(key), value))
        elif key == "field":
            out["field"] = tuple(_strings(value, "condition field"))
        elif key == "percentile":
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 100:
                raise RuleError("'percentile' wants a number from 0 to 100")
            out["percentile"] = float(value)
        else:
            raise RuleError(f"unknown key '{key}' in the correlation's condition")
    if not bounds:
        raise RuleError("the correlation's condition compares nothing", remedy="Add e.g. gte: 10")
    fields = out.get("field", ())
    if kind.startswith("value_") and not fields:
        raise RuleError(f"'{kind}' needs a 'field' in its condition")
    if fields and not kind.startswith("value_"):
        raise RuleError(f"a 'field' in the condition has no meaning for '{kind}'")
    if len(fields) > 1 and kind != "value_count":
        raise RuleError(f"'{kind}' reads one field, not {len(fields)}")
    if "percentile" in out and kind != "value_percentile":
        raise RuleError(f"'percentile' has no meaning for '{kind}'")
    out["bounds"] = tuple(bounds)
    return out


def _reference_tree(condition: str, ids: dict[str, str]) -> RefNode:
    items: dict[str, Node] = {name: Named(rule_id, Or(())) for name, rule_id in ids.items()}
    tree = _to_references(parse_condition(condition, items))
    used = set(_references(tree))
    if unused := [name for name, rule_id in ids.items() if rule_id not in used]:
        raise RuleError(
            f"the condition does not mention rule '{unused[0]}'", remedy="Take it out of 'rules', or use it"
        )
    if _holds_of_nothing(tree):
        raise RuleError(
            "the condition is true when nothing happens", remedy="Ask for at least one rule, as in: a and not b"
        )
    return tree


def _references(node: RefNode) -> Iterator[str]:
    if isinstance(node, RuleRef):
        yield node.rule
    elif isinstance(node, RefNot):
        yield from _references(node.item)
    else:
        for item in node.items:
            yield from _references(item)


def _holds_of_nothing(node: RefNode) -> bool:
    if isinstance(node, RuleRef):
        return False
    if isinstance(node, RefNot):
        return not _holds_of_nothing(node.item)
    return (all if isinstance(node, RefAnd) else any)(map(_holds_of_nothing, node.items))


def _to_references(node: Node) -> RefNode:
    match node:
        case Named(name=name):
            return RuleRef(name)
        case And(items=items):
            return RefAnd(tuple(_to_references(item) for item in items))
        case Or(items=items):
            return RefOr(tuple(_to_references(item) for item in items))
        case Not(item=item):
            return RefNot(_to_references(item))
    raise RuleError("the correlation's condition cannot be read")


_FIGURES = {
    "event_count": ("count",),
    "value_count": ("distinct", "count"),
    "value_sum": ("sum", "count"),
    "value_avg": ("avg", "count"),
    "value_median": ("median", "count"),
    "value_percentile": ("percentile", "count"),
}


def fields_lacking(outer: Correlation, inner: Correlation) -> list[str]:
    """Fields that a correlation reads of one it refers to, and that no finding of that one has."""
    known = {*inner.group_by, *_FIGURES.get(inner.type, ("rules",))}
    names = [outer.aliases.get(name, {}).get(inner.id, name) for name in (*outer.group_by, *outer.field)]
    return [name for name in names if name not in known]


def in_order(correlations: dict[str, Correlation]) -> tuple[list[Correlation], list[Correlation]]:
    """Correlations so that each stands after those it refers to, and those that are in a cycle."""
    done: dict[str, Correlation] = {}
    left = dict(correlations)
    while left:
        ready = [c for c in left.values() if not any(rule in left for rule in c.rules)]
        if not ready:
            break
        for correlation in ready:
            done[correlation.id] = left.pop(correlation.id)
    return list(done.values()), list(left.values())
