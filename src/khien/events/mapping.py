"""Mapping tables: from a record of some product to its kind, its log sources and its field names.

Tables are YAML data beside this module (`mappings/`, one file a family; their README has the
schema). They are checked when they are loaded.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from khien.errors import MappingError
from khien.events.batch import MISSING, Event, EventBatch, EventKind, Projection, Value, read_path
from khien.events.logsource import LogSource
from khien.events.records import RecordBlock
from khien.events.text import value_text

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_MOST_REMEMBERED = 20_000
_LONGEST_REMEMBERED = 1_024
JSON_FAMILY = "json"
"""The family of JSON objects that any table may claim."""

Conditions = tuple[tuple[str, tuple[str, ...]], ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """A part of a table: what records that meet `when` gain."""

    name: str
    when: Conditions
    logsources: tuple[LogSource, ...]
    fields: Mapping[str, tuple[str, ...]]
    time: tuple[str, ...]
    host: tuple[str, ...]
    user: tuple[str, ...]


@dataclass(slots=True)
class Table:
    """A family's mapping table."""

    family: str
    key: tuple[str, ...]
    constants: frozenset[str]
    claims: tuple[Conditions, ...]
    entries: tuple[Entry, ...]
    whole: Entry
    key_entries: dict[tuple[Value, ...], EventKind] = field(default_factory=dict)
    by_set: dict[tuple[Any, ...], EventKind] = field(default_factory=dict)

    def kind(self, values: tuple[Value, ...]) -> EventKind:
        """The kind of records whose key fields have these values; one object for equal kinds."""
        record = dict(zip(self.key, values, strict=True))
        chosen = [entry for entry in self.entries if holds(entry.when, lambda name: record.get(name, MISSING))]
        constants = {
            name: None if isinstance(record[name], tuple) else record[name]
            for name in self.key
            if name in self.constants
        }
        identity = (
            tuple(id(entry) for entry in chosen),
            tuple((name, type(value), value) for name, value in constants.items()),
        )
        known = self.by_set.get(identity)
        if known is None:
            if len(self.by_set) >= _MOST_REMEMBERED:
                self.by_set.clear()
            known = self.by_set[identity] = self._unite(chosen, constants)
        return known

    def _unite(self, chosen: list[Entry], constants: dict[str, Value]) -> EventKind:
        sources: dict[LogSource, None] = {}
        fields: dict[str, tuple[str, ...]] = dict(self.whole.fields)
        names = []
        time, host, user = self.whole.time, self.whole.host, self.whole.user
        for entry in chosen:
            sources.update(dict.fromkeys(entry.logsources))
            fields.update(entry.fields)
            time, host, user = entry.time or time, entry.host or host, entry.user or user
            if entry.name:
                names.append(entry.name)
        shown = " ".join(str(value) for value in constants.values() if value is not MISSING)
        name = f"{self.family} {'+'.join(names)} {shown}".strip()
        return EventKind(name, tuple(sources), fields, constants, time, host, user)


def holds(conditions: Conditions, read: Callable[[str], Value]) -> bool:
    """Whether every condition holds: the field's text is one of the globs ("*": it is there and not null)."""
    for name, globs in conditions:
        value = read(name)
        if value is MISSING or value is None:
            return False
        texts = [(value_text(each) or "").lower() for each in (value if isinstance(value, list | tuple) else (value,))]
        if not any(
            glob == "*" or glob in texts or ("*" in glob and any(map(_glob(glob).match, texts))) for glob in globs
        ):
            return False
    return True


def _places(name: str) -> tuple[str, ...]:
    """The keys of which a record must have one for the field to have a value: its name, or what it begins with."""
    return (name, *(name[:at] for at, char in enumerate(name) if char == "." and at))


def _hashable(value: Value) -> Value:
    """A key value to look up: a short list of texts as a tuple, which meets a condition when an element does."""
    if isinstance(value, list) and len(value) <= 8 and not any(isinstance(each, list | dict) for each in value):
        return tuple(value)
    return None if isinstance(value, list | dict) else value


@lru_cache(maxsize=2048)
def _glob(glob: str) -> re.Pattern[str]:
    return re.compile(".*".join(re.escape(piece) for piece in glob.split("*")) + r"\Z", re.DOTALL)


