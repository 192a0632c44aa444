"""A long list, and a worker that does what is asked of it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from console_lists import write_mails
from khien.console.spreadsheets import exports as spreadsheets
from khien.console.upkeep import jobs


@pytest.fixture
def many_mails(province, settings, tmp_path, monkeypatch) -> None:
    """A list one row longer than what is written at once."""
    settings.DATA = tmp_path
    monkeypatch.setattr(spreadsheets, "MOST_AT_ONCE", 30)
    write_mails(31)


@pytest.fixture
def work() -> Callable[[], None]:
    """Do all jobs that wait, as the worker does."""

    def work() -> None:
        while jobs.work("test"):
            pass

    return work
