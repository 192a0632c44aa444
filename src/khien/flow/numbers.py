"""The numbers of parcels, by which lake and alerts know what they have: a spool must go on after them."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable
from pathlib import Path

from khien.collect.positions import Head, lane_folder
from khien.collect.spool import lanes_of
from khien.lake.schema import EVENTS, FINDINGS
from khien.lake.store import Lake


def numbers_of(spool: Path, lanes: Iterable[int]) -> dict[int, int]:
    """The last number of each lane; 0 where it is new."""
    found = {}
    for lane in lanes:
        head = Head(spool, lane)
        found[lane] = head.load()
        head.close()
    return found


def go_on_after(spool: Path, alerts: Path, lake: Lake, lanes: Iterable[int] = ()) -> list[int]:
    """Let a spool's numbers go on after those that lake and alerts have, if they are newer than it (a lost disk, an old
    backup): its new parcels would be taken for old ones. Gives the lanes that were behind.

    Nothing may write the spool meanwhile. Raises LakeError or OSError.
    """
    # Lanes of the spool are below 100; others are streams of findings that the spool knows nothing of.
    taken: dict[int, int] = {}
    if alerts.exists():
        with contextlib.closing(sqlite3.connect(alerts)) as database:
            taken = dict(database.execute("SELECT lane, position FROM positions WHERE lane < 100"))
    behind = []
    for lane, number in sorted(numbers_of(spool, {*lanes_of(spool), *taken, *lanes}).items()):
        known = [taken.get(lane, 0), lake.version(f"khien-lane-{lane:02d}", EVENTS) or 0]
        known.append(lake.version(f"khien-findings-{lane:02d}", FINDINGS) or 0)
        if number < max(known):
            lane_folder(spool, lane).mkdir(parents=True, exist_ok=True)
            head = Head(spool, lane)
            head.save(max(known))
            head.close()
            behind.append(lane)
    return behind
