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
    """A search cannot be understood. `where` shows the place in it."""
