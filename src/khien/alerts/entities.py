"""The entities a finding is about: hosts, users, addresses, domains, file hashes, processes.

Which fields name them, and which values name nobody in particular, is data: `entities.yml` beside this module.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from importlib import resources
from ipaddress import ip_address
from typing import Any

import msgspec
import yaml

from khien.alerts.normal_forms import NORMAL_FORMS, Noise, url_host
from khien.errors import KhienError
from khien.events.batch import Event, Value

MOST_ENTITIES = 50
"""Entities taken from one finding."""
_MOST_LEAVES = 2_000
_DEEPEST = 8
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
KINDS = ("host", "user", "ip", "domain", "hash", "process")


class EntityTableError(KhienError):
    """The table of entity fields is not valid."""


class Entity(msgspec.Struct, frozen=True, order=True, array_like=True):
    """Somebody or something a finding is about. `kind` is one of `KINDS`, `value` its normal form."""

    kind: str
    value: str

    @property
    def is_local(self) -> bool:
        """Whether the name means something within one unit only: hosts, users, processes and private addresses."""
        if self.kind in ("host", "user", "process"):
            return True
        return self.kind == "ip" and not ip_address(self.value).is_global


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
        for kind, value in (("host", host), ("user", user)):
            if value:
                self._add(found, kind, -1, value)
        known = self._fields
        for name, value in _leaves(event):
            place = known.get(name.lower())
            if place is not None:
                self._add(found, place[0], place[1], value)
        ranked = sorted(found, key=lambda entity: (*found[entity], entity.value))
        return tuple(ranked[:MOST_ENTITIES])

    def _add(self, found: dict[Entity, tuple[int, int]], kind: str, place: int, value: Value) -> None:
        if isinstance(value, list):
            for each in value[:MOST_ENTITIES]:
                self._add(found, kind, place, each)
            return
        if isinstance(value, dict) or value is None:
            return
        text = str(value).strip()
        if kind == "url":
            kind, text = "domain", url_host(text)
        for own, normal in _normal(kind, text, self._noise):
            entity = Entity(own, normal)
            rank = (self._main[own], place)
            if found.get(entity, rank) >= rank:
                found[entity] = rank


def parse_table(text: bytes) -> EntityTable:
    """Read and check a table. Raises EntityTableError."""
    try:
        return msgspec.convert(yaml.load(text, Loader=_Loader), EntityTable)  # noqa: S506 - a safe loader
    except (yaml.YAMLError, msgspec.ValidationError) as error:
        raise EntityTableError(str(error), "entities.yml") from error


def _normal(kind: str, text: str, noise: Noise) -> Iterator[tuple[str, str]]:
    """The normal forms of a value and their kinds: an address among hosts or domains is an address."""
    if len(text) > 2_000:
        return
    if kind in ("host", "domain") and text and (text[0].isdigit() or ":" in text):
        addresses = list(NORMAL_FORMS["ip"](text, noise))
        if addresses or ":" in text:
            yield from (("ip", address) for address in addresses)
            return
    form: Callable[[str, Noise], Iterator[str]] = NORMAL_FORMS[kind]
    yield from ((kind, normal) for normal in form(text, noise))


def _leaves(event: Event) -> Iterator[tuple[str, Value]]:
    """Dotted names and values of an event, through nested objects and lists of objects, in bounded number."""
    stack: list[tuple[str, Any, int]] = [(name, event[name], 0) for name in reversed(event)]
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
