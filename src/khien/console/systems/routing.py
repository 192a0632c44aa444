"""The register compiled: which unit and system a host name, an address or a source's unit belongs to."""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field
from fnmatch import translate
from functools import lru_cache
from typing import NamedTuple

from django.core.exceptions import ValidationError

from khien.console.systems.identifiers import Network, host_name, lines, network

MOST_REMEMBERED = 100_000


class Target(NamedTuple):
    """Where an alert goes."""

    unit_id: int
    system_id: int


class Match(NamedTuple):
    """A target with what decides between several: the larger `weight` wins."""

    weight: tuple[int, ...]
    target: Target


def name_key(text: str) -> str:
    """A unit's code or name as it is compared."""
    return " ".join(unicodedata.normalize("NFC", text).casefold().split())


@dataclass(slots=True)
class _Pattern:
    """A host name with `*`. `head`, `tail`: the text before the first and after the last star."""

    text: str
    target: Target
    weight: tuple[int, ...]
    matches: re.Pattern[str]


@dataclass(slots=True)
class Table:
    """Answers for one state of the register; made by `add`, then only asked."""

    exact: dict[str, Target] = field(default_factory=dict)
    short: dict[str, Target | None] = field(default_factory=dict)
    heads: dict[str, list[_Pattern]] = field(default_factory=dict)
    tails: dict[str, list[_Pattern]] = field(default_factory=dict)
    nets: dict[int, dict[int, dict[int, Target]]] = field(default_factory=lambda: {4: {}, 6: {}})
    units: dict[str, int] = field(default_factory=dict)
    _names: dict[str, Match | None] = field(default_factory=dict)
    _addresses: dict[str, Match | None] = field(default_factory=dict)

    def add(self, target: Target, hostnames: str, address_ranges: str) -> None:
        """A system's names and ranges. The first that says a name keeps it; lines that are wrong are passed over."""
        for line in lines(hostnames):
            name = host_name(line.text)
            if "*" in name:
                self._add_pattern(name, target)
            else:
                self.exact.setdefault(name, target)
                label, dot, _rest = name.partition(".")
                if dot:  # known by its short name too, unless two are called so
                    known = self.short.setdefault(label, target)
                    if known != target:
                        self.short[label] = None
        for line in lines(address_ranges):
            try:
                ranges = network(line.text)
            except (ValueError, ValidationError):
                continue
            for each in ranges:
                of_length = self.nets[each.version].setdefault(each.prefixlen, {})
                of_length.setdefault(int(each.network_address) >> (each.max_prefixlen - each.prefixlen), target)

    def _add_pattern(self, name: str, target: Target) -> None:
        self._index(name, target, 1)
        label, dot, _rest = name.partition(".")
        if dot and len(label.strip("*")) > 1:
            # Machines that call themselves by their short name only.
            self._index(label, target, 0, whole=False)

    def _index(self, name: str, target: Target, rank: int, *, whole: bool = True) -> None:
        literal = len(name) - name.count("*")
        # However many stars there are, each is tried once: hosts call themselves what they like.
        body = translate(name) if whole else rf"(?!.*\.){translate(name)}"
        pattern = _Pattern(name, target, (1, rank, literal), re.compile(body, re.DOTALL))
        head, _star, tail = name.partition("*")
        tail = name.rpartition("*")[2]
        if head or not tail:
            self.heads.setdefault(head, []).append(pattern)
        else:
            self.tails.setdefault(tail, []).append(pattern)

    def by_name(self, text: str) -> Match | None:
        """The system that a host name belongs to: an exact name first, else the pattern with most said."""
        if text not in self._names:
            if len(self._names) >= MOST_REMEMBERED:
                self._names.clear()
            self._names[text] = self._by_name(host_name(text))
        return self._names[text]

    def _by_name(self, name: str) -> Match | None:
        if not name:
            return None
        label, dot, _rest = name.partition(".")
        if target := self.exact.get(name):
            return Match((3,), target)
        if target := self.exact.get(label) if dot else self.short.get(label):
            return Match((2,), target)
        best: _Pattern | None = None
        for length in range(len(name) + 1):
            for pattern in (*self.heads.get(name[:length], ()), *(self.tails.get(name[length:], ()))):
                if (best is None or pattern.weight > best.weight) and pattern.matches.fullmatch(name):
                    best = pattern
        return Match(best.weight, best.target) if best else None

    def by_address(self, text: str) -> Match | None:
        """The system of the narrowest range that an address lies in."""
        if text not in self._addresses:
            if len(self._addresses) >= MOST_REMEMBERED:
                self._addresses.clear()
            self._addresses[text] = self._by_address(text)
        return self._addresses[text]

    def _by_address(self, text: str) -> Match | None:
        try:
            address = ipaddress.ip_address(text.strip().strip("[]").partition("%")[0])
        except ValueError:
            return None
        if address.version == 6 and address.ipv4_mapped:
            address = address.ipv4_mapped
        number, bits = int(address), address.max_prefixlen
        for length in sorted(self.nets[address.version], reverse=True):
            if target := self.nets[address.version][length].get(number >> (bits - length)):
                return Match((bits - length == 0, length), target)
        return None

    def unit_of(self, text: str) -> int | None:
        """A unit by its code, name or short name."""
        return self.units.get(name_key(text)) if text else None

    def route(
        self, hostnames: Iterable[str], addresses: Iterable[str], unit_code: str
    ) -> tuple[int | None, int | None]:
        """By names, else by addresses, else by the source's unit."""
        for found in (
            [match for name in hostnames if name and (match := self.by_name(name))],
            [match for address in addresses if address and (match := self.by_address(address))],
        ):
            if found:
                return max(found, key=lambda match: match.weight).target
        return self.unit_of(unit_code), None


@lru_cache(maxsize=4096)
def parsed(text: str) -> tuple[Network, ...]:
    """The networks of one line; empty when it is wrong."""
    try:
        return tuple(network(text))
    except ValueError:
        return ()
