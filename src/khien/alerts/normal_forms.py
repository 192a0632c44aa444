"""One spelling for each entity, and none for values that name nobody in particular."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from urllib.parse import urlsplit

_HEX = re.compile(r"[0-9a-f]+\Z")
_HASH_DIGITS = frozenset((32, 40, 64))
_NOT_OF_FILES = frozenset(("imphash", "ssdeep", "tlsh"))
_BROADCAST = "255.255.255.255"


@dataclass(frozen=True, slots=True)
class Noise:
    """Values, lower-cased, that are no entity; by kind, and beginnings of users and endings of domains."""

    values: Mapping[str, frozenset[str]]
    user_prefixes: tuple[str, ...]
    domain_endings: tuple[str, ...]

    @classmethod
    def of(cls, table: Mapping[str, Sequence[str]]) -> Noise:
        """From the `noise` part of the table."""
        values = {kind: frozenset(map(str.lower, listed)) for kind, listed in table.items()}
        return cls(values, tuple(table.get("user_prefixes", ())), tuple(table.get("domain_endings", ())))

    def holds(self, kind: str, value: str) -> bool:
        """Whether a normalised value is noise."""
        return value in self.values.get(kind, ())


def host(text: str, noise: Noise) -> Iterator[str]:
    """Lower case, without the trailing dot and leading backslashes."""
    name = text.lower().lstrip("\\").rstrip(".")
    if not noise.holds("host", name):
        yield name


def user(text: str, noise: Noise) -> Iterator[str]:
    r"""`DOMAIN\user` and `user` are one; `user@domain` stays whole. Machine accounts and bare numbers are nobody."""
    name = text.lower()
    if name.startswith("arn:"):
        yield name
        return
    name = name.rpartition("\\")[2].strip()
    if name.endswith("$") or name.isdigit() or noise.holds("user", name) or name.startswith(noise.user_prefixes):
        return
    yield name


def ip(text: str, noise: Noise) -> Iterator[str]:
    """Every address in a text (proxies list several), in its shortest form.

    Ports, brackets and zones go; IPv4 written within IPv6 becomes IPv4. Loopback, link-local, multicast,
    unspecified and broadcast addresses are nobody.
    """
    for part in text.split(",")[:16]:
        bare = part.strip().partition("%")[0]
        if bare.startswith("["):
            bare = bare[1:].partition("]")[0]
        elif bare.count(":") == 1:
            bare = bare.partition(":")[0]
        try:
            address = ip_address(bare)
        except ValueError:
            continue
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        silent = address.is_loopback or address.is_link_local or address.is_multicast or address.is_unspecified
        if not silent and str(address) != _BROADCAST:
            yield str(address)


def domain(text: str, noise: Noise) -> Iterator[str]:
    """Lower case, without port and dots at the ends; single labels are hosts of a local network and left out."""
    name = text.lower().partition(":")[0].strip(".")
    if name.startswith("*."):
        name = name[2:]
    if "." not in name or " " in name or "/" in name or noise.holds("domain", name):
        return
    if not name.endswith(noise.domain_endings):
        yield name


def file_hash(text: str, noise: Noise) -> Iterator[str]:
    """MD5, SHA-1 and SHA-256 in lower case, from a bare value or from `SHA256=...,MD5=...`."""
    for part in text.lower().split(","):
        name, _, value = part.strip().rpartition("=")
        if name in _NOT_OF_FILES or len(value) not in _HASH_DIGITS or not _HEX.match(value):
            continue
        if value.strip("0") and not noise.holds("hash", value):
            yield value


def process(text: str, noise: Noise) -> Iterator[str]:
    """The path in lower case."""
    path = text.lower().strip('"')
    if not noise.holds("process", path):
        yield path


def url_host(text: str) -> str:
    """The host of an absolute URL, "" for all else."""
    if "://" not in text[:12]:
        return ""
    try:
        return urlsplit(text).hostname or ""
    except ValueError:
        return ""


NORMAL_FORMS: Mapping[str, Callable[[str, Noise], Iterator[str]]] = {
    "host": host,
    "user": user,
    "ip": ip,
    "domain": domain,
    "hash": file_hash,
    "process": process,
}
