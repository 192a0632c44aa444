"""What live correlation keeps in the store: hits, what came true, and how far it has got."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import msgspec

from khien.alerts.live_finding import correlation_finding_id
from khien.alerts.tiers import Found, Group
from khien.engine.hit import Hit

PROVISIONAL, SETTLED, SUPERSEDED = 0, 1, 2
"""States of what came true: late hits may still change it; they cannot; they did."""
_AT_ONCE = 20_000
# Jumps from rule to rule in the index, where DISTINCT would walk through all of it.
_RULES = """WITH RECURSIVE rules (rule) AS (
    SELECT min(rule) FROM hits
    UNION ALL SELECT (SELECT min(rule) FROM hits WHERE rule > rules.rule) FROM rules WHERE rule IS NOT NULL
) SELECT rule FROM rules WHERE rule IS NOT NULL"""
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Hit).decode
_text = msgspec.json.Encoder().encode
_group = msgspec.json.Decoder(dict[str, str]).decode


class Kept(NamedTuple):
    """A correlation as the store knows it. `since`: the hit, `start`: the event time after which it takes part."""

    fingerprint: str
    since: int
    start: int


class Progress(NamedTuple):
    """How far correlation has got. `read`: the last hit read. `settled`: event time nothing can change any more.

    `late`, `early`: hits left out because their time was too far behind or ahead.
    """

    read: int = 0
    settled: int = -(2**62)
    late: int = 0
    early: int = 0
    epoch: int = 0


def found_id(found: Found) -> str:
    """The id of the finding of what came true."""
    return correlation_finding_id(found.correlation.id, group_text(found), found.match.time)


def group_text(found: Found) -> str:
    """The group as text."""
    return _text(found.match.group).decode()


def read_progress(connection: sqlite3.Connection) -> Progress:
    """How far correlation has got, from the store."""
    rows = dict(connection.execute("SELECT name, value FROM counters"))
    return Progress(**{name: rows[name] for name in Progress._fields if name in rows})


def write_progress(connection: sqlite3.Connection, progress: Progress) -> None:
    """How far correlation has got, into the store."""
    connection.executemany("INSERT OR REPLACE INTO counters VALUES (?, ?)", progress._asdict().items())


def new_hits(connection: sqlite3.Connection, after: int) -> list[tuple[int, Hit]]:
    """The next hits by their number, at most 20,000."""
    rows = connection.execute("SELECT seq, body FROM hits WHERE seq > ? ORDER BY seq LIMIT ?", (after, _AT_ONCE))
    return [(seq, _decode(body)) for seq, body in rows.fetchall()]


def forget_hits(connection: sqlite3.Connection, numbers: Iterable[int]) -> None:
    """Delete hits by their number."""
    connection.executemany("DELETE FROM hits WHERE seq = ?", ((number,) for number in numbers))


def forget_read(connection: sqlite3.Connection, read: int) -> None:
    """Delete all hits read, the last of them `read`, and what correlations came to by them."""
    connection.execute("DELETE FROM hits WHERE seq <= ?", (read,))
    keep_correlations(connection, {})


def stored_hits(
    connection: sqlite3.Connection, rules: Sequence[str], after: int, until: int, read: int
) -> Iterator[tuple[int, int, Hit]]:
    """Hits of some rules read before, by time and number: (time, number, hit), beyond `after` up to `until`."""
    marks = ",".join("?" * len(rules))
    rows = connection.execute(
        f"SELECT time, seq, body FROM hits WHERE rule IN ({marks}) AND time > ? AND time <= ? AND seq <= ?"  # noqa: S608
        " ORDER BY time, seq",
        (*rules, after, until, read),
    )
    for time, seq, body in rows:
        yield time, seq, _decode(body)


def settled_hits(
    connection: sqlite3.Connection, correlation: str, after: int, until: int
) -> Iterator[tuple[int, int, Hit]]:
    """What a correlation came to, as hits of others: (decided, number, hit)."""
    rows = connection.execute(
        "SELECT decided, seq, hit FROM correlated"
        " WHERE correlation = ? AND decided > ? AND decided <= ? AND state = ? ORDER BY decided, seq",
        (correlation, after, until, SETTLED),
    )
    for decided, seq, body in rows:
        yield decided, seq, _decode(body)


def last_fired(connection: sqlite3.Connection, correlation: str, after: int) -> Mapping[Group, int]:
    """When each group of a correlation last came true, by what is settled."""
    rows = connection.execute(
        "SELECT grp, max(time) FROM correlated WHERE correlation = ? AND decided > ? AND state = ? GROUP BY grp",
        (correlation, after, SETTLED),
    )
    return {tuple(_group(group).values()): time for group, time in rows}


def record_found(connection: sqlite3.Connection, found: Sequence[Found], state: int) -> None:
    """Write what came true: provisional where it is new, settled in any case."""
    clash = "DO NOTHING" if state == PROVISIONAL else "DO UPDATE SET state = excluded.state, seq = excluded.seq"
    connection.executemany(
        f"INSERT INTO correlated VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) {clash}",  # noqa: S608 - ours
        [
            (
                bytes.fromhex(found_id(each)),
                each.correlation.id,
                group_text(each),
                each.match.time,
                each.decided,
                each.seq,
                state,
                _encode(each.hit),
            )
            for each in found
        ],
    )


def supersede_until(connection: sqlite3.Connection, settled: int) -> list[tuple[str, int]]:
    """Mark what was provisional and is not among what settled; ids and times of its findings."""
    rows = connection.execute(
        "UPDATE correlated SET state = ? WHERE state = ? AND decided <= ? RETURNING id, time",
        (SUPERSEDED, PROVISIONAL, settled),
    ).fetchall()
    return [(row[0].hex(), row[1]) for row in rows]


def kept_correlations(connection: sqlite3.Connection) -> dict[str, Kept]:
    """The correlations that the store has state of, by id."""
    rows = connection.execute("SELECT id, fingerprint, since, start FROM correlations")
    return {row[0]: Kept(*row[1:]) for row in rows}


def keep_correlations(connection: sqlite3.Connection, wanted: Mapping[str, Kept]) -> None:
    """Make the store know exactly these; what changed or left loses what it came to."""
    for correlation, kept in kept_correlations(connection).items():
        if wanted.get(correlation) != kept:
            connection.execute("DELETE FROM correlated WHERE correlation = ?", (correlation,))
            connection.execute("DELETE FROM correlations WHERE id = ?", (correlation,))
    connection.executemany(
        "INSERT OR REPLACE INTO correlations VALUES (?, ?, ?, ?)",
        [(correlation, *kept) for correlation, kept in wanted.items()],
    )


def prune(connection: sqlite3.Connection, needed: Mapping[str, int], read: int, longest: int) -> None:
    """Delete read hits that can no longer matter. `needed`: rule to the event time it is needed after.

    What came true is kept to the event time `longest`.
    """
    for (rule,) in connection.execute(_RULES).fetchall():
        least = needed.get(rule, 2**62)
        connection.execute("DELETE FROM hits WHERE rule = ? AND time <= ? AND seq <= ?", (rule, least, read))
    connection.execute("DELETE FROM correlated WHERE decided <= ? AND state != ?", (longest, PROVISIONAL))
