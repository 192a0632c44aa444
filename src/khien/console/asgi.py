"""The console as an ASGI application.

Pages run in a fixed set of threads that keep their database connections, instead of a new thread and a new
connection for each request; so a process never holds more connections than it has threads, and streams to
browsers hold none while they wait.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import Any

from asgiref.sync import ThreadSensitiveContext
from django.core.asgi import get_asgi_application

from khien.console.files.limits import BodyLimit

THREADS = 16
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "khien.console.settings")


class Threads(Executor):
    """Runs each call in one of the threads; its connection is checked before and given back when old after."""

    def __init__(self, threads: int) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="page")

    def submit(self, call: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Queue a call."""
        return self._pool.submit(_with_connection, call, args, kwargs)


def _with_connection(call: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    from django.db import close_old_connections

    close_old_connections()
    try:
        return call(*args, **kwargs)
    finally:
        close_old_connections()


_django = BodyLimit(get_asgi_application())
_threads = Threads(THREADS)


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Answer one request."""
    async with ThreadSensitiveContext(executor=_threads):
        await _django(scope, receive, send)
