"""A finding of the live flow, and ids that come out the same when work is repeated."""

from __future__ import annotations

from hashlib import blake2b

import msgspec

_ID_BYTES = 16


class LiveFinding(msgspec.Struct, frozen=True, array_like=True):
    """A finding on its way into alerts.

    `id`: 32 hexadecimal digits, the same whenever the same work is repeated. `record`: the finding as
    one line of NDJSON (`docs/output.md`), with or without its newline. `source`, `unit`: where the event
    came from ("" for a correlation over several). `received`, `detected`: microseconds UTC since
    1970-01-01 when its parcel was received and when the finding was made.
    """

    id: str
    record: bytes
    source: str
    unit: str
    received: int
    detected: int


def finding_id(rule_id: str, lane: int, sequence: int, record: int) -> str:
    """The id of a rule's finding: its parcel by lane and sequence, and the record's number in the parcel."""
    return _hash("event", rule_id, str(lane), str(sequence), str(record))


def correlation_finding_id(correlation_id: str, group: str, time: int) -> str:
    """The id of a correlation's finding: its group as text, and the event time it came true (microseconds UTC)."""
    return _hash("correlation", correlation_id, group, str(time))


def _hash(*parts: str) -> str:
    return blake2b("\0".join(parts).encode("utf-8", "surrogatepass"), digest_size=_ID_BYTES).hexdigest()
