"""What whoever makes a file asks: may it take long here, and how far is it.

The same code makes a file at once, within a request, and later, in the worker. It calls `permitted` once it knows
that the person may, `weigh` once it knows how much there is to do, and `counted` while it does it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

from khien.console.exports.models import Reason

T = TypeVar("T")
Tell = Callable[[int, int], None]
_tell: ContextVar[Tell | None] = ContextVar("tell", default=None)
_asks_only: ContextVar[bool] = ContextVar("asks_only", default=False)
_EVERY = 200
"""Rows between two words of how far it is."""


class TakesLong(Exception):
    """This would hold up the request: it is to be asked of the worker, by the `address` of its page.

    `form`: what that page is sent, where it is not only opened; set by an operation of the API that stands for it.
    """

    def __init__(self, title: str, address: str) -> None:
        super().__init__(address)
        self.title, self.address = title, address
        self.form: Mapping[str, Sequence[str]] | None = None


class NotMade(Exception):
    """The worker cannot make it."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.value)
        self.reason = reason


class Permitted(BaseException):
    """Not an error: the person may, and no more was asked. No handler of errors takes it for one."""


def permitted() -> None:
    """The person may have the file: call it after every check of rights, before the work."""
    if _asks_only.get():
        raise Permitted


def weigh(title: str, address: str, *, long: bool) -> None:
    """Raises TakesLong for what takes longer than about 2 s, unless the worker makes it.

    `title`: what the person calls it; `address`: of the page that makes it.
    """
    if long and not in_worker():
        raise TakesLong(title, address)


def in_worker() -> bool:
    """Whether the worker makes this file, so that it may take long."""
    return _tell.get() is not None


def counted(rows: Iterable[T], total: int = 0) -> Iterator[T]:
    """The rows, telling how many went by. `total`: how many there will be, 0 where nobody knows."""
    tell = _tell.get()
    for done, row in enumerate(rows, start=1):
        yield row
        if tell is not None and done % _EVERY == 0:
            tell(done, total)


@contextmanager
def telling(tell: Tell) -> Iterator[None]:
    """The worker makes a file, and wants to know how far it is."""
    token = _tell.set(tell)
    try:
        yield
    finally:
        _tell.reset(token)


@contextmanager
def asking_only() -> Iterator[None]:
    """Nothing is made: `permitted` raises Permitted."""
    token = _asks_only.set(True)
    try:
        yield
    finally:
        _asks_only.reset(token)
