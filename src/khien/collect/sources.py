"""The sources file: TOML, validated as a whole, reloaded while running."""

from __future__ import annotations

import asyncio
import tomllib
from collections.abc import AsyncIterator, Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from khien.collect.keys import HASHED
from khien.collect.settings import HTTP_KINDS, KINDS, Config, Limits, Listen, Source, Tls
from khien.collect.settings_values import (
    SettingError,
    Where,
    addresses,
    choice,
    name,
    networks,
    number,
    path,
    seconds,
    strings,
    text,
)
from khien.errors import KhienError
from khien.formats.sniff import formats

Check = Callable[[Any, Where], Any]


class SourcesError(KhienError):
    """The sources file cannot be used."""


def _format(value: Any, where: Where) -> str:
    known = {"": "", **{each: each for each in formats()}}
    return str(choice(value, where, tuple(known)))


def _keys(value: Any, where: Where) -> tuple[str, ...]:
    found = strings([value] if isinstance(value, str) else value, where)
    for each in found:
        if not HASHED.fullmatch(each):
            raise where.error("is not the hash of a key", "Make a key with `khien source key`, and put its hash here")
    return found


def _size(value: Any, where: Where) -> int:
    return number(value, where, least=1)


SOURCE: dict[str, Check] = {
    "id": name,
    "kind": lambda value, where: choice(value, where, KINDS),
    "format": _format,
    "unit": text,
    "system": text,
    "key": _keys,
    "events_per_second": number,
    "bytes_per_second": number,
    "max_line": lambda value, where: number(value, where, least=256, most=16 << 20),
    "connections": _size,
    "networks": networks,
    "senders": networks,
    "certificates": strings,
    "paths": strings,
    "silent_after": lambda value, where: number(value, where, most=525_600),
}
LISTEN: dict[str, Check] = {
    "http": addresses,
    "https": addresses,
    "syslog_udp": addresses,
    "syslog_tcp": addresses,
    "syslog_tls": addresses,
    "metrics": networks,
}
TLS: dict[str, Check] = {"certificate": path, "private_key": path, "client_ca": path}
LIMITS: dict[str, Check] = {
    field.name: seconds if field.name.endswith("_seconds") else _size for field in fields(Limits)
}


def load_sources(file: Path | str) -> Config:
    """Read and check a sources file; `SourcesError` tells file, line, key and what to do."""
    file = Path(file)
    try:
        raw = file.read_bytes()
    except OSError as error:
        raise SourcesError(f"the sources file cannot be read: {error.strerror}", str(file)) from error
    return parse_sources(raw, file)


def parse_sources(raw: bytes, file: Path) -> Config:
    """The configuration in the bytes of `file` (for messages, and the base of its relative paths)."""
    try:
        content = raw.decode("utf-8-sig")
        tree = tomllib.loads(content)
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SourcesError(f"this is not TOML: {error}", str(file), "Mend that line") from error
    try:
        return _config(tree, Where(file, content))
    except SettingError as error:
        raise SourcesError(error.what, error.where, error.remedy) from None


def _config(tree: dict[str, Any], where: Where) -> Config:
    for key, value in tree.items():
        if key not in ("listen", "limits", "source"):
            place = where.table(key) if isinstance(value, dict | list) else where.at(key)
            raise place.error("is not known", "Known are [listen], [limits] and [[source]]")
    listen = _listen(dict(_table(tree.get("listen", {}), where.table("listen"))), where.table("listen"))
    limits = Limits(**_read(_table(tree.get("limits", {}), where.table("limits")), LIMITS, where.table("limits")))
    tables = tree.get("source", [])
    if not isinstance(tables, list):
        raise where.table("source").error("must be written [[source]], in two pairs of brackets", "")
    sources = [
        _source(_table(each, where.table("source", n)), where.table("source", n)) for n, each in enumerate(tables)
    ]
    seen: set[str] = set()
    for n, source in enumerate(sources):
        if source.id in seen:
            raise where.table("source", n).at("id").error(f"{source.id!r} is used twice", "Give each source its own id")
        seen.add(source.id)
    return Config(listen, limits, tuple(sources))


def _table(value: Any, where: Where) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise where.error("must be a table", "")
    return value


def _read(table: dict[str, Any], checks: dict[str, Check], where: Where) -> dict[str, Any]:
    found = {}
    for key, value in table.items():
        if key not in checks:
            raise where.at(key).error("is not known", f"Known are {', '.join(checks)}")
        found[key] = checks[key](value, where.at(key))
    return found


def _listen(table: dict[str, Any], where: Where) -> Listen:
    tls = table.pop("tls", None)
    listen = Listen(**_read(table, LISTEN, where))
    if tls is not None:
        place = where.table("listen.tls")
        found = _read(_table(tls, place), TLS, place)
        for key in ("certificate", "private_key"):
            if key not in found:
                raise place.at(key).error("is missing", "Name the PEM files of certificate and private key")
        listen = replace(listen, tls=Tls(**found))
    elif listen.https or listen.syslog_tls:
        key = "https" if listen.https else "syslog_tls"
        raise where.at(key).error("needs a certificate", "Add [listen.tls] with certificate and private_key")
    return listen


def _source(table: dict[str, Any], where: Where) -> Source:
    found = _read(table, SOURCE, where)
    for key in ("id", "kind"):
        if key not in found:
            raise where.at(key).error("is missing", "Every source has an id and a kind")
    kind = found["kind"]
    found["keys"] = found.pop("key", ())
    if kind in HTTP_KINDS and not found["keys"]:
        raise where.at("key").error("is missing", "Make a key with `khien source key`, and put its hash here")
    if kind == "file" and not found.get("paths"):
        raise where.at("paths").error("is missing", "Name the files or patterns to follow")
    if kind == "syslog" and not (found.get("senders") or found.get("certificates")):
        raise where.at("senders").error("is missing", "Say which networks or certificate names send it")
    for key, kinds in (("paths", ("file",)), ("senders", ("syslog",)), ("certificates", ("syslog",))):
        if found.get(key) and kind not in kinds:
            raise where.at(key).error(f"means nothing for a source of kind {kind!r}", "Take it out, or change the kind")
    return Source(**found)


async def watch(
    file: Path | str, report: Callable[[SourcesError], None], every: float = 1.0, known: bytes | None = None
) -> AsyncIterator[Config]:
    """Every new valid configuration, as the file changes; looks every `every` seconds.

    An invalid one goes to `report`, once, and the last valid one stays. `known` is the content that
    is in use already; without it the first configuration is yielded at once.
    """
    file = Path(file)
    seen = known
    trouble = ""
    while True:
        try:
            raw = file.read_bytes()
            if raw != seen:
                seen = raw
                config = parse_sources(raw, file)
                trouble = ""
                yield config
        except (OSError, SourcesError) as error:
            if not isinstance(error, SourcesError):
                error = SourcesError(f"the sources file cannot be read: {error.strerror}", str(file))
            if str(error) != trouble:
                trouble = str(error)
                report(error)
        await asyncio.sleep(every)
