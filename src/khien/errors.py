"""The one error root of the project, and what could not be read."""

from __future__ import annotations

from dataclasses import dataclass


class KhienError(Exception):
    """Something a person can act on: what happened, where, and what to do about it.

    `what` is a full sentence without the final stop, `where` names a file and a place in it (or
    is empty), `remedy` says what to do (or is empty).
    """

    def __init__(self, what: str, where: str = "", remedy: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.remedy = remedy

    def __str__(self) -> str:
        text = f"{self.where}: {self.what}" if self.where else self.what
        return f"{text}. {self.remedy}" if self.remedy else text


class UsageError(KhienError):
    """The person asked for something that cannot be done as asked."""


class MappingError(KhienError):
    """A mapping table is not valid."""


class RuleError(KhienError):
    """A Sigma rule cannot be used."""


class InputError(KhienError):
    """An input, or a part of it, cannot be read."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A part of the input that could not be read; the rest went on.

    `path` is the file (archive members as `archive.zip!member`), `place` a record number, line or
    offset in words ("line 12", "offset 4096"; empty for the whole file), `count` how many
    neighbours in the same file share the problem.
    """

    path: str
    place: str
    what: str
    remedy: str = ""
    count: int = 1

    def __str__(self) -> str:
        where = f"{self.path}, {self.place}" if self.place else self.path
        times = f" ({self.count} times)" if self.count > 1 else ""
        return f"{where}: {self.what}{times}" + (f". {self.remedy}" if self.remedy else "")
