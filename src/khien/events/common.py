"""The common columns of events of all products, for what stores, searches and relates them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from importlib import resources
from typing import Any

import yaml

from khien.errors import MappingError
from khien.events.batch import Event, EventKind, Value, read_path
from khien.events.logsource import LogSource
from khien.events.text import value_text

COLUMNS = (
    *("time", "host", "user", "src_ip", "dst_ip", "process", "command_line", "domain", "url", "file_hash", "event_id"),
)
UNKNOWN = "other"
"""The label of events that no mapping table knows."""


@lru_cache(maxsize=1)
def common_fields() -> Mapping[str, tuple[str, ...]]:
    """Of each of COLUMNS the fields it may be in, first choice first. Raises MappingError for a broken table."""
    path = resources.files("khien.events") / "common.yml"
    return parse_common(path.read_bytes(), path.name)


def parse_common(data: bytes, path: str) -> Mapping[str, tuple[str, ...]]:
    """Read and check the table. Raises MappingError that names file and place."""
    try:
        body: Any = yaml.safe_load(data)
    except yaml.YAMLError as error:
        raise MappingError(f"not valid YAML: {error}", path) from error
    columns = body.get("columns") if isinstance(body, dict) else None
    if not isinstance(columns, dict) or set(columns) != set(COLUMNS):
        raise MappingError(f"'columns' must have exactly {', '.join(COLUMNS)}", path)
    for name, fields in columns.items():
        if not isinstance(fields, list) or not fields or not all(isinstance(each, str) and each for each in fields):
            raise MappingError("is not a list of field names", f"{path}, columns.{name}")
    return {name: tuple(columns[name]) for name in COLUMNS}


def common_text(event: Event, kind: EventKind, column: str) -> str | None:
    """The text of a common column in an event; None where it has none."""
    own = {"time": kind.time, "host": kind.host, "user": kind.user}.get(column, ())
    for name in (*own, *common_fields()[column]):
        text = _text(read_path(event, name))
        if text and text != "-":
            return text
    return None


def _text(value: Value) -> str | None:
    if isinstance(value, list):
        return next((text for text in map(_text, value) if text), None)
    return value_text(value)


def label(sources: tuple[LogSource, ...]) -> str:
    """A short name of what events are: `windows-sysmon`, `linux-auditd`; made of letters, digits, `-`, `_` and `.`."""
    services = [source for source in sources if source.product and source.service]
    named = services[-1] if services else None  # from the general (syslog) to the particular (sshd)
    named = named or next((source for source in sources if source.category), None) or next(iter(sources), None)
    if named is None:
        return UNKNOWN
    parts = [part for part in (named.product, named.service or named.category) if part]
    text = "-".join(parts).lower()
    return "".join(char if char.isascii() and (char.isalnum() or char in "-_.") else "_" for char in text) or UNKNOWN
