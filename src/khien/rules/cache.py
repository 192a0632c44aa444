"""The cache of loaded rules: keyed by content, safe to delete, plain data only."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

import msgspec

from khien import __version__
from khien.rules.collection import load_sources
from khien.rules.documents import read_sources, rule_files
from khien.rules.model import RuleSet
from khien.rules.patterns import Values

_FORMAT = b"khien-rules-5"
_KEEP = 8


def load_rules_cached(
    paths: Iterable[str | Path], placeholders: Values | None = None, folder: Path | None = None
) -> RuleSet:
    """Load rules like `load_rules`, from the cache where the same files were loaded before.

    The key is a hash of every file's path and bytes, the placeholders and this version, so a
    stale entry cannot be read. An entry is MessagePack with its own hash; one that is damaged or
    written by another user is not used. `folder` None switches the cache off.
    """
    sources = read_sources(rule_files([Path(path) for path in paths]))
    if folder is None or any(isinstance(data, OSError) for _, data in sources):
        return load_sources(sources, placeholders or {})
    key = _key(sources, placeholders or {})
    entry = folder / f"{key}.rules"
    cached = _read(entry)
    if cached is not None:
        return cached
    rules = load_sources(sources, placeholders or {})
    with contextlib.suppress(OSError):
        _write(entry, rules)
    return rules


def _key(sources: list[tuple[str, bytes | OSError]], placeholders: Values) -> str:
    digest = hashlib.blake2b(_FORMAT + __version__.encode(), digest_size=24)
    for path, data in sources:
        if isinstance(data, OSError):
            continue
        digest.update(f"\0{path}\0{len(data)}\0".encode("utf-8", "surrogateescape"))
        digest.update(data)
    digest.update(msgspec.json.encode(sorted((name, list(values)) for name, values in placeholders.items())))
    return digest.hexdigest()


def _read(entry: Path) -> RuleSet | None:
    try:
        with entry.open("rb") as file:
            if os.fstat(file.fileno()).st_uid != os.getuid():
                return None
            check, data = file.read(32), file.read()
        if hashlib.blake2b(data, digest_size=32).digest() != check:
            return None
        return msgspec.msgpack.decode(data, type=RuleSet)
    except (OSError, ValueError, RecursionError, MemoryError):  # msgspec's errors are of ValueError
        return None


def _write(entry: Path, rules: RuleSet) -> None:
    folder = entry.parent
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    data = msgspec.msgpack.encode(rules)
    handle, name = tempfile.mkstemp(dir=folder)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(hashlib.blake2b(data, digest_size=32).digest())
            file.write(data)
        Path(name).replace(entry)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise
    entries = sorted(folder.glob("*.rules"), key=lambda path: path.stat().st_mtime, reverse=True)
    for old in entries[_KEEP:]:
        old.unlink(missing_ok=True)
