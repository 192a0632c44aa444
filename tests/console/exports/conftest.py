"""A long list."""

from __future__ import annotations

import pytest

from console_lists import write_mails
from khien.console.spreadsheets import exports as spreadsheets


@pytest.fixture
def many_mails(province, settings, tmp_path, monkeypatch) -> None:
    """A list one row longer than what is written at once."""
    settings.DATA = tmp_path
    monkeypatch.setattr(spreadsheets, "MOST_AT_ONCE", 30)
    write_mails(31)
