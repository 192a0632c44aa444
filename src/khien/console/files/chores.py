"""What the worker does for uploaded files."""

from __future__ import annotations

from datetime import timedelta

from khien.console.chores import Chore
from khien.console.files.services import clear_parts

CHORES = [Chore("files.clear_parts", timedelta(hours=6), clear_parts)]
