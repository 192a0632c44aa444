"""Batches of events of one kind, as the engine takes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final, Protocol

from khien._native import Column
from khien.events.logsource import LogSource


class Missing:
    """The type of MISSING: the event has no such field (unlike None, a field that is null)."""

    _one: Missing | None = None

    def __new__(cls) -> Missing:
        if cls._one is None:
            cls._one = super().__new__(cls)
        return cls._one

    def __repr__(self) -> str:
        return "MISSING"

    def __bool__(self) -> bool:
        return False

    def __reduce__(self) -> str:
        return "MISSING"


MISSING: Final = Missing()

# str | int | float | bool | None | Missing | list | dict, as JSON has them.
Value = Any
# Field name to value. Values may nest; `read_path` reads dotted names.
Event = dict[str, Value]


@dataclass(frozen=True, slots=True, eq=False)
class EventKind:
    """Events that the same rules can match: one product, one provider, one event id.

    `logsources`: every Sigma log source the events belong to (Sysmon 1 belongs to
    windows/sysmon and to windows/process_creation).
    `aliases`: Sigma field name to the names it may have in these events, tried in order. A field
    not listed is read by its own name.
    `constants`: fields whose value all events of the kind share (EventID, Channel); the engine
    evaluates tests on them once.
    `time`, `host`, `user`: field names to read these from, tried in order.
    Kinds compare and hash by identity: a classifier hands out one object a kind.
    """

    name: str
    logsources: tuple[LogSource, ...]
    aliases: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    constants: Mapping[str, Value] = field(default_factory=dict)
    time: tuple[str, ...] = ()
    host: tuple[str, ...] = ()
    user: tuple[str, ...] = ()

    def names(self, sigma_field: str) -> tuple[str, ...]:
        """The names in these events that hold the Sigma field, first choice first."""
        return self.aliases.get(sigma_field, (sigma_field,))


class Hole(Enum):
    """What a template leaves to the event: its time (RFC 3339, UTC), host, user, the input's path, the event itself."""

    TIME = "time"
    HOST = "host"
    USER = "user"
    PATH = "path"
    RECORD = "record"
    EVENT = "event"


@dataclass(frozen=True, slots=True, eq=False)
class Template:
    """JSON to be written of events that are known but for the values in it.

    `pieces`: bytes as they are, holes (RECORD once), and names of Sigma fields, whose values are put there, null
    where an event has none. `key` goes with what is written.
    """

    key: str
    pieces: tuple[bytes | Hole | str, ...]


@dataclass(frozen=True, slots=True)
class ValueScan:
    """How to tell events that no rule matches by their raw values alone.

    A signature has a number for each of `columns` (Sigma field and its memory of values), then
    `extra`, then 1 for each of `references` (pairs of Sigma fields), or 0 where the two surely differ in
    more than case. `settle` tells whether events of a signature may match; or, where nothing else decides
    about them, what is to be written of them; or how to tell by further values.
    """

    columns: tuple[tuple[str, Column], ...]
    extra: tuple[int, ...]
    references: tuple[tuple[str, str], ...]
    settle: Callable[[tuple[int, ...]], bool | Sequence[Template] | ValueScan]


class Projection(Protocol):
    """Which fields of a kind anyone will read: readers materialise those alone."""

    def fields(self, kind: EventKind) -> tuple[str, ...] | None:
        """Sigma field names to read from events of `kind`; None when no rule can match them."""

    def wants_text(self, kind: EventKind) -> bool:
        """Whether the text of whole events is needed (rules with keywords)."""


@dataclass(slots=True)
class EventBatch:
    """Events of one kind from one input, in input order.

    `rows[i]` has one value for each name of `fields`, MISSING where the event has none.
    `texts`, when the projection wants it, has the text of all values of each event, joined by
    newlines. `numbers[i]` is the record number in the file, from 1 (for EVTX the record id).
    `event(i)` gives all fields of event i as a new flat dict. `signatures`: what a reader that went by
    the kind's `ValueScan` found out about each event.
    """

    kind: EventKind
    path: str
    fields: tuple[str, ...]
    rows: Sequence[tuple[Value, ...]]
    numbers: Sequence[int]
    event: Callable[[int], Event]
    texts: Sequence[str] | None = None
    signatures: Sequence[tuple[int, ...]] | None = None


def read_path(event: Mapping[str, Value], name: str) -> Value:
    """Read a field by its whole name, or else by its dotted path through nested objects.

    A path through a list reads every element: the result is the list of what was found. Numbers in
    a path index lists (`a.0.b`).
    """
    value = event.get(name, MISSING)
    if value is not MISSING or "." not in name:
        return value
    return _descend(event, name)


def _descend(node: Value, name: str) -> Value:
    if isinstance(node, dict):
        value = node.get(name, MISSING)
        if value is not MISSING:
            return value
        cut = name.find(".")
        while cut > 0:
            child = node.get(name[:cut], MISSING)
            if child is not MISSING:
                found = _descend(child, name[cut + 1 :])
                if found is not MISSING:
                    return found
            cut = name.find(".", cut + 1)
        return MISSING
    if isinstance(node, list):
        head, _, rest = name.partition(".")
        if head.isdecimal() and len(head) < 10:
            at = int(head)
            if at >= len(node):
                return MISSING
            return _descend(node[at], rest) if rest else node[at]
        found = [value for item in node if (value := _descend(item, name)) is not MISSING]
        return found or MISSING
    return MISSING
