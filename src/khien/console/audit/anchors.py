"""Anchors: the chain's end, written aside now and then, so that a chain rewritten as a whole is found.

`audit-anchor.jsonl` in the data folder: a line is `{"at": ..., "number": ..., "digest": ...}`. Keep a copy elsewhere
(a backup, another machine): it is worth as much as its distance from the database.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings
from django.utils import timezone

from khien.console.audit.models import Head

NAME = "audit-anchor.jsonl"
_log = logging.getLogger("khien.audit")


def anchor_file() -> Path:
    """Where the anchors stand."""
    return Path(settings.DATA) / NAME


def drop_anchor() -> bool:
    """Write the chain's end down, synced; whether there was something new to write."""
    head = Head.objects.filter(pk=1).first()
    if head is None or not head.number:
        return False
    path = anchor_file()
    last = None
    for last in anchors(path):  # noqa: B007
        pass
    if last and last["number"] == head.number:
        return False
    line = json.dumps({"at": timezone.now().isoformat(), "number": head.number, "digest": head.digest})
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
    torn = path.exists() and path.stat().st_size > 0 and not path.read_bytes().endswith(b"\n")
    with path.open("a", encoding="utf-8") as out:
        out.write(("\n" if torn else "") + line + "\n")
        out.flush()
        os.fsync(out.fileno())
    _log.info("audit trail anchored at %s %s", head.number, head.digest)
    return True


def anchors(path: Path) -> Iterator[dict[str, object]]:
    """The anchors of a file, in order; torn lines are skipped."""
    if not path.exists():
        return
    with path.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            try:
                anchor = json.loads(line)
                yield {"at": str(anchor["at"]), "number": int(anchor["number"]), "digest": str(anchor["digest"])}
            except (ValueError, KeyError, TypeError):
                continue
