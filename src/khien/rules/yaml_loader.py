"""YAML as rules are written in it: safe, bounded, and by the core schema of YAML 1.2.

`yes`, `no`, `on`, `off` are texts, and so are dates, `1:30` and numbers with leading zeros. A key
that stands twice in a map is an error: the first of the two would be lost without a word.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterator
from typing import Any, ClassVar

import yaml

MOST_DEPTH = 100
MOST_NODES = 200_000
MOST_TEXT = 16 << 20
_Safe = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_DEEP = 900  # nesting that no parser has trouble with
_RESOLVERS = (
    ("null", r"~|null|Null|NULL|", "~nN"),
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?(?:0|[1-9][0-9]*)|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    (
        "float",
        r"[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        "-+.0123456789",
    ),
    ("merge", "<<", "<"),
)


class RuleLoader(_Safe):  # type: ignore[misc, valid-type]
    """PyYAML's safe loader with the core schema, unique keys and bounded merges."""

    yaml_implicit_resolvers: ClassVar[dict[str, list[tuple[str, re.Pattern[str]]]]] = {}

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Work `<<` keys in; what a map has itself comes before what is merged into it."""
        own: list[tuple[yaml.Node, yaml.Node]] = []
        merged: list[tuple[yaml.Node, yaml.Node]] = []
        for key, value in node.value:
            if key.tag != "tag:yaml.org,2002:merge":
                own.append((key, value))
                continue
            for source in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                if not isinstance(source, yaml.MappingNode):
                    raise yaml.constructor.ConstructorError(None, None, "only maps can be merged", source.start_mark)
                self.flatten_mapping(source)
                merged += source.value
                if len(merged) > MOST_NODES:
                    raise yaml.constructor.ConstructorError(None, None, "merges too much", node.start_mark)
        if merged:
            known = {key.value for key, _ in own if isinstance(key, yaml.ScalarNode)}
            for key, value in merged:
                if not isinstance(key, yaml.ScalarNode) or key.value not in known:
                    own.append((key, value))
                    known.add(key.value if isinstance(key, yaml.ScalarNode) else None)
            node.value = own

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """A map whose keys all differ."""
        self.flatten_mapping(node)
        found: dict[Hashable, Any] = {}
        for key_node, value_node in node.value:
            key = self.construct_object(key_node, deep=deep)
            if not isinstance(key, Hashable):
                raise yaml.constructor.ConstructorError(None, None, "a key is no text", key_node.start_mark)
            if key in found:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key '{key}' stands twice in a map", key_node.start_mark
                )
            found[key] = self.construct_object(value_node, deep=deep)
        return found


for _tag, _pattern, _first in _RESOLVERS:
    RuleLoader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}", re.compile(f"(?:{_pattern})\\Z"), [*_first, *([""] if _tag == "null" else [])]
    )


def _integer(loader: RuleLoader, node: yaml.ScalarNode) -> int:
    text = node.value
    return int(text[2:], 8) if text.startswith("0o") else int(text, 16 if text.startswith("0x") else 10)


def _float(loader: RuleLoader, node: yaml.ScalarNode) -> float:
    text = node.value.lower()
    return float(text.replace(".inf", "inf").replace(".nan", "nan"))


RuleLoader.add_constructor("tag:yaml.org,2002:int", _integer)
RuleLoader.add_constructor("tag:yaml.org,2002:float", _float)


def load_documents(data: bytes) -> Iterator[Any]:
    """The documents of a file. Raises yaml.YAMLError or ValueError, and does not exhaust memory or stack."""
    if _may_be_deep(data):
        _check_depth(data)
    for body in yaml.load_all(data, Loader=RuleLoader):
        _check_size(body)
        yield body


def _may_be_deep(data: bytes) -> bool:
    """Nesting needs a bracket, or a column, for each level."""
    brackets = data.count(b"[") + data.count(b"{")
    return brackets > _DEEP or max(map(len, re.split(rb"[\r\n]", data)), default=0) > _DEEP - brackets


def _check_depth(data: bytes) -> None:
    depth = 0
    for event in yaml.parse(data, Loader=RuleLoader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MOST_DEPTH:
                raise ValueError("it is nested too deeply")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _check_size(body: Any) -> None:
    """Aliases can make a small file endless: what they expand to is counted, each time it is used."""
    nodes = text = 0
    stack = [body]
    while stack:
        value = stack.pop()
        nodes += 1
        if isinstance(value, str):
            text += len(value)
        elif isinstance(value, dict):
            stack += value
            stack += value.values()
        elif isinstance(value, list | tuple | set):
            stack += value
        if nodes + len(stack) > MOST_NODES or text > MOST_TEXT:
            raise ValueError("its aliases expand to too much")