class Classifier:
    """Tells records into kinds by all tables. `load()` gives the one with the packaged tables."""

    def __init__(self, tables: Sequence[Table]) -> None:
        self.tables = {table.family: table for table in tables}
        self._claims = [
            (_places(conditions[0][0]), conditions, table.family) for table in tables for conditions in table.claims
        ]
        self._getters: dict[EventKind, tuple[tuple[str, ...], Callable[[Event], tuple[Value, ...]]]] = {}
        self._unknown: dict[str, EventKind] = {}

    @classmethod
    def load(cls, folder: Path | None = None) -> Classifier:
        """Read all tables of a folder (default: those in the package). Raises MappingError."""
        if folder is None:
            return cls(list(_packaged()))
        return cls([parse_table(path.read_bytes(), str(path)) for path in sorted(folder.glob("*.yml"))])

    def key_fields(self, family: str) -> tuple[str, ...]:
        """The fields that tell the kinds of a family apart."""
        return self.tables[family].key

    def kind(self, family: str, values: tuple[Value, ...]) -> EventKind:
        """The kind for the values of the family's key fields."""
        table = self.tables[family]
        typed = tuple((type(value), value) if value.__class__ in (bool, float) else value for value in values)
        try:
            known = table.key_entries.get(typed)
        except TypeError:  # a list or an object where a text should be
            return self.kind(family, tuple(_hashable(value) for value in values))
        if known is None:
            if len(table.key_entries) >= _MOST_REMEMBERED:
                table.key_entries.clear()
            known = table.kind(values)
            if sum(len(value) for value in values if isinstance(value, str)) <= _LONGEST_REMEMBERED:
                table.key_entries[typed] = known
        return known

    def classify(self, family: str, record: Event) -> EventKind:
        """The kind of one record."""
        if family == JSON_FAMILY:
            family = self.claim(record)
        table = self.tables.get(family)
        if table is None:
            return self._unclaimed(family, record)
        return self.kind(family, tuple([read_path(record, name) for name in table.key]))

    def claim(self, record: Event) -> str:
        """The family whose table knows this JSON object; "json" where none does."""
        there = record.keys()
        for places, conditions, family in self._claims:
            if not there.isdisjoint(places) and holds(conditions, lambda name: read_path(record, name)):
                return family
        return JSON_FAMILY

    def _unclaimed(self, family: str, record: Event) -> EventKind:
        """Records of no known product, which may name their Sigma log source themselves."""
        named = record.get("logsource")
        parts = {
            part: str(named.get(part) or "").lower() if isinstance(named, dict) else ""
            for part in ("product", "category", "service")
        }
        key = f"{family} {parts['product']}/{parts['category']}/{parts['service']}"
        known = self._unknown.get(key)
        if known is None:
            if len(self._unknown) >= _MOST_REMEMBERED:
                self._unknown.clear()
            sources = (LogSource(**parts),) if any(parts.values()) else ()
            known = self._unknown[key] = EventKind(key, sources, time=_TIMES, host=_HOSTS, user=_USERS)
        return known

    def batches(self, block: RecordBlock, path: str, projection: Projection) -> Iterator[EventBatch]:
        """A block's records by kind, reduced to what the projection asks for; unwanted kinds left out."""
        groups: dict[EventKind, list[int]] = {}
        for at, record in enumerate(block.records):
            groups.setdefault(self.classify(block.family, record), []).append(at)
        for kind, indexes in groups.items():
            fields = projection.fields(kind)
            if fields is None:
                continue
            read = self.getter(kind, fields)
            records = [block.records[at] for at in indexes]
            texts = None
            if projection.wants_text(kind):
                if block.texts is not None:
                    texts = [block.texts[at] for at in indexes]
                else:
                    texts = [event_text(record) for record in records]
            yield EventBatch(
                kind,
                path,
                fields,
                [read(record) for record in records],
                [block.numbers[at] for at in indexes],
                records.__getitem__,
                texts,
            )

    def getter(self, kind: EventKind, fields: tuple[str, ...]) -> Callable[[Event], tuple[Value, ...]]:
        """A function from a record of a kind to the values of Sigma fields, MISSING where it has none."""
        known = self._getters.get(kind)
        if known is None or known[0] != fields:
            if len(self._getters) >= _MOST_REMEMBERED:
                self._getters.clear()
            known = self._getters[kind] = fields, _make_getter([kind.names(name) for name in fields])
        return known[1]


def _make_getter(choices: list[tuple[str, ...]]) -> Callable[[Event], tuple[Value, ...]]:
    if all(len(names) == 1 and "." not in names[0] for names in choices):
        simple = [names[0] for names in choices]
        missing = [MISSING] * len(simple)
        return lambda record: tuple(map(record.get, simple, missing))

    def read(record: Event) -> tuple[Value, ...]:
        out = []
        for names in choices:
            value: Value = MISSING
            for name in names:
                value = record.get(name, MISSING)
                if value is MISSING and "." in name:
                    value = read_path(record, name)
                if value is not MISSING:
                    break
            out.append(value)
        return tuple(out)

    return read


