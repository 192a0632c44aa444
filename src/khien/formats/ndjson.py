"""The fast path for JSON lines: read of each event only what rules will look at.

Flat Windows records (one object a line with `EventID` and `Channel` at its top) are decoded
twice at most: once into the few key fields that tell the kind (mostly guessed from the last line
alike), once into the fields that rules read. No dictionary is made unless a rule matches. Every
other line goes through the general JSON reader.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import msgspec

from khien.events.batch import MISSING, Event, EventBatch, EventKind, Projection
from khien.events.mapping import Classifier
from khien.events.records import RecordBlock
from khien.formats.json_records import parse_line
from khien.formats.windows_shapes import FLAT_NAMES, flatten_flat

_WINDOWS = "windows"


class TextFinder(Protocol):
    """Finds the places of a block where the text of some keyword may stand."""

    def __call__(self, kinds: Sequence[EventKind], data: bytes) -> Sequence[int] | None:
        """Offsets into data of possible keywords of the kinds' rules; None when any line may hold one."""


class _Shape:
    """How the lines of one kind are decoded: a struct with the raw names of the wanted fields."""

    __slots__ = ("alternates", "decode", "fields", "kind", "names", "wants_text", "width")

    def __init__(self, kind: EventKind, fields: tuple[str, ...], keys: tuple[str, ...], wants_text: bool) -> None:
        self.kind = kind
        self.fields = fields
        self.wants_text = wants_text
        choices = [_raw_names(kind, name) for name in fields]
        first = [names[0] for names in choices]
        others = [(at, name) for at, names in enumerate(choices) for name in names[1:]]
        self.names = [*first, *(name for _, name in others)]
        self.alternates = [(at, len(first) + n) for n, (at, _) in enumerate(others)]
        self.width = len(first)
        self.decode = _decoder((*keys, *self.names))


def _raw_names(kind: EventKind, name: str) -> tuple[str, ...]:
    """The names a Sigma field has in flat records, first choice first."""
    found: dict[str, None] = {}
    for canonical in kind.names(name):
        found[canonical] = None
        found.update(dict.fromkeys(FLAT_NAMES.get(canonical, ())))
    return tuple(found)


def _decoder(names: Sequence[str]) -> Callable[[bytes], tuple[Any, ...]]:
    """A function from a line to the values of the named top-level fields, MISSING where it has none."""
    unique = list(dict.fromkeys(names))
    attributes = {name: f"f{at}" for at, name in enumerate(unique)}
    struct = msgspec.defstruct(
        "Line",
        [(attributes[name], Any, MISSING) for name in unique],
        rename={attributes[name]: name for name in unique},
        gc=False,
    )
    decode = msgspec.json.Decoder(struct).decode
    astuple = msgspec.structs.astuple
    if len(unique) == len(names):
        return lambda line: astuple(decode(line))
    order = [unique.index(name) for name in names]

    def reordered(line: bytes) -> tuple[Any, ...]:
        values = astuple(decode(line))
        return tuple([values[at] for at in order])

    return reordered
