"""The entities a finding is about: hosts, users, addresses, domains, file hashes, processes.

Which fields name them, and which values name nobody in particular, is data: `entities.yml` beside this module.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache, lru_cache
from importlib import resources
from ipaddress import ip_address

import msgspec
import yaml

from khien.alerts.normal_forms import NORMAL_FORMS, Noise, url_host
from khien.errors import KhienError
from khien.events.batch import Event, Value

MOST_ENTITIES = 50
"""Entities taken from one finding."""
_MOST_LEAVES = 2_000
_DEEPEST = 8
_LONGEST = 2_000
_MOST_REMEMBERED = 50_000
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
KINDS = ("host", "user", "ip", "domain", "hash", "process")


_LOCAL = frozenset(("host", "user", "process"))


class EntityTableError(KhienError):
    """The table of entity fields is not valid."""


class Entity(msgspec.Struct, frozen=True, order=True, array_like=True):
    """Somebody or something a finding is about. `kind` is one of `KINDS`, `value` its normal form."""

    kind: str
    value: str

    @property
    def is_local(self) -> bool:
        """Whether the name means something within one unit only: hosts, users, processes and private addresses."""
        return self.kind in _LOCAL or (self.kind == "ip" and _is_private(self.value))


class EntityTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The table as it is written: kinds in the order in which one is the main entity, fields, and noise."""

    main: list[str]
    fields: dict[str, list[str]]
    noise: dict[str, list[str]]


class Extractor:
    """Reads entities from findings by a table. `Extractor.load()` gives the one with the packaged table."""

    def __init__(self, table: EntityTable) -> None:
        if sorted(table.main) != sorted(KINDS):
            raise EntityTableError(f"`main` has to list {', '.join(KINDS)}, each once", "entities.yml")
        unknown = [kind for kind in table.fields if kind not in (*KINDS, "url")]
        if unknown:
            raise EntityTableError(f"`fields` has an unknown kind {unknown[0]!r}", "entities.yml")
        self._main = {kind: place for place, kind in enumerate(table.main)}
        self._fields: dict[str, tuple[str, int]] = {}
        for kind, names in table.fields.items():
            for place, name in enumerate(names):
                if self._fields.setdefault(name.lower(), (kind, place))[0] != kind:
                    raise EntityTableError(f"the field {name!r} stands under two kinds", "entities.yml")
        self._noise = Noise.of(table.noise)
        self._places: dict[str, tuple[str, int] | None] = {}
        self._known: dict[tuple[str, str], tuple[Entity, ...]] = {}

    @classmethod
    @cache
    def load(cls) -> Extractor:
        """The packaged table. Raises EntityTableError."""
        return cls(parse_table((resources.files("khien.alerts") / "entities.yml").read_bytes()))

    def entities(self, event: Event, host: str = "", user: str = "") -> tuple[Entity, ...]:
        """The entities of a finding, the main one first, each once, at most `MOST_ENTITIES`.

        `host` and `user` are those the finding names; they come before those of the event's fields.
        """
        found: dict[Entity, tuple[int, int]] = {}
        if host:
            self._add(found, "host", -1, host)
        if user:
            self._add(found, "user", -1, user)
        self._read(found, event)
        ranked = sorted(found, key=lambda entity: (*found[entity], entity.value))
        return tuple(ranked[:MOST_ENTITIES])

    def _read(self, found: dict[Entity, tuple[int, int]], event: Event) -> None:
        places = self._places
        for name, value in event.items():
            if isinstance(value, dict | list):
                for inner, leaf in _leaves(name, value):
                    place = self._place(inner)
                    if place is not None:
                        self._add(found, place[0], place[1], leaf)
                continue
            place = places[name] if name in places else self._place(name)
            if place is not None:
                self._add(found, place[0], place[1], value)

    def _place(self, name: str) -> tuple[str, int] | None:
        """The kind a field's values are of, and the field's place in it; names are remembered as they are written."""
        if name not in self._places:
            if len(self._places) >= _MOST_REMEMBERED:
                self._places.clear()
            self._places[name] = self._fields.get(name.lower())
        return self._places[name]

    def _add(self, found: dict[Entity, tuple[int, int]], kind: str, place: int, value: Value) -> None:
        if isinstance(value, list):
            for each in value[:MOST_ENTITIES]:
                self._add(found, kind, place, each)
            return
        if isinstance(value, dict) or value is None:
            return
        text = value if isinstance(value, str) else str(value)
        entities = self._known.get((kind, text))
        if entities is None:
            if len(self._known) >= _MOST_REMEMBERED:
                self._known.clear()
            entities = self._known[kind, text] = tuple(self._normal(kind, text.strip()))
        for entity in entities:
            rank = (self._main[entity.kind], place)
            if found.get(entity, rank) >= rank:
                found[entity] = rank

    def _normal(self, kind: str, text: str) -> Iterator[Entity]:
        """The entities a value names: an address among hosts or domains is an address, a URL names a domain."""
        if kind == "url":
            kind, text = "domain", url_host(text)
        if len(text) > _LONGEST:
            return
        if kind in ("host", "domain") and text and (text[0].isdigit() or ":" in text):
            addresses = list(NORMAL_FORMS["ip"](text, self._noise))
            if addresses or text.count(":") > 1 or _is_address(text):
                yield from (Entity("ip", address) for address in addresses)
                return
        yield from (Entity(kind, normal) for normal in NORMAL_FORMS[kind](text, self._noise))


def parse_table(text: bytes) -> EntityTable:
    """Read and check a table. Raises EntityTableError."""
    try:
        return msgspec.convert(yaml.load(text, Loader=_Loader), EntityTable)  # noqa: S506 - a safe loader
    except (yaml.YAMLError, msgspec.ValidationError) as error:
        raise EntityTableError(str(error), "entities.yml") from error


def _leaves(name: str, value: Value) -> Iterator[tuple[str, Value]]:
    """Dotted names and values below a field, through nested objects and lists of objects, in bounded number."""
    stack: list[tuple[str, Value, int]] = [(name, value, 0)]
    for _ in range(_MOST_LEAVES):
        if not stack:
            return
        name, value, depth = stack.pop()
        if isinstance(value, dict) and depth < _DEEPEST:
            stack += [(f"{name}.{inner}", value[inner], depth + 1) for inner in reversed(value)]
        elif isinstance(value, list) and value and isinstance(value[0], dict) and depth < _DEEPEST:
            stack += [(name, each, depth + 1) for each in reversed(value[:MOST_ENTITIES])]
        else:
            yield name, value


def _is_address(text: str) -> bool:
    try:
        ip_address(text.partition(":")[0])
    except ValueError:
        return False
    return True


@lru_cache(maxsize=_MOST_REMEMBERED)
def _is_private(address: str) -> bool:
    return not ip_address(address).is_global
