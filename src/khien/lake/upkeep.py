"""Upkeep of the lake: compact, retain, vacuum. Safe beside writers, readers and each other."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import groupby
from pathlib import PurePosixPath
from typing import Final

import pyarrow as pa
from deltalake.exceptions import DeltaError

from khien.lake.errors import ConflictError, LakeError
from khien.lake.files import DataFile, delete
from khien.lake.merging import Overlap, merge, sketched
from khien.lake.schema import KINDS, TableKind
from khien.lake.sketch import sketch_path
from khien.lake.store import Lake

TARGET: Final = 128_000_000
_MOST_MEMORY: Final = 600_000_000
_FEW: Final = 4
_MOST_FILES: Final = 256
"""All files of a merge are open at once."""


@dataclass(slots=True)
class Compacted:
    """What a compaction did: files and bytes before and after; `conflicts`: merges given up to other processes."""

    files_before: int = 0
    files_after: int = 0
    bytes_before: int = 0
    bytes_after: int = 0
    conflicts: int = 0


@dataclass(slots=True)
class Retained:
    """What was removed from the tables: files, rows, bytes, and the days that are gone or shorter."""

    files: int
    rows: int
    size: int
    days: list[date]


def compact(lake: Lake, *, target: int = TARGET, today: date | None = None) -> Compacted:
    """Merge the small files of each partition into files of about `target` bytes, in order of time, with sketches.

    Closed days (before `today`, UTC) end up with as few files as can be; of the current day files are merged when there
    are at least four of like size, so that no row is rewritten again and again. Memory stays below about 1 GB.
    """
    today = today or datetime.now(UTC).date()
    done = Compacted()
    for kind in KINDS:
        mark = lake.mark(kind)
        files = lake.files(kind)
        for _, group in groupby(sorted(files, key=_partition), key=_partition):
            bins = list(_bins(lake, kind, list(group), target, today))
            if any(not _merge(lake, kind, mark + at, bin_, done) for at, bin_ in enumerate(bins)):
                break  # others are at it
            mark += len(bins)
    return done


def _merge(lake: Lake, kind: TableKind, mark: int, files: Sequence[DataFile], done: Compacted) -> bool:
    try:
        added = merge(lake.storage, kind, files)
    except FileNotFoundError:
        if all(lake.storage.size(f"{kind.name}/{file.path}") is None for file in files) or lake.mark(kind) != mark:
            done.conflicts += 1
            return False
        raise LakeError("files are missing", f"{lake.storage.uri}/{kind.name}", "Run khien lake check") from None
    except (OSError, pa.ArrowException) as error:
        place = f"{lake.storage.uri}/{kind.name}"
        raise LakeError(f"cannot be compacted: {error}", place, "Run khien lake check") from error
    try:
        lake.replace(kind, mark, [added], [file.removal(data_change=False) for file in files])
    except ConflictError:
        delete(lake.storage, kind, [added])
        lake.storage.delete(sketch_path(kind.name, added.path))
        done.conflicts += 1
        return False
    done.files_before += len(files)
    done.files_after += 1
    done.bytes_before += sum(file.size for file in files)
    done.bytes_after += added.size
    return True


def _bins(lake: Lake, kind: TableKind, files: list[DataFile], target: int, today: date) -> Iterator[list[DataFile]]:
    small = sorted((file for file in files if file.size < target // 2), key=lambda file: file.first or 0)
    closed = files[0].day < today
    if not closed:
        small = _alike(small)
    bin_: list[DataFile] = []
    size = 0
    if len(small) < (1 if closed else _FEW):
        return
    overlap = Overlap(lake.storage, kind)
    for file in small:
        full = len(bin_) >= _MOST_FILES or size + file.size > target
        if bin_ and (full or overlap.with_(file) > _MOST_MEMORY):
            if _worth(lake, kind, bin_, closed):
                yield bin_
            bin_, size = [], 0
            overlap = Overlap(lake.storage, kind)
        overlap.add(file)
        bin_.append(file)
        size += file.size
    if bin_ and _worth(lake, kind, bin_, closed):
        yield bin_


def _worth(lake: Lake, kind: TableKind, files: list[DataFile], closed: bool) -> bool:
    if len(files) >= (2 if closed else _FEW):
        return True
    if not closed or not sketched(kind, files):
        return False
    return any(lake.storage.size(sketch_path(kind.name, file.path)) is None for file in files)


def _alike(files: list[DataFile]) -> list[DataFile]:
    """The files without those that are larger than all smaller ones together."""
    kept = sorted(files, key=lambda file: file.size)
    while len(kept) > 1 and kept[-1].size > sum(file.size for file in kept[:-1]):
        kept.pop()
    return sorted(kept, key=lambda file: file.first or 0)


def retain(lake: Lake, *, days: int | None = None, size: int | None = None, today: date | None = None) -> Retained:
    """Remove the rows of days more than `days` days before `today` (UTC), then whole oldest days down to `size` bytes.

    Both tables count; the current day is never removed for size. The files themselves go with the next `vacuum`. Raises
    ConflictError when another process was replacing files at the same moment: try again.
    """
    today = today or datetime.now(UTC).date()
    marks = {kind.name: lake.mark(kind) for kind in KINDS}
    everything = [(kind, file) for kind in KINDS for file in lake.files(kind)]
    oldest = None if days is None else today - timedelta(days=days)
    gone = [(kind, file) for kind, file in everything if oldest is not None and file.day < oldest]
    if size is not None:
        paths = {file.path for _, file in gone}
        left = sorted((each for each in everything if each[1].path not in paths), key=lambda each: each[1].day)
        total = sum(file.size for _, file in left)
        for _, group in groupby(left, key=lambda each: each[1].day):
            of_day = list(group)
            if total <= size or of_day[0][1].day >= today:
                break
            gone += of_day
            total -= sum(file.size for _, file in of_day)
    for kind in KINDS:
        removed = [file.removal(data_change=True) for each, file in gone if each is kind]
        if removed:
            lake.replace(kind, marks[kind.name], [], removed)
    return Retained(
        files=len(gone),
        rows=sum(file.rows for _, file in gone),
        size=sum(file.size for _, file in gone),
        days=sorted({file.day for _, file in gone}),
    )


def vacuum(lake: Lake, *, hours: float = 24) -> list[str]:
    """Delete the files that no version of the last `hours` hours needs; their paths relative to the root.

    These are files removed by `compact` and `retain`, and those left behind by writers that were killed. A query that
    runs longer than `hours` may lose its files. Raises LakeError.
    """
    gone: list[str] = []
    for kind in KINDS:
        try:
            paths = lake.table(kind).vacuum(
                retention_hours=max(0, int(hours)), dry_run=False, enforce_retention_duration=False, full=True
            )
        except (DeltaError, OSError) as error:
            raise LakeError(f"cannot be vacuumed: {error}", f"{lake.storage.uri}/{kind.name}") from error
        gone += [f"{kind.name}/{path}" for path in paths]
        gone += _lone_sketches(lake, kind, hours)
    return gone


def _lone_sketches(lake: Lake, kind: TableKind, hours: float) -> list[str]:
    files = lake.storage.walk(kind.name)
    data = {
        PurePosixPath(path).stem for path, _, _ in files if path.endswith(".parquet") and "/_delta_log/" not in path
    }
    before = time.time() - hours * 3600
    lone = [
        path
        for path, _, changed in files
        if path.endswith(".sketch") and PurePosixPath(path).stem not in data and changed <= before
    ]
    for path in lone:
        lake.storage.delete(path)
    return lone


def _partition(file: DataFile) -> tuple[str, ...]:
    return tuple(file.partition.values())
