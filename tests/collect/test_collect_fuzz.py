"""Whatever arrives or rots, nothing but the agreed errors comes out, and what is whole is read."""

from __future__ import annotations

import asyncio
import gzip
import json
import tempfile
from pathlib import Path

import orjson
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as some

from khien.collect.bodies import inflate, json_events, text_events
from khien.collect.bulk import bulk_answer, parse_bulk
from khien.collect.http_messages import Refusal
from khien.collect.otlp import json_records, otlp_events
from khien.collect.positions import lane_folder
from khien.collect.segments import segments
from khien.collect.spool import LaneReader, Parcel, Spool

LINES = some.sampled_from(
    [
        b'{"create":{}}',
        b'{"index":{"_id":1}}',
        b'{"delete":{}}',
        b'{"n":1}',
        b"{",
        b"",
        b"  ",
        b"[1]",
        b"\xff",
        b'{"update":{"_id":null}}',
    ]
)
JSON = some.recursive(
    some.none() | some.booleans() | some.integers() | some.text(max_size=5),
    lambda inner: (
        some.lists(inner, max_size=3)
        | some.dictionaries(
            some.sampled_from(
                ["resourceLogs", "scopeLogs", "logRecords", "attributes", "key", "value", "body", "intValue"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=15,
)
JSON_BODY = JSON.map(lambda tree: json.dumps(tree).encode())


def only(refusal: Refusal, *statuses: int) -> None:
    assert refusal.status in statuses


@given(some.lists(LINES, max_size=12).map(b"\n".join) | some.binary(max_size=80))
def test_any_body_is_a_bulk_body_or_refused(body: bytes) -> None:
    try:
        bulk = parse_bulk(body, "logs", 100)
    except Refusal as refusal:
        only(refusal, 400)
        return
    answer = orjson.loads(bulk_answer(bulk, 1, False))
    statuses = [next(iter(item.values()))["status"] for item in answer["items"]]
    assert statuses.count(201) == len(bulk.documents)
    assert answer["errors"] == any(status != 201 for status in statuses)
    assert bulk.data.count(b"\n") == len(bulk.documents)
    assert all(isinstance(orjson.loads(line.decode(errors="replace")), dict) for line in bulk.data.splitlines())


@given(some.lists(LINES, max_size=12).map(b"\n".join) | some.binary(max_size=80) | JSON_BODY)
def test_any_body_is_events_or_refused(body: bytes) -> None:
    for read in (json_events, text_events):
        try:
            events = read(body, 100)
        except Refusal as refusal:
            only(refusal, 400, 413)
            continue
        assert events.count == events.data.count(b"\n") > 0
        assert events.data.endswith(b"\n")
        assert 0 <= events.malformed <= events.count


@given(JSON_BODY | some.binary(max_size=60))
def test_any_body_is_otlp_or_refused(body: bytes) -> None:
    for kind in ("application/json", "application/x-protobuf"):
        try:
            events, _ = otlp_events(body, kind, "", 1000)
        except Refusal as refusal:
            only(refusal, 400)
            continue
        assert events.count == events.data.count(b"\n")


def test_deep_bodies_are_refused_or_cut() -> None:
    deep = b'{"a":' * 100_000 + b"1" + b"}" * 100_000
    with pytest.raises(Refusal):
        json_events(deep, 1 << 20)
    with pytest.raises(Refusal):
        json_events(b"[" * 100_000 + b"]" * 100_000, 1 << 20)
    with pytest.raises(Refusal):
        json_records(deep)
    assert parse_bulk(b'{"create":{}}\n' + deep + b"\n", "x", 1 << 20).errors[0][0] == 400


@given(some.binary(max_size=3000), some.integers(0, 3000), some.sampled_from(["gzip", "zstd", "deflate"]))
def test_inflating_gives_the_body_or_refuses(body: bytes, most: int, encoding: str) -> None:
    packed = zstandard.compress(body) if encoding == "zstd" else gzip.compress(body)
    try:
        assert inflate(packed, encoding, most) == body
    except Refusal as refusal:
        only(refusal, 413)
        if len(body) <= most:
            raise
    for damaged in (body, packed[: len(packed) // 2], packed[:-1]):
        try:
            inflate(damaged, encoding, 10_000)
        except Refusal as refusal:
            only(refusal, 400, 413)


@settings(max_examples=60, deadline=None)
@given(some.data())
def test_rot_anywhere_costs_only_the_frames_it_touches(data: some.DataObject) -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)

        async def write(count: int) -> list[int]:
            spool = Spool(folder)
            numbers = [await spool.append(Parcel("s", "json", 1, b"%d %s\n" % (n, b"x" * n), 1)) for n in range(count)]
            await spool.close()
            return numbers

        asyncio.run(write(8))
        (segment,) = segments(lane_folder(folder, 0))
        raw = bytearray(segment.path.read_bytes())
        size = len(raw)
        start = data.draw(some.integers(0, size - 1))
        length = data.draw(some.integers(1, 200))
        rot = data.draw(some.binary(min_size=length, max_size=length))
        raw[start : start + length] = rot if data.draw(some.booleans()) else b""
        before = segment.path.read_bytes()
        segment.path.write_bytes(raw)
        first = before[:start].count(segment.marker) - 1
        last = before[: start + length].count(segment.marker) - 1
        reader = LaneReader(folder, 0)
        found: list[int] = []
        after = 0
        while got := reader.read(after, 1):
            assert got[-1][0] > after
            after = got[-1][0]
            found += [int(parcel.data.split()[0]) for _, parcel in got]
        assert found == sorted(set(found))
        untouched = set(range(max(0, first))) | set(range(last + 2, 8))
        assert untouched <= set(found)
        (number,) = asyncio.run(write(1))
        assert number == 9 or number > max([*found, -1]) + 1
        assert LaneReader(folder, 0).read(number - 1)[0][0] == number
