"""What shippers ask an Elasticsearch server before and beside `_bulk`, answered well enough for them to ship.

Beats, Logstash, Vector, Fluent Bit, rsyslog and elasticsearch-py check the product, its version and
licence, and set up templates, policies and pipelines. All of these are said to be there already; what
is put is acknowledged and has no effect, because events are mapped here by their content.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import orjson

from khien.collect.http_messages import Answer, Request

VERSION = "8.19.3"
"""The version shown: the newest 8.x, since Beats refuse servers older than themselves."""
CLUSTER = "khien"
UUID = "a2hpZW4ta2hpZW4ta2hpZW4"
HEADERS = {"X-Elastic-Product": "Elasticsearch"}
VENDOR = re.compile(r"application/vnd\.elasticsearch\+(?:json|x-ndjson)\s*;\s*compatible-with=(\d+)")
BULK = re.compile(r"(?:/([^/_][^/]*))?(?:/([^/_][^/]*))?/_bulk")
DOCUMENT = re.compile(r"/([^/_][^/]*)/(?:(_doc|_create)(?:/([^/]+))?|([^/_][^/]*))")
INDEX = re.compile(r"/([^/_][^/]*)")


@dataclass(frozen=True, slots=True)
class Target:
    """Where documents are to go: a `_bulk` request, or a single document (`action` create or index)."""

    index: str
    bulk: bool
    action: str = "index"
    id: str = ""


def target(request: Request) -> Target | None:
    """What this request writes to; None when it is no write of documents."""
    if request.method not in ("POST", "PUT"):
        return None
    if match := BULK.fullmatch(request.path):
        return Target(match[1] or "", bulk=True)
    if (match := DOCUMENT.fullmatch(request.path)) and (match[2] or request.method == "POST"):
        action = "create" if match[2] == "_create" or "op_type=create" in request.query else "index"
        return Target(match[1], bulk=False, action=action, id=match[3] or "")
    return None


def content_type(request: Request) -> str:
    """The type of an answer: the vendor's own when the client asks for it, with its version."""
    asked = VENDOR.search(request.headers.get("accept", ""))
    return f"application/vnd.elasticsearch+json;compatible-with={asked[1]}" if asked else "application/json"


def answer(request: Request, tree: Any, status: int = 200) -> Answer:
    """An answer as Elasticsearch gives it."""
    body = tree if isinstance(tree, bytes) else orjson.dumps(tree)
    return Answer(status, body, content_type(request), dict(HEADERS))


def error(request: Request, status: int, kind: str, reason: str, retry: int = 0) -> Answer:
    """An error as Elasticsearch gives it."""
    cause = {"type": kind, "reason": reason}
    made = answer(request, {"error": {"root_cause": [cause], **cause}, "status": status}, status)
    if retry:
        made.headers["Retry-After"] = str(retry)
    if status == 401:
        made.headers["WWW-Authenticate"] = "ApiKey"
    return made


def ask(request: Request) -> Answer:
    """Answer a question about the server or its set-up."""
    path = request.path.rstrip("/") or "/"
    reading = request.method in ("GET", "HEAD")
    if path == "/" and reading:
        return answer(request, info())
    first = path.split("/")[1]
    if first == "_cat" and reading:
        return Answer(200, b"green\n", "text/plain; charset=UTF-8", dict(HEADERS))
    if reading and (fixed := FIXED.get(path) or FIXED.get(f"/{first}/*")) is not None:
        return answer(request, fixed)
    if first in SETUP:
        if reading:
            return answer(request, SETUP[first](path.rsplit("/", 1)[-1]))
        if request.method in ("PUT", "POST", "DELETE"):
            return answer(request, {"acknowledged": True})
    if INDEX.fullmatch(path):
        if request.method == "HEAD":
            return answer(request, b"")
        if request.method == "PUT":
            return answer(request, {"acknowledged": True, "shards_acknowledged": True, "index": path[1:]})
    if path.endswith("/_refresh") or path.endswith("/_flush"):
        return answer(request, {"_shards": {"total": 1, "successful": 1, "failed": 0}})
    what = f"{request.method} is not offered here: events are written, and searched elsewhere"
    return error(request, 404, "illegal_argument_exception", what)


def info() -> dict[str, Any]:
    """What `GET /` tells."""
    return {
        "name": CLUSTER,
        "cluster_name": CLUSTER,
        "cluster_uuid": UUID,
        "version": {
            "number": VERSION,
            "build_flavor": "default",
            "build_type": "docker",
            "build_hash": "0" * 40,
            "build_date": "2025-01-01T00:00:00.000000000Z",
            "build_snapshot": False,
            "lucene_version": "9.12.2",
            "minimum_wire_compatibility_version": "7.17.0",
            "minimum_index_compatibility_version": "7.0.0",
        },
        "tagline": "You Know, for Search",
    }


LICENSE = {
    "status": "active",
    "uid": UUID,
    "type": "basic",
    "mode": "basic",
    "issue_date": "2025-01-01T00:00:00.000Z",
    "issue_date_in_millis": 1735689600000,
    "max_nodes": 1000,
    "issued_to": CLUSTER,
    "issuer": CLUSTER,
    "start_date_in_millis": -1,
}
NODE = {"name": CLUSTER, "version": VERSION, "roles": ["data", "ingest", "master"], "http": {}}
NODES = {"_nodes": {"total": 1, "successful": 1, "failed": 0}, "cluster_name": CLUSTER, "nodes": {UUID: NODE}}
HEALTH = {
    "cluster_name": CLUSTER,
    "status": "green",
    "timed_out": False,
    "number_of_nodes": 1,
    "number_of_data_nodes": 1,
    "active_primary_shards": 1,
    "active_shards": 1,
    "relocating_shards": 0,
    "initializing_shards": 0,
    "unassigned_shards": 0,
    "active_shards_percent_as_number": 100.0,
}
FIXED: dict[str, Any] = {
    "/_license": {"license": LICENSE},
    "/_xpack/license": {"license": LICENSE},
    "/_xpack": {
        "build": {"hash": "0" * 40, "date": "2025-01-01T00:00:00.000Z"},
        "license": {"uid": UUID, "type": "basic", "mode": "basic", "status": "active"},
        "features": {"ilm": {"available": True, "enabled": True}, "monitoring": {"available": True, "enabled": True}},
        "tagline": "You know, for X",
    },
    "/_cluster/health": HEALTH,
    "/_cluster/*": {"persistent": {}, "transient": {}},
    "/_ilm/status": {"operation_mode": "RUNNING"},
    "/_nodes": NODES,
    "/_nodes/*": NODES,
}
SETUP: dict[str, Any] = {
    "_ilm": lambda name: {name: {"version": 1, "modified_date": "2025-01-01T00:00:00.000Z", "policy": {"phases": {}}}},
    "_index_template": lambda name: {
        "index_templates": [{"name": name, "index_template": {"index_patterns": [f"{name}*"], "composed_of": []}}]
    },
    "_component_template": lambda name: {"component_templates": [{"name": name, "component_template": {}}]},
    "_template": lambda name: {name: {"index_patterns": [f"{name}*"], "settings": {}, "mappings": {}}},
    "_ingest": lambda name: {name: {"processors": []}},
    "_data_stream": lambda name: {"data_streams": [{"name": name, "status": "GREEN", "generation": 1, "indices": []}]},
    "_alias": lambda name: {name: {"aliases": {}}},
    "_slm": lambda name: {name: {}},
}
