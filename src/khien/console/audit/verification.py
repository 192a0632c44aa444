"""Checks the whole chain, from the first entry to the head, and against the anchors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from khien.console.audit.anchors import anchors
from khien.console.audit.models import Entry, Head
from khien.console.audit.services import digest

_CHUNK = 2000
_FIELDS = (
    "number", "at", "actor_id", "actor_name", "action", "target_type", "target_id", "target_text",
    "address", "agent", "before", "after", "previous", "digest",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Finding:
    """The first broken number, and what is wrong there.

    `kind`: `missing`, `changed` (its content), `relinked` (it does not follow the one before), `cut` (entries at
    the end are gone), `added` (past the head), `rewritten` (not what an anchor says).
    """

    number: int
    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """How many entries were read, the last number, how many anchors agreed, and the first finding, if any."""

    entries: int
    last: int
    anchors: int
    finding: Finding | None


def verify(anchor_file: Path, tell: Callable[[int], None] | None = None) -> Verdict:
    """Read all entries in order, a few at a time. `tell` is called with the count now and then.

    Entries may be added meanwhile: the head as it is at the start counts.
    """
    head = Head.objects.filter(pk=1).first()
    end, end_digest = (head.number, head.digest) if head else (0, "")
    awaited = {anchor["number"]: anchor for anchor in anchors(anchor_file)}
    previous, expected, agreed = "", 1, 0
    for count, entry in enumerate(_entries()):
        if entry.number > end:
            if count != end or Head.objects.filter(pk=1, number__gte=entry.number).exists():
                break  # written since
            return Verdict(count, expected - 1, agreed, Finding(entry.number, "added", "an entry past the head"))
        if entry.number != expected:
            text = f"entries {expected} to {entry.number - 1} are missing"
            return Verdict(count, expected - 1, agreed, Finding(expected, "missing", text))
        if digest(entry) != entry.digest:
            return Verdict(count, expected - 1, agreed, Finding(expected, "changed", "its content was changed"))
        if entry.previous != previous:
            text = "it does not follow the entry before it, which was replaced"
            return Verdict(count, expected - 1, agreed, Finding(expected, "relinked", text))
        anchor = awaited.pop(expected, None)
        if anchor is not None:
            if anchor["digest"] != entry.digest:
                text = f"the chain was rewritten: the anchor of {anchor['at']} has another digest"
                return Verdict(count, expected - 1, agreed, Finding(expected, "rewritten", text))
            agreed += 1
        previous, expected = entry.digest, expected + 1
        if tell and expected % 10_000 == 0:
            tell(expected)
    last = expected - 1
    cut = _cut(last, previous, end, end_digest, awaited)
    return Verdict(last, last, agreed, cut)


def _cut(
    last: int, digest_: str, end: int, end_digest: str, awaited: dict[object, dict[str, object]]
) -> Finding | None:
    if last < end:
        return Finding(last + 1, "cut", f"entries {last + 1} to {end} are gone from the end")
    if digest_ != end_digest:
        return Finding(last, "relinked", "the head has another digest than the last entry")
    beyond = max((int(str(number)) for number in awaited), default=0)
    if beyond > last:
        return Finding(last + 1, "cut", f"entries {last + 1} to {beyond} are gone from the end, as an anchor says")
    return None


def _entries() -> Iterator[Entry]:
    after = -1
    while True:
        rows: Iterable[tuple[object, ...]] = (
            Entry.objects.filter(number__gt=after).order_by("number").values_list(*_FIELDS)[:_CHUNK]
        )
        found = False
        for row in rows:
            found = True
            entry = Entry(**dict(zip(_FIELDS, row, strict=True)))
            after = entry.number
            yield entry
        if not found:
            return
