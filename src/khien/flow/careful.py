"""Work on parcels one after another, in which a bad event costs itself and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

import structlog

from khien.collect.spool import Parcel
from khien.flow.setaside import CHILD_SECONDS, CHILD_TRIES, Doubts, SetAside, culprits, survives, without

T = TypeVar("T")
_log = structlog.get_logger()


class Careful(Generic[T]):
    """Runs `act(sequence, parcel)`.

    When that raises, or took the process down before, the events that make it so are set aside.
    `sign()` is called while that is being found out, which may take minutes. `seconds`: for how long
    a part of a parcel that took the process down is tried.
    """

    def __init__(
        self,
        act: Callable[[int, Parcel], T],
        doubts: Doubts,
        aside: SetAside,
        sign: Callable[[], None] = lambda: None,
        seconds: float = CHILD_SECONDS,
    ) -> None:
        self._act = act
        self._doubts = doubts
        self._aside = aside
        self._sign = sign
        self._seconds = seconds

    def run(self, sequence: int, parcel: Parcel) -> T:
        """What the act gives for the parcel, or for what is left of it."""

        def act(part: Parcel) -> T:
            return self._act(sequence, part)

        if self._doubts.begin(sequence):
            _log.error("parcel tried apart", source=parcel.source, sequence=sequence)
            guilty = culprits(parcel, survives(act, self._sign, self._seconds), CHILD_TRIES)
            if guilty:
                parcel = self._put(sequence, parcel, guilty, "took the process down, or did not end")
        try:
            return act(parcel)
        except Exception as error:  # whatever an event can make the code do
            reason = repr(error)
            _log.error("events set aside", source=parcel.source, sequence=sequence, error=reason)

            def works(part: Parcel) -> bool:
                self._sign()
                try:
                    act(part)
                except Exception:
                    return False
                return True

            return act(self._put(sequence, parcel, culprits(parcel, works), reason))

    def _put(self, sequence: int, parcel: Parcel, guilty: list[int], reason: str) -> Parcel:
        lines = parcel.data.split(b"\n")
        told = [at for at in guilty if lines[at].strip()]
        for first, last in _runs(told):
            self._aside.put(sequence, parcel, first + 1, b"\n".join(lines[first : last + 1]), reason)
        return without(parcel, guilty)


def _runs(numbers: list[int]) -> list[tuple[int, int]]:
    """(first, last) of each run of numbers that follow one another."""
    runs: list[tuple[int, int]] = []
    for number in numbers:
        if runs and runs[-1][1] == number - 1:
            runs[-1] = runs[-1][0], number
        else:
            runs.append((number, number))
    return runs
