"""What the HTTP collector does with a request: who sends it, may they now, and are its events in the spool."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Protocol

import orjson
import structlog
from prometheus_client import generate_latest

from khien.collect import elastic
from khien.collect.bodies import Events, inflate, json_events, text_events
from khien.collect.bulk import Bulk, Item, all_refused, bulk_answer, parse_bulk
from khien.collect.counters import Counters
from khien.collect.http_messages import Answer, Refusal, Request
from khien.collect.keys import KeyRing
from khien.collect.limits import SourceRate
from khien.collect.otlp import otlp_answer, otlp_error, otlp_events
from khien.collect.segments import Parcel, SpoolError, SpoolFull
from khien.collect.settings import HTTP_KINDS, Config, Source, within

log = structlog.get_logger()
FULL_RETRY = 5
"""Seconds a sender is told to wait when the spool is full."""
INGEST = "/v1/ingest"
OTLP = "/v1/logs"
OPEN = ("/health", "/metrics")


class AppendsParcels(Protocol):
    """The spool, as a collector sees it."""

    async def append(self, parcel: Parcel) -> int:
        """Return when the parcel is durable; raise `SpoolFull` or `SpoolError` when it was not taken."""


class Requests:
    """Answers requests. `configure` may be called at any time with a new configuration."""

    def __init__(
        self,
        spool: AppendsParcels,
        config: Config,
        counters: Counters,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._spool = spool
        self._counters = counters
        self._clock = clock
        self._registry = counters.registry()
        self._warned, self._unsaid = 0.0, 0
        self._rates: dict[str, tuple[Source, SourceRate]] = {}
        self.metrics_text: Callable[[], bytes] = lambda: generate_latest(self._registry)
        self.healthy: Callable[[], bool] = lambda: True
        self.configure(config)

    def configure(self, config: Config) -> None:
        """Use these sources, keys and limits from now on; rates of unchanged sources go on as they were."""
        self._config = config
        sources = config.of_kind(*HTTP_KINDS)
        self._keys = KeyRing(sources)
        self._rates = {
            source.id: known
            if (known := self._rates.get(source.id)) and known[0] == source
            else (source, SourceRate(source))
            for source in sources
        }

    def admit(self, request: Request) -> Source | None:
        """The source of a request, told by its head alone; None for what needs no key.

        Raises `Refusal`: 401 for any key that is not right, 403 from a network it may not come from,
        429 when the source is over its rate.
        """
        if request.path in OPEN:
            return None
        source = self._keys.source(request.headers.get("authorization", "").encode("latin-1"))
        if source is None:
            self._counters.refused("", "key")
            self._warn("wrong key", peer=request.peer)
            raise Refusal(401, "key", "the key is missing or wrong")
        if not source.allows(request.peer):
            self._counters.refused(source.id, "network")
            self._warn("key used from a network it is not for", source=source.id, peer=request.peer)
            raise Refusal(403, "network", "this key may not be used from your network")
        if request.method in ("POST", "PUT") and (wait := self._rates[source.id][1].retry_after()):
            self._counters.refused(source.id, "rate")
            raise Refusal(429, "rate", "the source is over its rate", wait)
        return source

    def _warn(self, what: str, **values: str) -> None:
        """Log at most once a second, with how many were left out."""
        now = time.monotonic()
        if now - self._warned >= 1.0:
            log.warning(what, **values, unsaid=self._unsaid)
            self._warned, self._unsaid = now, 0
        else:
            self._unsaid += 1

    def refused(self, request: Request, refusal: Refusal) -> Answer:
        """The answer to a request that is not taken, in the language of its sender."""
        if request.path == OTLP:
            codes = {401: 16, 403: 7, 429: 8, 503: 14}
            body, kind = otlp_error(request.headers.get("content-type", ""), refusal.what, codes.get(refusal.status, 3))
            answer = Answer(refusal.status, body, kind)
        elif request.path == INGEST or request.path in OPEN:
            answer = Answer(refusal.status, orjson.dumps({"error": refusal.what, "reason": refusal.reason}))
        else:
            kinds = {401: "security_exception", 403: "security_exception", 429: "es_rejected_execution_exception"}
            kind = kinds.get(refusal.status, "illegal_argument_exception")
            return elastic.error(request, refusal.status, kind, refusal.what, refusal.retry)
        if refusal.retry:
            answer.headers["Retry-After"] = str(refusal.retry)
        if refusal.status == 401:
            answer.headers["WWW-Authenticate"] = 'Bearer realm="khien"'
        return answer

    async def answer(self, request: Request, source: Source | None) -> Answer:
        """Do what an admitted request asks for. Never raises for anything that a sender sent."""
        if source is None:
            return self._open(request)
        work: Callable[[Request, Source], Awaitable[Answer]]
        if request.path == INGEST:
            work = self._ingest
        elif request.path == OTLP:
            work = self._otlp
        elif target := elastic.target(request):
            work = self._bulk if target.bulk else self._document
        else:
            return elastic.ask(request)
        try:
            return await work(request, source)
        except Refusal as refusal:
            self._counters.refused(source.id, refusal.reason)
            return self.refused(request, refusal)
        except SpoolFull:
            self._counters.refused(source.id, "full")
            return self.refused(request, Refusal(429, "full", "the spool is full; send again later", FULL_RETRY))
        except SpoolError as error:
            self._counters.refused(source.id, "disk")
            log.error("the spool does not take events", error=str(error))
            return self.refused(request, Refusal(503, "disk", "events cannot be stored now", FULL_RETRY))

    async def _ingest(self, request: Request, source: Source) -> Answer:
        if request.method not in ("POST", "PUT"):
            raise Refusal(405, "method", "send events with POST")
        body = self._inflated(request).removeprefix(b"\xef\xbb\xbf")
        if source.format in ("", "json") and (source.format or body.lstrip()[:1] in (b"{", b"[")):
            events, form = json_events(body, source.max_line), "json"
        else:
            events, form = text_events(body, source.max_line), source.format
        await self._keep(source, form, events)
        return Answer(200, b'{"accepted":%d,"malformed":%d}' % (events.count, events.malformed))

    async def _otlp(self, request: Request, source: Source) -> Answer:
        if request.method != "POST":
            raise Refusal(405, "method", "send logs with POST")
        kind = request.headers.get("content-type", "")
        events, left_out = otlp_events(self._inflated(request), kind, source.format, source.max_line)
        if left_out:
            self._counters.refused(source.id, "line", left_out)
        await self._keep(source, source.format or "json", events)
        why = f"records longer than {source.max_line} bytes are not taken" if left_out else ""
        body, kind = otlp_answer(kind, left_out, why)
        return Answer(200, body, kind)

    async def _bulk(self, request: Request, source: Source) -> Answer:
        started = time.perf_counter()
        target = elastic.target(request)
        index = target.index if target else ""
        bulk = parse_bulk(self._inflated(request), index, source.max_line)
        if bulk.errors:
            self._counters.refused(source.id, "item", len(bulk.errors))
        try:
            await self._keep(source, "json", Events(bulk.data, len(bulk.documents)))
        except SpoolFull:
            self._counters.refused(source.id, "full")
            made = elastic.answer(request, all_refused(bulk, 429, "the spool is full; send again later"), 429)
            made.headers["Retry-After"] = str(FULL_RETRY)
            return made
        took = int((time.perf_counter() - started) * 1000)
        return elastic.answer(request, bulk_answer(bulk, took, "filter_path=" in request.query))

    async def _document(self, request: Request, source: Source) -> Answer:
        target = elastic.target(request)
        assert target is not None
        events = json_events(self._inflated(request), source.max_line)
        if events.count != 1 or events.malformed:
            raise Refusal(400, "malformed", "the document is not one JSON object")
        await self._keep(source, "json", events)
        answer = bulk_answer(Bulk([Item(target.action, target.index, target.id)], []), 0, False)
        (item,) = orjson.loads(answer)["items"]
        made = item[target.action]
        del made["status"]  # rsyslog takes an answer that has one for a failure
        return elastic.answer(request, made, 201)

    def _inflated(self, request: Request) -> bytes:
        encoding = request.headers.get("content-encoding", "").strip().lower()
        return inflate(request.body, encoding, self._config.limits.inflated)

    async def _keep(self, source: Source, form: str, events: Events) -> None:
        """Return when the events are synced to the spool; raises what the spool raises."""
        if not events.count:
            return
        if kept := self._rates.get(source.id):
            kept[1].take(events.count, len(events.data))
        now = self._clock()
        await self._spool.append(Parcel(source.id, form, int(now * 1_000_000), events.data, events.count))
        self._counters.took(source.id, events.count, len(events.data), now, events.malformed)

    def _open(self, request: Request) -> Answer:
        if request.method not in ("GET", "HEAD"):
            return Answer(405, b'{"error":"read only"}')
        if request.path == "/health":
            well = self.healthy()
            return Answer(200 if well else 503, b'{"status":"%s"}' % (b"ok" if well else b"failing"))
        if not within(request.peer, self._config.listen.metrics):
            return Answer(403, b'{"error":"metrics are not shown to your network"}')
        return Answer(200, self.metrics_text(), "text/plain; version=0.0.4; charset=utf-8")
