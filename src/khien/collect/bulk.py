"""The body of an Elasticsearch `_bulk` request: which items it holds, and the answer to each."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import msgspec
import orjson

from khien.collect.bodies import BAD_JSON, MAX_EVENTS, check_lines, is_object
from khien.collect.http_messages import Refusal

TAKEN = ("create", "index")
WITHOUT_SOURCE = ("delete",)
SHARDS = (
    b',"_version":1,"result":"created","_shards":{"total":1,"successful":1,"failed":0},"_primary_term":1,"status":201'
)


@dataclass(frozen=True, slots=True)
class Item:
    """What one action line says: the action, and the index and id of its document ("" for none)."""

    action: str
    index: str
    id: str


@dataclass(slots=True)
class Bulk:
    """The items of a request in order; `errors` holds, by the number of an item, why it is not taken."""

    items: list[Item]
    documents: list[bytes]
    """Of the items that are taken."""
    errors: dict[int, tuple[int, str, str]] = field(default_factory=dict)
    """Item number (from 0) to status, error type and reason."""

    @property
    def data(self) -> bytes:
        """The documents taken, one a line."""
        return b"\n".join(self.documents) + b"\n" if self.documents else b""


def parse_bulk(body: bytes, index: str, longest: int) -> Bulk:
    """Read a body; `index` is that of the path. Raises `Refusal` (400, 413) where it is no
    `_bulk` body at all, or too large.

    An item is not taken when its document is no JSON object, is longer than `longest`, or when it
    is an update or a deletion: events are only ever added.
    """
    check_lines(body, 2 * MAX_EVENTS)
    lines = body.split(b"\n")
    while lines and not lines[-1].strip():
        lines.pop()
    if not lines:
        raise Refusal(400, "empty", "request body is required")
    return _even(lines, index, longest) or _uneven(lines, index, longest)


def _even(lines: list[bytes], index: str, longest: int) -> Bulk | None:
    """The usual case: actions and documents by turns, all good. None when it is not so."""
    documents = lines[1::2]
    actions = lines[0::2]
    if len(actions) != len(documents) or max(map(len, documents)) > longest:
        return None
    try:
        items = [_action(line, index) for line in actions]
        for document in documents:
            is_object(document)
    except (Refusal, *BAD_JSON):
        return None
    if any(item.action not in TAKEN for item in items):
        return None
    return Bulk(items, documents)


def _uneven(lines: list[bytes], index: str, longest: int) -> Bulk:
    bulk = Bulk([], [])
    rest = iter(lines)
    for number, line in enumerate(rest, 1):
        if not line.strip():
            continue
        item = _action(line, index)
        bulk.items.append(item)
        document = b"" if item.action in WITHOUT_SOURCE else next(rest, b"")
        error = _error(item, document, longest)
        if error is None:
            bulk.documents.append(document)
        else:
            bulk.errors[len(bulk.items) - 1] = error
        if len(bulk.items) == 1 and number == 1 and not document and item.action not in WITHOUT_SOURCE:
            raise Refusal(400, "malformed", "The bulk request must be terminated by a newline [\\n]")
    return bulk


def _error(item: Item, document: bytes, longest: int) -> tuple[int, str, str] | None:
    if item.action not in TAKEN:
        return 400, "illegal_argument_exception", f"events are only ever added: [{item.action}] is not supported"
    if len(document) > longest:
        return 413, "illegal_argument_exception", f"the document is longer than {longest} bytes"
    try:
        is_object(document)
    except BAD_JSON:
        return 400, "document_parsing_exception", "failed to parse: the document is not a JSON object"
    return None


class _Meta(msgspec.Struct):
    index: str | None = msgspec.field(name="_index", default=None)
    id: str | int | None = msgspec.field(name="_id", default=None)


_read_action = msgspec.json.Decoder(dict[str, _Meta]).decode


@lru_cache(maxsize=1024)
def _action(line: bytes, index: str) -> Item:
    try:
        read = _read_action(line)
    except BAD_JSON:
        read = {}
    if len(read) != 1:
        what = "Malformed action/metadata line, expected an object with one of create, index, update, delete"
        raise Refusal(400, "malformed", what)
    ((action, meta),) = read.items()
    if action not in ("create", "index", "update", "delete"):
        raise Refusal(400, "malformed", "Malformed action/metadata line: the action is not known")
    return Item(action, meta.index or index, "" if meta.id is None else str(meta.id))


def bulk_answer(bulk: Bulk, took: int, short: bool) -> bytes:
    """The answer's JSON; `took` in milliseconds, `short` leaves out all but status and error (`filter_path`)."""
    prefix = secrets.token_urlsafe(9)
    openings: dict[tuple[str, str], bytes] = {}
    parts = []
    for number, item in enumerate(bulk.items):
        if number in bulk.errors:
            parts.append(_failed(item, *bulk.errors[number]))
        elif short:
            parts.append(b'{"%s":{"status":201}}' % item.action.encode())
        else:
            opening = openings.get((item.action, item.index))
            if opening is None:
                opening = b'{"%s":{"_index":%s,"_id":' % (item.action.encode(), orjson.dumps(item.index))
                openings[item.action, item.index] = opening
            name = orjson.dumps(item.id) if item.id else b'"%s%d"' % (prefix.encode(), number)
            parts.append(opening + name + SHARDS + b',"_seq_no":%d}}' % number)
    errors = b"true" if bulk.errors else b"false"
    return b'{"took":%d,"errors":%s,"items":[%s]}' % (took, errors, b",".join(parts))


def _failed(item: Item, status: int, kind: str, reason: str) -> bytes:
    error: dict[str, Any] = {"type": kind, "reason": reason}
    return orjson.dumps({item.action: {"_index": item.index, "_id": item.id or None, "status": status, "error": error}})


def all_refused(bulk: Bulk, status: int, reason: str) -> bytes:
    """The answer when nothing was taken for now: every item says so, as Elasticsearch does."""
    error = (status, "es_rejected_execution_exception", reason)
    return bulk_answer(Bulk(bulk.items, [], dict.fromkeys(range(len(bulk.items)), error)), 0, False)
