"""`khien console serve`: the processes that answer pages, and the worker, watched over by one that does nothing else.

`python -m khien.console.serving web|worker ...` is one of these processes. Each ends when the supervisor does,
however that ends: they hold the other end of a pipe.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field

import structlog

from khien.flow.logs import set_up_logs
from khien.flow.restarting import Restarted, end_all

_GRACE = 5
"""Seconds that requests and streams have to end when the console stops."""
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class WebSettings:
    """How pages are answered. `proxy`: the addresses whose word on the sender is believed; "" for none."""

    tls_cert: str = ""
    tls_key: str = ""
    proxy: str = ""


@dataclass(slots=True)
class Child(Restarted):
    """One of the console's processes."""

    name: str
    arguments: list[str]


@dataclass(slots=True)
class Supervisor:
    """Starts the processes, starts again what ends, and stops all."""

    listener: socket.socket
    web: WebSettings
    workers: int
    children: list[Child] = field(default_factory=list)
    _pipe: tuple[int, int] = (-1, -1)

    def run(self, stopping: Callable[[], bool], ready: Callable[[], None] = lambda: None) -> None:
        """Start, watch until `stopping()`, stop. `ready` is called when pages are answered."""
        self._pipe = os.pipe()
        settings = json.dumps(asdict(self.web))
        fd, pipe = str(self.listener.fileno()), str(self._pipe[0])
        self.children = [Child(f"web-{at}", ["web", pipe, fd, settings]) for at in range(self.workers)]
        self.children.append(Child("worker", ["worker", pipe]))
        try:
            for child in self.children:
                self._start(child)
            said = False
            while not stopping():
                self.look()
                if not said and self._answers():
                    said = True
                    ready()
                time.sleep(0.1)
        finally:
            self.stop()
            for end in self._pipe:
                os.close(end)

    def look(self) -> None:
        """Start again what ended, sooner when it had lived long."""
        now = time.monotonic()
        for child in self.children:
            if child.process is None:
                if now >= child.not_before:
                    self._start(child)
                continue
            if (end := child.ended(now)) is None:
                continue
            code, lived = end
            _log.error("console process ended", name=child.name, code=code, lived=round(lived, 1), again_in=child.wait)

    def stop(self, patience: float = 30.0) -> None:
        """Stop all at once, and wait for at most `patience` seconds."""
        end_all(self.children, time.monotonic() + patience)

    def _start(self, child: Child) -> None:
        command = [sys.executable, "-m", "khien.console.serving", *child.arguments]
        passed = (self.listener.fileno(), self._pipe[0])
        # A pipe's end that reads nothing until the supervisor is gone; its writing end is not inherited.
        process = subprocess.Popen(command, pass_fds=passed, start_new_session=True)  # noqa: S603 - our own
        child.begin(process)
        _log.info("console process started", name=child.name, pid=process.pid)

    def _answers(self) -> bool:
        """Whether a page process takes connections: the kernel takes them from the start, so ask for an answer."""
        host, port = self.listener.getsockname()[:2]
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared, not bound
        with contextlib.suppress(OSError), socket.create_connection((host, port), timeout=0.5) as stream:
            if self.web.tls_cert:
                return True
            stream.settimeout(2.0)
            name = os.environ.get("KHIEN_HOSTS", "").split(",")[0].strip().lstrip(".*") or "localhost"
            stream.sendall(f"GET /health HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n".encode())
            return stream.recv(16).startswith(b"HTTP/1.1 ")
        return False


def _end_with(pipe: int) -> None:
    """Stop this process when the supervisor is gone."""

    def wait() -> None:
        with contextlib.suppress(OSError):
            os.read(pipe, 1)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, name="supervisor", daemon=True).start()


def serve_pages(fd: int, settings: WebSettings) -> None:
    """Answer pages on a listening socket until a signal."""
    import uvicorn

    config = uvicorn.Config(
        "khien.console.asgi:application",
        loop="uvloop",
        http="httptools",
        lifespan="off",
        ws="none",
        access_log=False,
        log_level="warning",
        server_header=False,
        proxy_headers=bool(settings.proxy),
        forwarded_allow_ips=settings.proxy or "127.0.0.1",
        ssl_certfile=settings.tls_cert or None,
        ssl_keyfile=settings.tls_key or None,
        timeout_graceful_shutdown=_GRACE,
        timeout_keep_alive=30,
        backlog=2048,
    )
    uvicorn.Server(config).run(sockets=[socket.socket(fileno=fd)])


def work() -> None:
    """Be the worker until a signal."""
    import django

    django.setup()
    from khien.console import worker

    ending = threading.Event()
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, lambda *_: ending.set())
    worker.leave(worker.run(ending.is_set))


def main(arguments: list[str]) -> None:
    """One of the processes."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "khien.console.settings")
    role, pipe, *rest = arguments
    set_up_logs(f"console-{role}")
    _end_with(int(pipe))
    if role == "web":
        serve_pages(int(rest[0]), WebSettings(**json.loads(rest[1])))
    else:
        work()


if __name__ == "__main__":
    main(sys.argv[1:])
