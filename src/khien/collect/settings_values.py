"""Checks of single values in a sources file; each error tells where it stands and what to do."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from khien.collect.settings import Address, Network
from khien.errors import KhienError

ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class SettingError(KhienError):
    """A value is not valid."""


@dataclass(frozen=True, slots=True)
class Where:
    """A place in a sources file: the file, its text, a table (the `n`-th of that name), a key."""

    file: Path
    content: str
    header: str = ""
    n: int = 0
    key: str = ""

    def table(self, header: str, n: int = 0) -> Where:
        """The n-th table with this name (from 0)."""
        return Where(self.file, self.content, header, n)

    def at(self, key: str) -> Where:
        """A key in this table."""
        return Where(self.file, self.content, self.header, self.n, key)

    def error(self, what: str, remedy: str) -> SettingError:
        """The error to raise about this place."""
        subject = f"{self.key} {what}" if self.key else f"[{self.header}] {what}"
        return SettingError(subject, f"{self.file}, {self.words()}", remedy)

    def words(self) -> str:
        """The place in words: line and table."""
        line = f"line {self.line()}" if self.line() else ""
        table = f"[[source]] number {self.n + 1}" if self.header == "source" else f"[{self.header}]"
        return ", ".join(each for each in (line, table if self.header else "") if each) or "top level"

    def line(self) -> int:
        """The line of the key, else of the table's header (from 1); 0 when neither is found."""
        header = re.compile(rf"\s*\[\[?\s*{re.escape(self.header)}\s*\]\]?\s*(#.*)?")
        key = re.compile(rf"\s*[\"']?{re.escape(self.key)}[\"']?\s*[=.]") if self.key else None
        seen, start = -1, 0 if self.header else 1
        for number, line in enumerate(self.content.splitlines(), 1):
            if line.lstrip().startswith("["):
                if start:
                    break
                seen += bool(header.fullmatch(line))
                start = number if seen == self.n and header.fullmatch(line) else 0
            elif start and key and key.match(line):
                return number
        return start if self.header else 0


def text(value: Any, where: Where) -> str:
    """A string without control characters."""
    if not isinstance(value, str) or not value.isprintable():
        raise where.error("must be a text", "Write it in quotes, on one line")
    return value


def name(value: Any, where: Where) -> str:
    """An id: letters, digits, `.`, `_` and `-`, at most 64."""
    if not isinstance(value, str) or not ID.fullmatch(value):
        raise where.error(
            f"{value!r} is not an id", "Use letters, digits, '.', '_' and '-', at most 64, the first a letter or digit"
        )
    return value


def choice(value: Any, where: Where, known: tuple[str, ...]) -> str:
    """One of the known words."""
    if value not in known:
        raise where.error(f"{value!r} is not known", f"Use one of {', '.join(repr(each) for each in known)}")
    return str(value)


def number(value: Any, where: Where, least: int = 0, most: int = 1 << 62) -> int:
    """A whole number between two bounds."""
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        bounds = f"from {least} to {most}" if most < 1 << 62 else f"not below {least}"
        raise where.error(f"must be a whole number {bounds}", "Write it without quotes")
    return value


def seconds(value: Any, where: Where) -> float:
    """A duration above zero."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value < 1e9:
        raise where.error("must be a number of seconds above 0", "Write it without quotes")
    return float(value)


def strings(value: Any, where: Where) -> tuple[str, ...]:
    """A list of strings."""
    if not isinstance(value, list) or not all(isinstance(each, str) and each for each in value):
        raise where.error("must be a list of texts", 'Write it as ["one", "two"]')
    return tuple(value)


def networks(value: Any, where: Where) -> tuple[Network, ...]:
    """A list of addresses and networks."""
    found = []
    for each in strings(value, where):
        try:
            found.append(ip_network(each))
        except ValueError as error:
            raise where.error(f"holds {each!r}: {error}", 'Write networks like "10.1.0.0/16" or "10.1.2.3"') from None
    return tuple(found)


def addresses(value: Any, where: Where) -> tuple[Address, ...]:
    """A list of HOST:PORT; IPv6 addresses in brackets, no host for all addresses."""
    found = []
    for each in strings([value] if isinstance(value, str) else value, where):
        host, colon, port = each.rpartition(":")
        if not colon or not port.isdecimal() or int(port) > 65535:
            raise where.error(
                f"holds {each!r}, which is no address", 'Write addresses like "0.0.0.0:9200" or "[::]:514"'
            )
        found.append(Address(host.strip("[]"), int(port)))
    return tuple(found)


def path(value: Any, where: Where) -> Path:
    """A file that can be read; relative to the folder of the sources file."""
    file = where.file.parent / Path(text(value, where)).expanduser()
    try:
        file.open("rb").close()
    except OSError as error:
        raise where.error(
            f"names {file}, which cannot be read: {error.strerror}", "Mend the path or its rights"
        ) from None
    return file
