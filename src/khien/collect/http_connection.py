"""One HTTP connection: parses requests within bounds, answers them one after the other.

Written on asyncio and httptools: with uvicorn in between, a request of one event takes a fifth more
processor time (109 us, not 93), and nothing bounds slow heads, slow bodies and connections.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import TYPE_CHECKING, cast
from urllib.parse import unquote

import httptools
import structlog

from khien.collect.http_messages import Answer, Refusal, Request
from khien.collect.settings import Source

if TYPE_CHECKING:
    from khien.collect.http_server import HttpCollector

log = structlog.get_logger()
MAX_HEAD = 32 << 10
BODY_GRACE = 20.0
LINGER = 2.0
"""How long to read on and throw away after a last answer, so that the sender gets to read it."""


class Connection(asyncio.Protocol):
    """The server's side of a connection."""

    def __init__(self, server: HttpCollector) -> None:
        self._server = server
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpRequestParser(self)
        self._waiting: deque[tuple[Request, Source | None, Answer | None]] = deque()
        self._task: asyncio.Task[None] | None = None
        self._state = "idle"  # idle, head, body, lingering
        self._since = time.monotonic()
        self._head = 0
        self._served = False
        self._ended = False
        self._room = asyncio.Event()
        self._room.set()
        self._blocked = 0.0
        self._source = ""
        self._admitted = False
        # The request that is arriving
        self._url = b""
        self._head_size = 0
        self._headers: dict[str, str] = {}
        self._parts: list[bytes] = []
        self._received = 0
        self._refusal: Refusal | None = None
        self._from: Source | None = None
        self._request = Request("", "", "", {}, "")
        self._closing = False
        self.peer = ""

    # The transport's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        name = transport.get_extra_info("peername")
        self.peer = str(name[0]) if name else ""
        self._admitted = self._server.enter(self)
        if not self._admitted:
            self._transport.abort()

    def connection_lost(self, error: Exception | None) -> None:
        self._closing = True
        self._room.set()
        self._release()
        for request, _, _ in self._waiting:
            self._server.held -= len(request.body)
        self._waiting.clear()
        if self._admitted:
            self._server.leave(self, self._source)

    def data_received(self, data: bytes) -> None:
        if self._state == "lingering" or self._closing:
            return
        if self._state in ("idle", "head"):
            self._head += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._fail(Refusal(400, "protocol", "upgrades are not offered here"))
        except httptools.HttpParserCallbackError:
            log.exception("a request failed", peer=self.peer)
            self._fail(Refusal(500, "fault", "this is our fault"))
        except httptools.HttpParserError:
            self._fail(Refusal(400, "protocol", "this is not HTTP"))
        else:
            if self._state == "head" and self._head > MAX_HEAD:
                self._fail(Refusal(431, "head", f"the head of the request is longer than {MAX_HEAD} bytes"))

    def eof_received(self) -> bool:
        # A half-closed sender still gets its answer; TLS cannot be half closed.
        self._ended = True
        return self._task is not None and self._transport is not None and self._transport.can_write_eof()

    def pause_writing(self) -> None:
        self._room.clear()
        self._blocked = time.monotonic()

    def resume_writing(self) -> None:
        self._room.set()
        self._blocked = 0.0

    # The parser's side

    def on_message_begin(self) -> None:
        if self._state != "lingering":
            self._since = time.monotonic()
            self._state = "head"

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._head_size += len(name) + len(value) + 4
        if self._head_size > MAX_HEAD:
            return  # refused once the head is complete
        key = name.decode("latin-1").lower()
        text = value.decode("latin-1")
        self._headers[key] = f"{self._headers[key]}, {text}" if key in self._headers else text

    def on_headers_complete(self) -> None:
        if self._state == "lingering":
            return
        self._state = "body"
        self._head = 0
        method = self._parser.get_method().decode("latin-1")
        request = self._request = Request(method, "/", "", self._headers, self.peer)
        try:
            if self._head_size + len(self._url) > MAX_HEAD:
                raise Refusal(431, "head", f"the head of the request is longer than {MAX_HEAD} bytes")
            self._target(request)
            self._from = self._server.requests.admit(request)
            self._join(self._from)
            length = request.headers.get("content-length", "0")
            self._check_size(int(length) if length.isdecimal() and len(length) < 20 else 0)
        except Refusal as refusal:
            self._refuse(refusal)
        if request.headers.get("expect", "").lower() == "100-continue":
            self._continue()

    def on_body(self, body: bytes) -> None:
        self._received += len(body)
        if self._state == "lingering" or (self._refusal is not None and self._received <= self._server.limits.request):
            return
        try:
            self._check_size(self._received)
            if self._server.held + len(body) > self._server.limits.held:
                raise Refusal(429, "busy", "too much is under way; send again later", 1)
        except Refusal as refusal:
            self._refuse(refusal)
            self._release()
            return
        self._server.held += len(body)
        self._parts.append(body)

    def on_message_complete(self) -> None:
        if self._state == "lingering":
            return
        request, source, refusal = self._request, self._from, self._refusal
        request.keep_alive = self._parser.should_keep_alive() and not self._server.stopping
        request.body = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        self._parts = []
        answer = self._server.requests.refused(request, refusal) if refusal else None
        if answer and refusal and refusal.reason in ("key", "connections"):
            answer.close = True
        self._begin_request()
        self._state = "idle"
        self._served = True
        self._since = time.monotonic()
        self._waiting.append((request, source, answer))
        if self._task is None and self._transport is not None:
            self._transport.pause_reading()
            self._task = asyncio.get_running_loop().create_task(self._work())

    # Ours

    def sweep(self, now: float) -> None:
        """Close what is too slow; called about once a second."""
        limits = self._server.limits
        age = now - self._since
        if self._transport is None:
            return
        if self._state == "lingering":
            if self._server.stopping:
                self._transport.close()
            if age > LINGER:
                self._transport.abort()
        elif self._blocked and now - self._blocked > limits.head_seconds + BODY_GRACE:
            self._transport.abort()
        elif self._task is not None:
            return
        elif self._state == "idle":
            # A new connection has the time of a head for its first request.
            if age > (limits.idle_seconds if self._served else limits.head_seconds) or self._server.stopping:
                self._transport.close()
        else:
            tardy = self._received < (age - BODY_GRACE) * limits.slowest
            if tardy if self._state == "body" else age > limits.head_seconds:
                self._fail(Refusal(408, "slow", "the request came too slowly"))

    def _begin_request(self) -> None:
        self._url = b""
        self._head_size = 0
        self._headers = {}
        self._parts = []
        self._received = 0
        self._refusal = None
        self._from = None
        self._request = Request("", "/", "", {}, self.peer)

    def _target(self, request: Request) -> None:
        try:
            url = httptools.parse_url(self._url)
        except httptools.HttpParserError:
            raise Refusal(400, "protocol", "the address of the request is not valid") from None
        request.path = unquote((url.path or b"/").decode("latin-1"))
        request.query = unquote((url.query or b"").decode("latin-1"))

    def _check_size(self, size: int) -> None:
        if size > self._server.limits.request:
            what = f"the body is larger than {self._server.limits.request} bytes; send smaller batches"
            raise Refusal(413, "size", what)

    def _join(self, source: Source | None) -> None:
        """Count this connection among those of its source."""
        if source is not None and source.id != self._source:
            if not self._server.join(source, self._source):
                raise Refusal(429, "connections", "the source has too many connections open", 5)
            self._source = source.id

    def _refuse(self, refusal: Refusal) -> None:
        self._refusal = refusal
        if refusal.reason not in ("key", "network", "rate"):  # those are counted where they are found
            self._server.counters.refused(self._from.id if self._from else "", refusal.reason)
        if refusal.status in (413, 431):
            self._fail(refusal, counted=True)

    def _continue(self) -> None:
        """Answer a sender that asks before it sends a body."""
        if self._transport is None or self._task is not None or self._waiting or self._state == "lingering":
            return
        if self._refusal is None:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        else:
            self._fail(self._refusal, counted=True)

    def _release(self) -> None:
        self._server.held -= sum(map(len, self._parts))
        self._parts = []

    def _fail(self, refusal: Refusal, counted: bool = False) -> None:
        """Answer at once and close; what the sender still sends is thrown away for a moment."""
        if not counted:
            self._server.counters.refused(self._source, refusal.reason)
        self._release()
        if self._transport is None or self._transport.is_closing():
            return
        if self._task is not None or self._waiting:
            self._transport.close()
            return
        answer = self._server.requests.refused(self._request, refusal)
        answer.close = True
        self._write(answer, self._request)
        self._linger()

    def _linger(self) -> None:
        self._state = "lingering"
        self._since = time.monotonic()
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()
            if self._transport.can_write_eof():
                self._transport.write_eof()

    def _write(self, answer: Answer, request: Request) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(answer.encode(head_only=request.method == "HEAD", keep_alive=request.keep_alive))

    async def _work(self) -> None:
        """Answer what waits, in order; the sender is not read meanwhile."""
        close = False
        try:
            while self._waiting and not close and not self._closing:
                request, source, answer = self._waiting.popleft()
                size = len(request.body)
                try:
                    if answer is None:
                        answer = await self._server.requests.answer(request, source)
                    elif answer.status in (401, 403, 429):
                        await asyncio.sleep(0.2)  # slows down guessing, and who does not heed Retry-After
                finally:
                    self._server.held -= size
                close = answer.close or not request.keep_alive or (self._ended and not self._waiting)
                answer.close = close
                self._write(answer, request)
                await self._room.wait()
        except Exception:
            log.exception("a request failed", peer=self.peer)
            self._write(Answer(500, b'{"error":"this is our fault"}', close=True), Request("", "/", "", {}, ""))
            close = True
        finally:
            self._task = None
            self._since = time.monotonic()
        if close:
            self._linger()
        elif self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def abort(self) -> None:
        """Give up on this connection."""
        if self._transport is not None:
            self._transport.abort()
        if self._task is not None:
            self._task.cancel()
