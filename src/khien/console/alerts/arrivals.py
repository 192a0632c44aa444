"""Tells open pages of alerts that arrive: one look at the database for all of a process's listeners.

Each listener hears of those its filter asks for and its person may see; that is looked at anew every few seconds, and
the stream ends when the session has ended or the role may not see alerts any more.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import structlog
from django.contrib.sessions.backends.db import SessionStore
from django.db import close_old_connections, connection
from django.db.models import Max

from khien.console.accounts.models import User
from khien.console.accounts.sessions import IDLE, LONGEST
from khien.console.alerts import content
from khien.console.alerts.criteria import Criteria
from khien.console.alerts.language import FilterError
from khien.console.alerts.models import Alert
from khien.console.alerts.state import State

LOOK_SECONDS = 0.5
BEAT_SECONDS = 15.0
CHECK_SECONDS = 10.0
LONGEST_SECONDS = 3600.0
MOST_LISTENERS = 400
MOST_OF_ONE = 12
_OVERLAP = 200
"""Ids behind the newest that are looked at again: with several writers they do not become visible in order."""
_AT_ONCE = 2_000
_COLUMNS = (
    "id", "unit_id", "level", "status", "owner_id", "rule_id", "entity_value", "entity_kind", "incident_id",
    "system_id", "verdict", "classification", "made_by_id", "last_at",
)  # fmt: skip
_log = structlog.get_logger()


@dataclass(eq=False, slots=True)
class Listener:
    """A page that waits. `criteria`: what it asks for."""

    user_id: int
    session_key: str
    state: State
    criteria: Criteria
    checked: float
    heard: asyncio.Queue[list[int]] = field(default_factory=lambda: asyncio.Queue(maxsize=1_000))


class TooMany(Exception):
    """There are as many listeners as may be."""


class Watch:
    """The listeners of a process, and the one who looks for them."""

    def __init__(self) -> None:
        self._listeners: set[Listener] = set()
        self._task: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="arrivals")
        self._seen: set[int] = set()
        self._newest: int | None = None

    def join(self, listener: Listener) -> None:
        """Begin to listen. Raises TooMany."""
        of_one = Counter(each.user_id for each in self._listeners)[listener.user_id]
        if len(self._listeners) >= MOST_LISTENERS or of_one >= MOST_OF_ONE:
            raise TooMany
        self._listeners.add(listener)
        if self._task is None or self._task.done() or self._task.get_loop() is not asyncio.get_running_loop():
            self._task = asyncio.get_running_loop().create_task(self._look())

    def leave(self, listener: Listener) -> None:
        """Listen no more; with the last one the looking ends."""
        self._listeners.discard(listener)
        if not self._listeners and self._task is not None:
            self._task.cancel()
            self._task, self._newest = None, None

    async def run(self, call: Callable[..., Any], *args: Any) -> Any:
        """Call something that reads the database, in the watch's own thread."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, _in_thread, call, args)

    async def _look(self) -> None:
        while True:
            try:
                texts = {each.criteria.texts for each in self._listeners if each.criteria.texts}
                rows, having = await self.run(self._arrived, texts)
                if rows:
                    self._tell(rows, having)
            except Exception:
                _log.exception("looking for new alerts failed")
                await asyncio.sleep(2)
            await asyncio.sleep(LOOK_SECONDS)

    def _arrived(self, texts: set[tuple[str, ...]]) -> tuple[list[dict[str, Any]], dict[tuple[str, ...], set[int]]]:
        """Alerts not seen before, and for each of some searches which of them have it in their content."""
        if self._newest is None:
            self._newest = Alert.objects.aggregate(newest=Max("id"))["newest"] or 0
            self._seen = set(Alert.objects.filter(id__gt=self._newest - _OVERLAP).values_list("id", flat=True))
            return [], {}
        found = Alert.objects.filter(id__gt=self._newest - _OVERLAP).order_by("id").values(*_COLUMNS)
        rows = [row for row in found[:_AT_ONCE] if row["id"] not in self._seen]
        if not rows:
            return [], {}
        self._newest = max(self._newest, rows[-1]["id"])
        self._seen.update(row["id"] for row in rows)
        self._seen = {pk for pk in self._seen if pk > self._newest - _OVERLAP}
        ids = [row["id"] for row in rows]
        return rows, {each: _having(each, min(ids), max(ids)) for each in texts}

    def _tell(self, rows: list[dict[str, Any]], having: dict[tuple[str, ...], set[int]]) -> None:
        for listener in self._listeners:
            wanted = listener.criteria
            ids = [row["id"] for row in rows if wanted.matches(row)]
            if wanted.texts:
                ids = [pk for pk in ids if pk in having.get(wanted.texts, ())]
            if ids and not listener.heard.full():
                listener.heard.put_nowait(ids)


watch = Watch()


async def stream(listener: Listener) -> AsyncIterator[str]:
    """Server-sent events: `alerts` with how many arrived, `end` when there will be no more."""
    try:
        watch.join(listener)
    except TooMany:
        yield "event: end\ndata: {}\n\n"
        return
    ends = time.monotonic() + LONGEST_SECONDS
    beat = time.monotonic()
    try:
        yield "retry: 5000\nevent: ready\ndata: {}\n\n"
        while time.monotonic() < ends:
            try:
                ids = await asyncio.wait_for(listener.heard.get(), timeout=min(BEAT_SECONDS, CHECK_SECONDS))
            except TimeoutError:
                ids = []
            if time.monotonic() - listener.checked > CHECK_SECONDS:
                if not await watch.run(_check, listener):
                    yield "event: end\ndata: {}\n\n"
                    return
            if ids:
                yield f"event: alerts\ndata: {json.dumps({'n': len(ids), 'newest': max(ids)})}\n\n"
                beat = time.monotonic()
            elif time.monotonic() - beat > BEAT_SECONDS:
                yield ": still here\n\n"
                beat = time.monotonic()
    finally:
        watch.leave(listener)


def _check(listener: Listener) -> bool:
    """Whether the person is still signed in and may still see alerts; which ones is looked up anew."""
    listener.checked = time.monotonic()
    store = SessionStore(listener.session_key)
    if str(store.get("_auth_user_id", "")) != str(listener.user_id):
        return False
    user = User.objects.filter(pk=listener.user_id, is_active=True).first()
    if user is None or not user.may("alerts.view"):
        return False
    now = time.time()
    if now - store.get("began", now) > LONGEST.total_seconds():
        return False
    if user.is_privileged and now - store.get("seen", now) > IDLE.total_seconds():
        return False
    try:
        listener.criteria = listener.state.criteria(user)
    except FilterError:
        return False
    return True


def _having(texts: tuple[str, ...], first: int, last: int) -> set[int]:
    wanted = content.match(texts)
    if not wanted:
        return set()
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT rowid FROM alerts_content WHERE {content.condition()} AND rowid BETWEEN %s AND %s",  # noqa: S608
            [wanted, content.row_of(first, 0), content.row_of(last, content.POSITIONS - 1)],
        )
        return {row[0] // content.POSITIONS for row in cursor.fetchall()}


def _in_thread(call: Callable[..., Any], args: tuple[Any, ...]) -> Any:
    close_old_connections()
    try:
        return call(*args)
    finally:
        close_old_connections()
