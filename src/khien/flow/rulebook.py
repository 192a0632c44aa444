"""The rules of the live flow, read again when their files change."""

from __future__ import annotations

import time
from pathlib import Path

import structlog

from khien.errors import KhienError
from khien.hunt.plans import HuntOptions, HuntPlan
from khien.rules.cache import load_rules_cached
from khien.rules.collection import load_placeholders
from khien.rules.documents import rule_files

_LOOK_EVERY = 10.0
_log = structlog.get_logger()


class Rulebook:
    """`plan`: the rules now. `cache`: the folder of compiled rule sets.

    Raises KhienError when nothing can be loaded.
    """

    def __init__(
        self, folders: tuple[Path, ...], level: str, cache: Path | None, placeholders: Path | None = None
    ) -> None:
        self._folders = folders
        self._level = level
        self._cache = cache
        self._placeholders = placeholders
        self._stamp = self._look()
        self._looked = time.monotonic()
        self.plan = self._load()

    def changed(self, now: float | None = None) -> bool:
        """Look at the files (not more often than every 10 s); True when `plan` is a new one.

        Rules that cannot be loaded at all leave the last good ones at work.
        """
        now = time.monotonic() if now is None else now
        if now - self._looked < _LOOK_EVERY:
            return False
        self._looked = now
        stamp = self._look()
        if stamp == self._stamp:
            return False
        try:
            self.plan = self._load()
        except (KhienError, OSError) as error:
            _log.error("rules not reloaded", error=str(error))
            return False
        self._stamp = stamp
        return True

    def _load(self) -> HuntPlan:
        given = load_placeholders(self._placeholders) if self._placeholders else {}
        rules = load_rules_cached(self._folders, given, self._cache)
        if not rules.rules and not rules.correlations:
            raise KhienError(
                "there is no usable rule", ", ".join(map(str, self._folders)), "See why with: khien rules check"
            )
        return HuntPlan(rules, HuntOptions(level=self._level))

    def _look(self) -> int:
        """A number that changes when a rule file appears, vanishes or is written."""
        stamp = []
        try:
            for path in rule_files(list(self._folders)):
                status = path.stat()
                stamp.append((str(path), status.st_mtime_ns, status.st_size, status.st_ino))
        except (OSError, KhienError):
            return 0
        if self._placeholders and self._placeholders.exists():
            stamp.append((str(self._placeholders), self._placeholders.stat().st_mtime_ns, 0, 0))
        return hash(tuple(stamp))
