"""What shippers, APIs and search engines wrap around events, taken off."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from khien.events.batch import Event, Value

_LISTS = (
    "Records",  # CloudTrail
    "records",  # Azure diagnostic settings
    "value",  # Microsoft Graph
    "items",  # Kubernetes EventList, Google Reports
    "Events",  # CloudTrail LookupEvents
    "events",
    "hits",  # Elasticsearch
    "results",
    "result",
    "logEvents",  # CloudWatch Logs
    "logs",
    "authlogs",  # Duo
)
_MOST_KEYS = 12
# Fields whose text is the event itself as JSON.
_TEXTS = ("CloudTrailEvent", "AuditData", "_raw", "message", "log")
_MOST_DEPTH = 4


def unwrap(value: Any) -> Iterator[Event]:
    """The events of a JSON value: itself, the elements of a list or wrapper, what an envelope carries.

    An envelope's own fields stay beside those of the event where the event has none of the name.
    Raises ValueError where there is no object.
    """
    if isinstance(value, list):
        for item in value:
            if isinstance(item, dict):
                yield from _object(item, 1)
    elif isinstance(value, dict):
        yield from _object(value, 0)
    else:
        raise ValueError("not a JSON object")


def _object(value: Event, depth: int) -> Iterator[Event]:
    if depth > _MOST_DEPTH:
        yield value
        return
    if len(value) <= _MOST_KEYS:
        for name in _LISTS:
            inner = value.get(name)
            if isinstance(inner, dict) and name == "hits":
                inner = inner.get("hits")
            if isinstance(inner, list) and inner and all(isinstance(item, dict) for item in inner):
                if name == "events" and "id" in value:  # one Google Workspace activity
                    continue
                for item in inner:
                    yield from _object(item, depth + 1)
                return
    carried = _carried(value)
    if carried is None:
        yield value
    else:
        yield from _object({**{k: v for k, v in value.items() if k not in carried}, **carried}, depth + 1)


def _carried(value: Event) -> Event | None:
    """What an envelope carries; None where the object is no envelope."""
    if "_index" in value:  # Elasticsearch and OpenSearch
        source = value.pop("_source", None)
        if isinstance(source, dict):
            inner: Event = source
            return inner
        fields = value.pop("fields", None)
        if isinstance(fields, dict):
            return {k: v[0] if isinstance(v, list) and len(v) == 1 else v for k, v in fields.items()}
        return None
    if "detail-type" in value and isinstance(value.get("detail"), dict):  # Amazon EventBridge
        return _take(value, "detail")
    if "preview" in value and isinstance(value.get("result"), dict):  # Splunk export
        return _take(value, "result")
    if "sourcetype" in value and isinstance(value.get("event"), dict):  # Splunk HTTP event collector
        return _take(value, "event")
    for name in _TEXTS if "winlog" not in value else ():
        text = value.get(name)
        if isinstance(text, str) and text[:1] == "{" and text.rstrip()[-1:] == "}":
            inner = _json(text)
            if inner:
                del value[name]
                return inner
    return None


def _take(value: Event, name: str) -> Event:
    inner: Event = value.pop(name)
    return inner


def _json(text: str) -> Value:
    try:
        inner = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    return inner if isinstance(inner, dict) else None
