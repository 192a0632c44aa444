"""The model of a loaded rule: what the engine, `explain` and the cache read.

A detection rule's condition is a tree of `And`, `Or`, `Not` and `Const` over field tests. Modifiers,
placeholders, `1 of` / `all of` and meta filters are resolved when a rule is loaded, so a tree holds
nothing but tests of one value each. Equal tests compare and hash equal.
"""

from __future__ import annotations

import msgspec

from khien.events.logsource import LogSource

STAR = 0
"""Any run of characters, in `Text.parts`."""
ANY = 1
"""Any one character, in `Text.parts`."""
DASH = 2
"""Any one of the characters that Windows programs take for a dash, in `Text.parts`."""
DASHES = "-/–—―"

Parts = tuple[str | int, ...]


class Text(msgspec.Struct, frozen=True, tag=True):
    """The text of the value equals the pattern: literal pieces, STAR, ANY and DASH.

    `contains` is STAR, literal, STAR; `startswith` is literal, STAR. Without `cased` both sides
    are compared in lower case (`str.lower`, all of Unicode). Numbers and booleans have their JSON
    text; integral floats the text of the integer; objects their compact JSON. A list holds where
    any element does.
    """

    field: str
    parts: Parts
    cased: bool = False


class Keyword(msgspec.Struct, frozen=True, tag=True):
    """The pattern occurs anywhere in the text of any value of the event (`parts` as in Text)."""

    parts: Parts
    cased: bool = False


class KeywordRegex(msgspec.Struct, frozen=True, tag=True):
    """The expression is found in the text of any value of the event."""

    pattern: str
    flags: str = ""


class Regex(msgspec.Struct, frozen=True, tag=True):
    """The expression is found anywhere in the value's text. `flags`: letters of "ims", sorted."""

    field: str
    pattern: str
    flags: str = ""


class Cidr(msgspec.Struct, frozen=True, tag=True):
    """The value is an IP address inside the network (IPv4 or IPv6; host bits of it ignored)."""

    field: str
    network: str


class Compare(msgspec.Struct, frozen=True, tag=True):
    """The value is a number (or numeric text) for which every bound holds.

    `bounds`: (operator, number) with operator one of "lt", "lte", "gt", "gte", "eq".
    `part`: "" for the value itself, else the part of the time it denotes, in UTC: "minute",
    "hour", "day" (of month), "week" (ISO), "month", "year".
    """

    field: str
    bounds: tuple[tuple[str, float | int], ...]
    part: str = ""


class Null(msgspec.Struct, frozen=True, tag=True):
    """The field is missing or null. (An empty text is neither: it equals ''.)"""

    field: str


class Exists(msgspec.Struct, frozen=True, tag=True):
    """The event has the field, be it null or empty."""

    field: str


class FieldRef(msgspec.Struct, frozen=True, tag=True):
    """The value's text relates to the text of another field of the same event.

    `how`: "equals", "contains", "startswith" or "endswith". False where either field is missing
    or null. With lists on either side, any pair.
    """

    field: str
    other: str
    how: str = "equals"
    cased: bool = False


Test = Text | Keyword | KeywordRegex | Regex | Cidr | Compare | Null | Exists | FieldRef


class Const(msgspec.Struct, frozen=True, tag=True):
    """Always or never true."""

    value: bool


class And(msgspec.Struct, frozen=True, tag=True):
    """All items hold. Never empty."""

    items: tuple[Node, ...]


class Or(msgspec.Struct, frozen=True, tag=True):
    """At least one item holds. Never empty."""

    items: tuple[Node, ...]


class Not(msgspec.Struct, frozen=True, tag=True):
    """The item does not hold."""

    item: Node


class Named(msgspec.Struct, frozen=True, tag=True):
    """A detection item by its name in the rule (`selection`), kept for people: it is its item."""

    name: str
    item: Node


Node = (
    And | Or | Not | Named | Const | Text | Keyword | KeywordRegex | Regex | Cidr | Compare | Null | Exists | FieldRef
)


class Rule(msgspec.Struct, frozen=True):
    """A detection rule, ready to be compiled. `conditions`: any of them true is a match."""

    id: str
    title: str
    logsource: LogSource
    conditions: tuple[Node, ...]
    name: str = ""
    level: str = "medium"
    status: str = ""
    description: str = ""
    author: str = ""
    date: str = ""
    references: tuple[str, ...] = ()
    falsepositives: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    path: str = ""
    filters: tuple[str, ...] = ()


class Correlation(msgspec.Struct, frozen=True):
    """A correlation rule.

    `type`: event_count, value_count, temporal, temporal_ordered, value_sum, value_avg,
    value_percentile or value_median. `rules`: ids of the rules (or correlations: chained) it is
    made of, in the order given; `names` the references as written. `group_by`: fields, or aliases.
    `aliases`: alias to {rule id: field}. `timespan`: seconds. `bounds`: as in Compare, on the
    count, sum, average, percentile or median. `condition`: for temporal types with a boolean
    condition, its tree with `RuleRef` leaves; None means all rules. `field`: what value_* reads.
    `percentile`: 0 to 100. `generate`: also report the base rules' own findings.
    """

    id: str
    title: str
    type: str
    rules: tuple[str, ...]
    timespan: float
    names: tuple[str, ...] = ()
    group_by: tuple[str, ...] = ()
    aliases: dict[str, dict[str, str]] = {}
    bounds: tuple[tuple[str, float | int], ...] = ()
    condition: RefNode | None = None
    field: tuple[str, ...] = ()
    percentile: float = 50.0
    generate: bool = False
    name: str = ""
    level: str = "medium"
    status: str = ""
    description: str = ""
    author: str = ""
    date: str = ""
    references: tuple[str, ...] = ()
    falsepositives: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    path: str = ""


class RuleRef(msgspec.Struct, frozen=True, tag=True):
    """At least one event of this rule lies in the window."""

    rule: str


class RefAnd(msgspec.Struct, frozen=True, tag=True):
    """All hold."""

    items: tuple[RefNode, ...]


class RefOr(msgspec.Struct, frozen=True, tag=True):
    """Any holds."""

    items: tuple[RefNode, ...]


class RefNot(msgspec.Struct, frozen=True, tag=True):
    """Does not hold."""

    item: RefNode


RefNode = RuleRef | RefAnd | RefOr | RefNot


class Unusable(msgspec.Struct, frozen=True):
    """A rule (or file) that cannot be used, and why. `place` is the position in its file."""

    path: str
    id: str
    title: str
    reason: str
    place: str = ""


class RuleSet(msgspec.Struct, frozen=True):
    """All that was loaded from some folders: what can be used, and what cannot with reasons."""

    rules: tuple[Rule, ...] = ()
    correlations: tuple[Correlation, ...] = ()
    unusable: tuple[Unusable, ...] = ()
    warnings: tuple[Unusable, ...] = ()
