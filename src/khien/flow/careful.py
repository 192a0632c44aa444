"""Work on parcels one after another, in which a bad event costs itself and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

import structlog

from khien.collect.spool import Parcel
from khien.flow.setaside import Doubts, SetAside, culprits, survives, without

T = TypeVar("T")
_log = structlog.get_logger()


class Careful(Generic[T]):
    """Runs `act(sequence, parcel)`.

    When that raises, or took the process down before, the events that make it so are set aside.
    """

    def __init__(self, act: Callable[[int, Parcel], T], doubts: Doubts, aside: SetAside) -> None:
        self._act = act
        self._doubts = doubts
        self._aside = aside

    def run(self, sequence: int, parcel: Parcel) -> T:
        """What the act gives for the parcel, or for what is left of it."""

        def act(part: Parcel) -> T:
            return self._act(sequence, part)

        if self._doubts.begin(sequence):
            guilty = culprits(parcel, survives(act))
            if guilty:
                parcel = self._put(sequence, parcel, guilty, "took the process down, or did not end")
        try:
            return act(parcel)
        except Exception as error:  # whatever an event can make the code do
            reason = repr(error)
            _log.error("events set aside", source=parcel.source, sequence=sequence, error=reason)

            def works(part: Parcel) -> bool:
                try:
                    act(part)
                except Exception:
                    return False
                return True

            return act(self._put(sequence, parcel, culprits(parcel, works), reason))

    def _put(self, sequence: int, parcel: Parcel, guilty: list[int], reason: str) -> Parcel:
        lines = parcel.data.split(b"\n")
        for at in guilty:
            if lines[at].strip():
                self._aside.put(sequence, parcel, at + 1, lines[at], reason)
        return without(parcel, guilty)
