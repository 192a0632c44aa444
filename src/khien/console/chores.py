"""Chores: what the console's worker does again and again. Each app lists its own in its module `chores`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from importlib import import_module
from importlib.util import find_spec

from django.apps import apps


@dataclass(frozen=True, slots=True)
class Chore:
    """`run` is called about every `every`, by one worker at a time; done twice, it does no harm.

    `longest_wait`: after errors it waits longer each time, and at most so long.
    """

    name: str
    every: timedelta
    run: Callable[[], object]
    longest_wait: timedelta = timedelta(minutes=5)


def all_chores() -> list[Chore]:
    """The `CHORES` of every app of the console that has a module `chores`."""
    found: list[Chore] = []
    for app in apps.get_app_configs():
        if app.name.startswith("khien.console.") and find_spec(f"{app.name}.chores"):
            found += import_module(f"{app.name}.chores").CHORES
    return found
