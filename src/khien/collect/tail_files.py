"""The files that patterns find: new, renamed, cut short, copied and vanished ones."""

from __future__ import annotations

import glob
import os
import stat
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from khien.collect.checkpoints import Key, Mark
from khien.collect.tail_lines import Followed

COMPRESSED = (".gz", ".bz2", ".xz", ".zst", ".zip", ".lz4", ".7z")
"""Names that are never followed: compressed, a file is a rotated one that was read already."""


@dataclass(slots=True)
class TailFigures:
    """What was read since the start; sizes in bytes."""

    lines: int = 0
    bytes: int = 0
    files: int = 0
    """Files followed now."""
    rotated: int = 0
    """Files that were read to their end after they were renamed or deleted."""
    cut_short: int = 0
    """Files that began anew under the same name (truncated)."""
    oversized: int = 0
    """Lines cut off at the longest length."""
    partial: int = 0
    """Last lines that were taken without a line feed."""
    undecided: int = 0
    """Parcels that may be in the spool twice after a crash."""
    spool_full: int = 0
    last: int = 0
    """When lines were last read, in microseconds since 1970 UTC (0: never)."""
    unreadable: Counter[str] = field(default_factory=Counter)
    """How often a file could not be read, by its path."""


class FollowedFiles:
    """All files of one tail, by device and inode."""

    def __init__(
        self,
        patterns: Iterable[str],
        marks: Mapping[Key, Mark],
        figures: TailFigures,
        clock: Callable[[], float],
        *,
        from_end: bool = False,
        rotated_seconds: float = 30.0,
        quiet_seconds: float = 300.0,
    ) -> None:
        self._patterns = tuple(patterns)
        self._marks = dict(marks)
        self._figures = figures
        self._clock = clock
        self._from_end = from_end
        self._rotated_seconds = rotated_seconds
        self._quiet_seconds = quiet_seconds
        self._files: dict[Key, Followed] = {}
        self.gone: list[Key] = []
        """Files that need no mark any more; the caller takes them out."""
        self.placed: list[Mark] = []
        """Marks to save before anything is read, without a parcel; the caller takes them out."""

    def scan(self) -> None:
        """Look for new, renamed, cut short and vanished files."""
        found = self._found()
        # Files with a mark first, then by name: a copy is told by the file it was made of.
        for key, path in sorted(found.items(), key=lambda item: (item[0] not in self._marks, item[1])):
            known = self._files.get(key)
            if known is None:
                self._add(key, path)
            else:
                known.path, known.gone_since = path, None
        for mark in self._marks.values():  # files that were renamed while no one looked
            if mark.key not in self._files and (place := _sibling(Path(mark.path), mark.key)) is not None:
                self._add(mark.key, place, mark)
            if mark.key not in self._files:
                self.gone.append(mark.key)
        self._marks, self._from_end = {}, False
        now = self._clock()
        for file in tuple(self._files.values()):
            self._guard(file, self._check)
            if file.key not in found and file.gone_since is None:
                file.gone_since = now
        self._figures.files = len(self._files)

    def readable(self) -> list[tuple[Followed, bool, int]]:
        """(file, whether it grows no more, bytes not read) of all files with something to read."""
        now = self._clock()
        out: list[tuple[Followed, bool, int]] = []
        for file in tuple(self._files.values()):
            self._guard(file, lambda file: self._consider(file, now, out))
        return out

    def drop(self, file: Followed) -> None:
        """Follow a file no more, and need no mark of it."""
        file.close()
        self._files.pop(file.key, None)
        self.gone.append(file.key)

    def close(self) -> None:
        """Let go of all files."""
        for file in self._files.values():
            file.close()

    def _found(self) -> dict[Key, Path]:
        found: dict[Key, Path] = {}
        for pattern in self._patterns:
            for name in glob.iglob(pattern, recursive=True):  # noqa: PTH207 (patterns are absolute)
                if name.endswith(COMPRESSED):
                    continue
                try:
                    about = os.stat(name)  # noqa: PTH116
                except OSError:
                    continue
                if stat.S_ISREG(about.st_mode):
                    found.setdefault((about.st_dev, about.st_ino), Path(name))
        return found

    def _add(self, key: Key, path: Path, mark: Mark | None = None) -> None:
        mark = mark or self._marks.get(key)
        file = Followed(path, key)
        try:
            if not file.open():
                return
            if mark is not None:
                file.offset, file.skipping, file.head = mark.offset, mark.skipping, mark.head
            elif self._from_end:
                file.offset = file.size(self._clock())
                file.headed()
                self.placed.append(file.mark())
            else:
                file.copy_of = self._original(file)
        except OSError as error:
            self._figures.unreadable[f"{path}: {error.strerror}"] += 1
            return
        file.grew_at = self._clock()
        self._files[key] = file

    def _original(self, file: Followed) -> Followed | None:
        """The followed file that this new one is a copy of: a name to which it adds, the same first bytes."""
        for other in self._files.values():
            if other.offset and file.path.parent == other.path.parent and file.path != other.path:
                if file.path.name.startswith(other.path.name) and _same_head(file.path, other.head):
                    return other
        return None

    def _check(self, file: Followed) -> None:
        if not file.is_open or not file.was_cut_short():
            return
        self._figures.cut_short += 1
        if not any(other.copy_of is file for other in self._files.values()):
            self._find_copy(file)
        for other in self._files.values():
            if other.copy_of is file:
                other.copy_of, other.offset, other.head = None, file.offset, file.head
                other.skipping = file.skipping
                self.placed.append(other.mark())
        file.restart()
        self.placed.append(file.mark())

    def _find_copy(self, file: Followed) -> None:
        """Copy and truncate: what was not read of a file stands in the copy, if that can be told."""
        for path in file.path.parent.glob(f"{glob.escape(file.path.name)}?*"):
            if path.name.endswith(COMPRESSED) or not _same_head(path, file.head):
                continue
            about = path.stat()
            key = about.st_dev, about.st_ino
            if key not in self._files and about.st_size >= file.offset:
                copy = Followed(path, key)
                if copy.open():
                    copy.copy_of = file
                    self._files[key] = copy
                    return

    def _consider(self, file: Followed, now: float, out: list[tuple[Followed, bool, int]]) -> None:
        if file.copy_of is not None:
            if file.copy_of.key in self._files and _same_head(file.path, file.copy_of.head):
                return
            file.offset = file.copy_of.offset if _same_head(file.path, file.copy_of.head) else 0
            file.copy_of = None
        if not file.is_open:
            about = file.path.stat()
            if (about.st_dev, about.st_ino) != file.key:
                raise FileNotFoundError(file.path)
            if (about.st_size == file.offset and file.gone_since is None) or not file.open():
                return
        left = file.size(now) - file.offset
        quiet = now - file.grew_at
        ended = file.gone_since is not None and min(quiet, now - file.gone_since) > self._rotated_seconds
        if left < 0 or (left and file.was_cut_short()):
            self._check(file)
            left = file.size(now) - file.offset
        if left:
            out.append((file, ended, left))
        elif ended:
            self._figures.rotated += 1
            self.drop(file)
        elif quiet > self._quiet_seconds and file.gone_since is None:
            file.close()

    def _guard(self, file: Followed, step: Callable[[Followed], None]) -> None:
        try:
            step(file)
        except FileNotFoundError:
            if not file.is_open:
                self._lost_sight(file)
        except OSError as error:
            self._figures.unreadable[f"{file.path}: {error.strerror}"] += 1

    def _lost_sight(self, file: Followed) -> None:
        path = _sibling(file.path, file.key)
        if path is None:
            self.drop(file)
        else:
            file.path = path


def _sibling(path: Path, key: Key) -> Path | None:
    """The file with this device and inode in the folder of `path`, uncompressed; None where there is none."""
    try:
        with os.scandir(path.parent) as entries:
            for entry in entries:
                if entry.inode() == key[1] and not entry.name.endswith(COMPRESSED):
                    if entry.is_file() and entry.stat().st_dev == key[0]:
                        return Path(entry.path)
    except OSError:
        return None
    return None


def _same_head(path: Path, head: bytes) -> bool:
    if not head:
        return False
    try:
        with path.open("rb") as stream:
            return stream.read(len(head)) == head
    except OSError:
        return False
