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
    if depth > _MOST_DEPTH or ("EventID" in value and "Channel" in value):  # deep enough, or surely an event
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
    place = _carrier(value)
    if place is None:
        yield value
        return
    name, carried = place
    around = {key: each for key, each in value.items() if key != name and key not in carried}
    yield from _object({**around, **carried}, depth + 1)


def _carrier(value: Event) -> tuple[str, Event] | None:
    """The field in which an envelope carries an event, and the event; None where the object is no envelope."""
    if "_index" in value:  # Elasticsearch and OpenSearch
        source, fields = value.get("_source"), value.get("fields")
        if isinstance(source, dict):
            return "_source", source
        if isinstance(fields, dict):
            return "fields", {k: v[0] if isinstance(v, list) and len(v) == 1 else v for k, v in fields.items()}
        return None
    for name, sign in (("detail", "detail-type"), ("result", "preview"), ("event", "sourcetype")):
        inner = value.get(name)  # Amazon EventBridge, Splunk export, Splunk HTTP event collector
        if sign in value and isinstance(inner, dict):
            return name, inner
    for name in _TEXTS if "winlog" not in value else ():
        text = value.get(name)
        if isinstance(text, str) and text[:1] == "{" and text.rstrip()[-1:] == "}":
            carried = _json(text)
            if carried:
                return name, carried
    return None


def _json(text: str) -> Value:
    try:
        inner = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    return inner if isinstance(inner, dict) else None
