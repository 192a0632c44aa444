"""The body that issues documents: what stands on each of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from khien.documents.document import Document, Language, Signature


@dataclass(frozen=True, slots=True, kw_only=True)
class Office:
    """Who issues. `code`: its abbreviation in signs (TBATANM); `unit_code`: of the office that drafts, for letters."""

    issuer: str
    code: str = ""
    unit_code: str = ""
    parent: str = ""
    place: str = ""
    signature: Signature | None = None
    recipients: Sequence[str] = ()
    archive: str = "VT"
    family: str = "decree30"
    large: bool = True
    language: Language = "vi"

    def sign(self, kind: str) -> str:
        """What follows the number: "TB-TBATANM"; of a letter (no kind) "TBATANM-TGV"."""
        return "-".join(part for part in ((kind, self.code) if kind else (self.code, self.unit_code)) if part)

    def document(self, kind: str, number: int | None, day: date | None, **parts: Any) -> Document:
        """A document of this body. `kind`: an abbreviation such as TB, empty for a letter; `parts`: what it says."""
        from khien.documents.layout import layout

        given: dict[str, Any] = {
            "issuer": self.issuer,
            "parent": self.parent,
            "number": number,
            "sign": self.sign(kind),
            "place": self.place,
            "date": day,
            "kind": layout(self.family).kind(kind, self.language).capitalize() if kind else "",
            "signature": self.signature,
            "recipients": self.recipients,
            "archive": self.archive,
            "family": self.family,
            "large": self.large,
            "language": self.language,
        }
        return Document(**{**given, **parts})
