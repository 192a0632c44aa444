"""What can go wrong with the lake."""

from __future__ import annotations

from khien.errors import KhienError


class LakeError(KhienError):
    """The lake cannot be opened, read or written."""


class ConflictError(LakeError):
    """Another process kept changing what this one wanted to change."""


class QueryError(KhienError):
    """A query cannot be run: not allowed, not valid, or past its limits."""


class SearchError(KhienError):
    """A search cannot be understood. `shown` is the search with a mark below the place (two lines), or empty."""

    def __init__(self, what: str, where: str = "", remedy: str = "", shown: str = "") -> None:
        super().__init__(what, where, remedy)
        self.shown = shown

    def __str__(self) -> str:
        if not self.shown:
            return super().__str__()
        return f"{self.what}\n{self.shown}" + (f"\n{self.remedy}" if self.remedy else "")
