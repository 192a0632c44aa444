"""The rules of the live service by id, one at a time: a page needs one rule, never the whole corpus.

Where a rule stands is found out from the files' text alone; only the files that a rule needs are loaded.
"""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import structlog
from django.conf import settings

from khien.errors import KhienError
from khien.rules import folders as rule_folders
from khien.rules.collection import load_sources
from khien.rules.documents import parse_documents, read_sources, rule_files
from khien.rules.model import Correlation, Rule, RuleSet

_LOOK_EVERY = 30.0
_MOST_REMEMBERED = 500
_MOST_PARTS = 200
_NAMED = re.compile(rb"^(?:id|name):[ \t]*[\"']?([^\s\"'#]+)", re.MULTILINE)
_FILTER = re.compile(rb"^filter:", re.MULTILINE)
_ID = re.compile(rb"^id:", re.MULTILINE)
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class KnownRule:
    """A rule as it is now. `parts`: for a correlation the rules it counts; for any other the rule itself."""

    rule: Rule | Correlation
    parts: tuple[Rule, ...]

    @property
    def is_correlation(self) -> bool:
        """Whether it counts what others find."""
        return isinstance(self.rule, Correlation)


@dataclass(slots=True)
class _Index:
    """`places`: id or name to files; `filters`: files with meta filters; `nameless`: files with a rule without id."""

    stamp: int = 0
    places: dict[str, list[Path]] = field(default_factory=dict)
    filters: list[Path] = field(default_factory=list)
    nameless: list[Path] = field(default_factory=list)
    loaded: dict[str, KnownRule | None] = field(default_factory=dict)


class RuleIndex:
    """Looks rules up in files and folders. The files are looked at anew at most every 30 seconds."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self._folders = [folder for folder in folders if folder.exists()]
        self._lock = threading.Lock()
        self._index = _Index()
        self._looked = float("-inf")

    def find(self, rule_id: str) -> KnownRule | None:
        """The rule of an id; None when no usable rule has it."""
        with self._lock:
            index = self._fresh()
            if rule_id not in index.loaded:
                if len(index.loaded) >= _MOST_REMEMBERED:
                    index.loaded.clear()
                index.loaded[rule_id] = self._load(index, rule_id)
            return index.loaded[rule_id]

    def sources(self, rule_ids: Sequence[str]) -> list[tuple[str, bytes | OSError]]:
        """The files that these rules stand in, with their bytes."""
        with self._lock:
            index = self._fresh()
        files = [path for rule_id in rule_ids for path in index.places.get(rule_id, index.nameless)]
        return read_sources(list(dict.fromkeys(files)))

    def _fresh(self) -> _Index:
        now = time.monotonic()
        if now - self._looked < _LOOK_EVERY:
            return self._index
        self._looked = now
        try:
            files = rule_files(self._folders)
            stamp = hash(tuple((str(path), status.st_mtime_ns, status.st_size) for path, status in _stats(files)))
        except (KhienError, OSError) as error:
            _log.warning("rules not looked at", error=str(error))
            return self._index
        if stamp != self._index.stamp:
            self._index = _read(files, stamp)
        return self._index

    def _load(self, index: _Index, rule_id: str) -> KnownRule | None:
        files: dict[Path, None] = dict.fromkeys([*index.places.get(rule_id, index.nameless), *index.filters])
        asked: set[str] = set()
        for _ in range(8):  # correlations of correlations
            wanted = [name for path in files for name in _references(path) if name not in asked]
            asked.update(wanted)
            more = [path for name in wanted for path in index.places.get(name, ()) if path not in files]
            if not more or len(files) > _MOST_PARTS:
                break
            files.update(dict.fromkeys(more))
        return known_rule(load_sources(read_sources(list(files)), {}), rule_id)


def known_rule(rules: RuleSet, rule_id: str) -> KnownRule | None:
    """One rule of a set with what it is made of."""
    plain = {rule.id: rule for rule in rules.rules}
    if rule_id in plain:
        return KnownRule(plain[rule_id], (plain[rule_id],))
    correlations = {each.id: each for each in rules.correlations}
    if rule_id not in correlations:
        return None
    parts: dict[str, Rule] = {}
    waiting, seen = [rule_id], set()
    while waiting:
        name = waiting.pop()
        if name in plain:
            parts[name] = plain[name]
        elif name in correlations and name not in seen:
            seen.add(name)
            waiting += reversed(correlations[name].rules)
    return KnownRule(correlations[rule_id], tuple(parts.values()))


def rule_index() -> RuleIndex:
    """The index of the live service's rules, one for the process."""
    return _index(tuple(map(Path, settings.RULES)))


@lru_cache(maxsize=4)
def _index(folders: tuple[Path, ...]) -> RuleIndex:
    return RuleIndex(folders or (rule_folders.starter_folder(), rule_folders.synced_folder()))


def _stats(files: Sequence[Path]) -> list[tuple[Path, os.stat_result]]:
    return [(path, path.stat()) for path in files]


def _read(files: Sequence[Path], stamp: int) -> _Index:
    index = _Index(stamp)
    for path, data in read_sources(files):
        if isinstance(data, OSError):
            continue
        for name in _NAMED.findall(data):
            index.places.setdefault(name.decode("utf-8", "replace"), []).append(Path(path))
        if _FILTER.search(data):
            index.filters.append(Path(path))
        elif not _ID.search(data):
            index.nameless.append(Path(path))
    return index


def _references(path: Path) -> list[str]:
    """The rules that the correlations of a file name."""
    try:
        data = path.read_bytes()
        if b"correlation:" not in data:
            return []
        bodies = [document.body.get("correlation") for document in parse_documents(str(path), data)]
    except (OSError, KhienError):
        return []
    found: list[str] = []
    for body in bodies:
        rules = body.get("rules") if isinstance(body, dict) else None
        found += [str(name) for name in (rules if isinstance(rules, list) else [rules]) if name]
    return found
