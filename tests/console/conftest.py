"""What tests of the console share: an invented province, and clients signed in as its people."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client

from console_province import Province, make_province, sign_in
from khien.console.upkeep import jobs


@pytest.fixture
def province(db: None) -> Province:
    """A small invented province; every person's password is `correct horse battery`."""
    return make_province()


@pytest.fixture
def signed_in() -> Callable[..., Client]:
    """`signed_in(user)`: a client of that person, past the second factor; English unless told otherwise."""
    return sign_in


@pytest.fixture
def work() -> Callable[[], None]:
    """Do all jobs that wait, as the worker does."""

    def work() -> None:
        while jobs.work("test"):
            pass

    return work
