"""Sigma log sources."""

from __future__ import annotations

import msgspec


class LogSource(msgspec.Struct, frozen=True):
    """A Sigma log source. An empty part of a rule's log source covers any value of it."""

    product: str = ""
    category: str = ""
    service: str = ""

    def covers(self, other: LogSource) -> bool:
        """Tell whether a rule with this log source applies to events of log source `other`."""
        return (
            (not self.product or self.product == other.product)
            and (not self.category or self.category == other.category)
            and (not self.service or self.service == other.service)
        )

    def __str__(self) -> str:
        return "/".join(part or "*" for part in (self.product, self.category, self.service))
