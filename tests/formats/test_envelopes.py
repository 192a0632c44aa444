"""What is wrapped around events is taken off."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khien.formats.envelopes import unwrap

TRAIL = {"eventVersion": "1.08", "eventSource": "s3.amazonaws.com", "eventName": "GetObject"}
TWICE = [TRAIL, {**TRAIL, "eventName": "PutObject"}]


@pytest.mark.parametrize(
    "wrapped",
    [
        TWICE,
        {"Records": TWICE},
        {"records": TWICE},
        {"@odata.context": "x", "value": TWICE},
        {"kind": "EventList", "apiVersion": "v1", "items": TWICE},
        {"took": 1, "hits": {"total": 2, "hits": [{"_index": "x", "_source": each} for each in TWICE]}},
        {"messageType": "DATA_MESSAGE", "owner": "1", "logGroup": "g", "logStream": "s", "subscriptionFilters": [],
         "logEvents": [{"id": "1", "timestamp": 1, "message": json.dumps(each)} for each in TWICE]},
        [{"detail-type": "AWS API Call via CloudTrail", "source": "aws.s3", "detail": each} for each in TWICE],
        {"Events": [{"EventId": "x", "CloudTrailEvent": json.dumps(each)} for each in TWICE]},
        [{"Records": [each]} for each in TWICE],
    ],
)  # fmt: skip
def test_every_wrapper_gives_the_events_in_it(wrapped: Any) -> None:
    names = [event["eventName"] for event in unwrap(wrapped)]
    assert names == ["GetObject", "PutObject"]
    assert all(event["eventSource"] == "s3.amazonaws.com" for event in unwrap(wrapped))


@pytest.mark.parametrize(
    "carrier",
    [
        {"log": json.dumps(TRAIL) + "\n", "stream": "stdout", "time": "2026-03-02T01:02:03Z"},
        {"@timestamp": "2026-03-02T01:02:03Z", "message": json.dumps(TRAIL), "agent": {"type": "filebeat"}},
        {"preview": False, "result": TRAIL},
        {"sourcetype": "aws", "event": TRAIL},
        {"_index": "x", "_id": "1", "_source": TRAIL},
    ],
)
def test_an_envelopes_own_fields_stay_where_the_event_has_none(carrier: dict[str, Any]) -> None:
    (event,) = unwrap(carrier)
    assert TRAIL.items() <= event.items()


def test_an_events_field_wins_over_the_envelopes() -> None:
    (event,) = unwrap({"time": "outer", "more": 1, "log": '{"time": "inner"}'})
    assert event == {"time": "inner", "more": 1}


def test_an_event_that_happens_to_have_a_list_is_no_wrapper() -> None:
    event = {f"field{at}": at for at in range(20)} | {"records": [{"a": 1}]}
    assert list(unwrap(event)) == [event]
    activity = {"kind": "admin#reports#activity", "id": {"applicationName": "admin"}, "events": [{"name": "GRANT"}]}
    assert list(unwrap(activity)) == [activity]
    assert list(unwrap({"records": []})) == [{"records": []}]


def test_text_that_only_looks_like_json_stays_text() -> None:
    assert list(unwrap({"message": "{not json}"})) == [{"message": "{not json}"}]
    assert list(unwrap({"message": "{}"})) == [{"message": "{}"}]


@pytest.mark.parametrize("value", [1, "x", None, True])
def test_what_is_no_object_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="not a JSON object"):
        list(unwrap(value))


def test_envelopes_nested_without_end_stop_somewhere() -> None:
    text = '{"a": 1}'
    for _ in range(10):
        text = json.dumps({"message": text})
    assert len(list(unwrap(json.loads(text)))) == 1


@given(
    st.recursive(
        st.none() | st.integers() | st.text(max_size=5) | st.just('{"log": "{}"}'),
        lambda inner: st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["Records", "hits", "_index", "_source", "fields", "message", "log", "event", "events",
                             "detail", "detail-type", "sourcetype", "result", "preview", "value"]), inner, max_size=4),
        max_leaves=15,
    ).filter(lambda value: isinstance(value, list | dict))
)  # fmt: skip
def test_no_json_makes_it_raise(value: Any) -> None:
    assert all(isinstance(event, dict) for event in unwrap(value))