def event_text(record: Event) -> str:
    """The text of every value of an event, a value a line."""
    out: list[str] = []
    stack: list[Value] = [record]
    while stack:
        value = stack.pop()
        if isinstance(value, dict):
            stack.extend(reversed(value.values()))
        elif isinstance(value, list):
            stack.extend(reversed(value))
        else:
            text = value_text(value)
            if text:
                out.append(text)
    return "\n".join(out)


_TIMES = ("@timestamp", "timestamp", "time", "Timestamp", "eventTime", "ts", "date", "datetime", "_time")
_HOSTS = ("host.name", "hostname", "Hostname", "host", "Computer", "computer", "device")
_USERS = ("user.name", "user", "username", "User", "account")
_KEYS = {
    "family",
    "product",
    "source",
    "key",
    "constants",
    "claims",
    "time",
    "host",
    "user",
    "fields",
    "kinds",
}
_ENTRY_KEYS = {"name", "when", "logsources", "fields", "time", "host", "user"}


@lru_cache(maxsize=1)
def _packaged() -> tuple[Table, ...]:
    folder = resources.files("khien.events") / "mappings"
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".yml")), key=lambda file: file.name)
    return tuple(parse_table(file.read_bytes(), file.name) for file in files)


def parse_table(data: bytes, path: str) -> Table:
    """Read and check one table. Raises MappingError that names file and place."""
    try:
        body = yaml.load(data, Loader=_Loader)  # noqa: S506 - a safe loader
    except yaml.YAMLError as error:
        raise MappingError(f"not valid YAML: {error}", path) from error
    if not isinstance(body, dict) or set(body) - _KEYS or not isinstance(body.get("family"), str):
        unknown = sorted(set(body) - _KEYS) if isinstance(body, dict) else []
        raise MappingError(f"not a mapping table (unknown keys: {', '.join(unknown) or 'none'})", path)
    product = str(body.get("product") or "")
    key = _names(body.get("key"), path, "key")
    kinds = body.get("kinds")
    if not isinstance(kinds, list) or not kinds:
        raise MappingError("'kinds' is not a list", path)
    entries = tuple(_entry(each, product, f"{path}, kinds[{at}]") for at, each in enumerate(kinds))
    for entry in entries:
        for name, _ in entry.when:
            if name not in key:
                raise MappingError(f"'{name}' is tested but not in 'key'", f"{path}, {entry.name or 'kinds'}")
    claims = tuple(_conditions(each, f"{path}, claims[{at}]") for at, each in enumerate(body.get("claims") or ()))
    if not all(claims):
        raise MappingError("a claim has no condition, so it would take every record", path)
    whole = _entry({k: body[k] for k in ("fields", "time", "host", "user") if k in body}, product, path)
    return Table(
        body["family"],
        key,
        frozenset(_names(body.get("constants"), path, "constants")),
        claims,
        entries,
        whole,
    )


def _entry(body: Any, product: str, place: str) -> Entry:
    if not isinstance(body, dict) or set(body) - _ENTRY_KEYS:
        raise MappingError("has unknown keys or is no map", place)
    sources = []
    for source in body.get("logsources") or ():
        if not isinstance(source, dict) or set(source) - {"product", "category", "service"}:
            raise MappingError("a log source has product, category and service", place)
        sources.append(LogSource(**{"product": product, **{k: str(v or "") for k, v in source.items()}}))
    fields = body.get("fields") or {}
    if not isinstance(fields, dict):
        raise MappingError("'fields' is not a map", place)
    return Entry(
        str(body.get("name") or ""),
        _conditions(body.get("when") or {}, place),
        tuple(sources),
        {str(name): _names(own, place, str(name)) for name, own in fields.items()},
        _names(body.get("time"), place, "time"),
        _names(body.get("host"), place, "host"),
        _names(body.get("user"), place, "user"),
    )


def _conditions(body: Any, place: str) -> Conditions:
    if not isinstance(body, dict):
        raise MappingError("conditions are not a map", place)
    return tuple(
        (str(name), tuple(str(glob).lower() for glob in (value if isinstance(value, list) else [value])))
        for name, value in body.items()
    )


def _names(value: Any, place: str, what: str) -> tuple[str, ...]:
    if value is None:
        return ()
    listed = value if isinstance(value, list) else [value]
    if not all(isinstance(name, str) and name for name in listed):
        raise MappingError(f"'{what}' is not a list of names", place)
    return tuple(listed)
