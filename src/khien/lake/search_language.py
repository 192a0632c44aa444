"""The search language: `host:web01 user:admin "mimikatz" since:24h`, parsed.

search     = or
or         = and { OR and }
and        = not { [AND] not }
not        = [NOT | -] primary
primary    = "(" or ")" | field ":" value | text
value      = [> | >= | < | <=] word | word with * and ? | "exact text" | network | "*" (the field is there)
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from typing import Final

from khien.events.timestamps import parse_time
from khien.lake.errors import SearchError

_SPAN: Final = re.compile(r"(\d{1,6})(s|m|h|d|w)\Z")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_NUMBER: Final = re.compile(r"-?\d{1,18}(?:\.\d{1,9})?\Z")
_FIELD: Final = re.compile(r"[A-Za-z_@][A-Za-z0-9_.@-]*")
_DEEPEST: Final = 50
_LONGEST: Final = 10_000
_MOST: Final = 500


@dataclass(frozen=True, slots=True)
class Pattern:
    """A text with wildcards, as the pieces between them: "" + "*" + "run" is `*run`. Case does not count."""

    parts: tuple[str, ...]
    """Literal texts and the wildcards `*` (any text) and `?` (one character), in turn: literal first and last."""

    @property
    def literal(self) -> str | None:
        """The text, when it has no wildcards."""
        return self.parts[0] if len(self.parts) == 1 else None

    @property
    def pieces(self) -> tuple[str, ...]:
        """The literal texts."""
        return tuple(part for part in self.parts[::2] if part)


@dataclass(frozen=True, slots=True)
class Text:
    """The text of the whole event has the pattern somewhere in it."""

    pattern: Pattern


@dataclass(frozen=True, slots=True)
class Is:
    """The field as a whole is the pattern."""

    field: str
    pattern: Pattern


@dataclass(frozen=True, slots=True)
class Has:
    """The event has the field, and it is not null."""

    field: str


@dataclass(frozen=True, slots=True)
class Compare:
    """The field compares so; as numbers when `value` is one, else as text."""

    field: str
    operator: str
    value: float | str


@dataclass(frozen=True, slots=True)
class Within:
    """The field is an address of the network."""

    field: str
    network: ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class Not:
    """The term does not hold."""

    term: Term


@dataclass(frozen=True, slots=True)
class And:
    """All terms hold."""

    terms: tuple[Term, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """At least one term holds."""

    terms: tuple[Term, ...]


Term = Text | Is | Has | Compare | Within | Not | And | Or


@dataclass(frozen=True, slots=True)
class Search:
    """What to search for. `since` (inclusive), `until` (exclusive): microseconds since 1970-01-01 UTC, or None."""

    term: Term
    since: int | None = None
    until: int | None = None


@dataclass(frozen=True, slots=True)
class _Word:
    """A piece of the search. `field` is None for plain text; `quoted`: the value stood in quotes."""

    kind: str  # "word", "(", ")", "OR", "AND", "NOT", "end"
    at: int
    field: str | None = None
    value: str = ""
    quoted: bool = False


def parse(text: str, now: datetime, zone: tzinfo) -> Search:
    """Parse a search. `now` (aware) is what `since:24h` counts from; times without a zone are in `zone`.

    Raises SearchError, whose message shows the place.
    """
    return _Parser(text, now, zone).parse()


class _Parser:
    def __init__(self, text: str, now: datetime, zone: tzinfo) -> None:
        self._text = text
        self._now, self._zone = now, zone
        if len(text) > _LONGEST:
            raise SearchError(f"the search is longer than {_LONGEST:,} characters")
        self._words = self._cut()
        self._next = 0
        self._depth = 0
        self._since: int | None = None
        self._until: int | None = None

    def parse(self) -> Search:
        term = self._or(top=True)
        word = self._peek()
        if word.kind == ")":
            raise self._error("this parenthesis closes nothing", word.at, "Remove it, or quote it")
        return Search(term, self._since, self._until)

    def _or(self, top: bool = False) -> Term:
        terms = [self._and(top)]
        while self._peek().kind == "OR":
            if top and self._bounded:
                raise self._error(
                    "since: and until: count for the whole search, not beside OR", self._peek().at, _GROUP
                )
            self._next += 1
            terms.append(self._and(False))
        return terms[0] if len(terms) == 1 else Or(tuple(terms))

    @property
    def _bounded(self) -> bool:
        return self._since is not None or self._until is not None

    def _and(self, top: bool) -> Term:
        terms: list[Term] = []
        started = False
        while (word := self._peek()).kind not in ("OR", ")", "end"):
            if word.kind == "AND":
                if not started:
                    raise self._error("AND joins two terms", word.at, "Write a term before it")
                self._next += 1
                if self._peek().kind in ("OR", ")", "end", "AND"):
                    raise self._error(
                        "a term is missing after AND", self._peek().at, 'Write e.g. host:web01 AND "text"'
                    )
                continue
            started = True
            if word.kind == "word" and word.field in ("since", "until"):
                self._bound(word, top)
                self._next += 1
                continue
            terms.append(self._not())
        if not started and not top:
            what = "a term is missing"
            raise self._error(what, word.at, 'Write e.g. host:web01 or "text"; words like OR can be quoted')
        if not started and word.kind == "OR":
            raise self._error("a term is missing before OR", word.at, "Write a term, or quote it")
        return terms[0] if len(terms) == 1 else And(tuple(terms))

    def _not(self) -> Term:
        word = self._peek()
        if word.kind == "NOT":
            self._next += 1
            self._enter(word)
            if self._peek().kind in ("OR", "AND", ")", "end"):
                raise self._error("a term is missing after NOT", self._peek().at, "Write e.g. NOT host:web01")
            term = Not(self._not())
            self._depth -= 1
            return term
        self._next += 1
        if word.kind == "(":
            self._enter(word)
            inner = self._or()
            if self._peek().kind != ")":
                raise self._error("this parenthesis is not closed", word.at, "Add )")
            self._next += 1
            self._depth -= 1
            return inner
        return self._leaf(word)

    def _enter(self, word: _Word) -> None:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise self._error("parentheses are nested too deep", word.at)

    def _leaf(self, word: _Word) -> Term:
        if word.field in ("since", "until"):
            raise self._error(f"{word.field}: counts for the whole search, not for a part of it", word.at, _GROUP)
        if word.field is None:
            return Text(_pattern(word.value, word.quoted))
        if word.quoted:
            return Is(word.field, Pattern((word.value,)))
        if word.value == "*":
            return Has(word.field)
        if found := re.match(r"(>=|<=|>|<)(.*)", word.value, re.DOTALL):
            return self._compare(word, found[1], found[2])
        if "/" in word.value and re.match(r"[0-9a-fA-F:.]+/\d{1,3}\Z", word.value):
            try:
                return Within(word.field, ipaddress.ip_network(word.value, strict=False))
            except ValueError as error:
                raise self._error(f"this is no network: {error}", word.at, "Write e.g. src_ip:10.0.0.0/8") from error
        return Is(word.field, _pattern(word.value, False))

    def _compare(self, word: _Word, operator: str, value: str) -> Term:
        if not value:
            raise self._error(f"a value is missing after {operator}", word.at, "Write e.g. event_id:>=4000")
        if word.field in ("time", "received"):
            return Compare(word.field, operator, self._moment(word, value))
        return Compare(str(word.field), operator, float(value) if _NUMBER.match(value) else value)

    def _bound(self, word: _Word, top: bool) -> None:
        if not top or self._depth:
            raise self._error(f"{word.field}: counts for the whole search, not for a part of it", word.at, _GROUP)
        moment = self._moment(word, word.value)
        if word.field == "since":
            self._since = moment
        else:
            self._until = moment
        if self._since is not None and self._until is not None and self._since >= self._until:
            raise self._error("since: is not before until:", word.at, "Exchange them")

    def _moment(self, word: _Word, value: str) -> int:
        now = int(self._now.timestamp() * 1_000_000)
        if value == "now":
            return now
        if span := _SPAN.match(value):
            return now - int(span[1]) * _SECONDS[span[2]] * 1_000_000
        if value in ("today", "yesterday"):
            day = self._now.astimezone(self._zone).date() - timedelta(days=value == "yesterday")
            return self._local(datetime(day.year, day.month, day.day))
        try:
            if re.match(r"\d{4}-\d\d-\d\d\Z", value):
                day = date.fromisoformat(value)
                return self._local(datetime(day.year, day.month, day.day))
            moment = datetime.fromisoformat(value)
            return self._local(moment) if moment.tzinfo is None else round(moment.timestamp() * 1_000_000)
        except (ValueError, OverflowError):
            found = parse_time(value)
            if found is not None:
                return found
        raise self._error(
            f"'{value}' is no time", word.at, "Write e.g. 30m, 24h, 7d, today, 2026-11-24, 2026-11-24T08:00+07:00"
        )

    def _local(self, moment: datetime) -> int:
        return round(moment.replace(tzinfo=self._zone).timestamp() * 1_000_000)

    def _peek(self) -> _Word:
        return self._words[self._next]

    def _cut(self) -> list[_Word]:
        words: list[_Word] = []
        text, at = self._text, 0
        while at < len(text):
            char = text[at]
            if char.isspace():
                at += 1
                continue
            if char in "()":
                words.append(_Word(char, at))
                at += 1
                continue
            if char == "-" and at + 1 < len(text) and not text[at + 1].isspace():
                words.append(_Word("NOT", at))
                at += 1
                continue
            word, at = self._word(at)
            words.append(word)
            if len(words) > _MOST:
                raise self._error(f"the search has more than {_MOST} terms", word.at)
        words.append(_Word("end", len(text)))
        return words

    def _word(self, start: int) -> tuple[_Word, int]:
        text = self._text
        field, at = self._field(start)
        if at < len(text) and text[at] == '"':
            value, at = self._quoted(at)
            return _Word("word", start, field, value, True), at
        end = at
        while end < len(text) and not text[end].isspace() and text[end] not in '()"':
            end += 1
        value = text[at:end]
        if end < len(text) and text[end] == '"':
            raise self._error("a quote stands inside a word", end, 'Put the whole value in quotes: field:"a b"')
        if field is None:
            if value in ("OR", "AND", "NOT"):
                return _Word(value, start), end
            return _Word("word", start, None, value), end
        if not value:
            if end < len(text) and text[end] == "(":
                raise self._error("a field takes one value", end, f"Write ({field}:one OR {field}:two)")
            raise self._error(f"a value is missing after {field}:", end, f"Write e.g. {field}:value or {field}:*")
        if (len(field) == 1 and value[:1] == "\\") or value.startswith("//"):
            raise self._error("a text with a colon looks like field:value", start, "Put it in quotes")
        return _Word("word", start, field, value), end

    def _field(self, start: int) -> tuple[str | None, int]:
        """The name before a colon, when there is one, and where the value begins."""
        text = self._text
        if text[start] == '"':
            name, end = self._quoted(start)
            return (name, end + 1) if name and text[end : end + 1] == ":" else (None, start)
        found = _FIELD.match(text, start)
        if found and text[found.end() : found.end() + 1] == ":":
            return found[0], found.end() + 1
        if text[start] == ":":
            raise self._error("a field name is missing before the colon", start, "Put the text in quotes")
        return None, start

    def _quoted(self, start: int) -> tuple[str, int]:
        r"""The text in quotes; `\"` stands for a quote, every other backslash for itself."""
        text, at, value = self._text, start + 1, []
        while at < len(text):
            if text[at] == "\\" and text[at + 1 : at + 2] == '"' and '"' in text[at + 2 :]:
                value.append('"')
                at += 2
                continue
            if text[at] == '"':
                if not value:
                    raise self._error("there is nothing between the quotes", start, "Write a text, or remove them")
                return "".join(value), at + 1
            value.append(text[at])
            at += 1
        raise self._error("this quote is not closed", start, 'Add "')

    def _error(self, what: str, at: int, remedy: str = "") -> SearchError:
        begin = max(0, at - 40)
        shown = "".join(char if char.isprintable() else " " for char in self._text[begin : at + 40])
        return SearchError(what, remedy=remedy, shown=f"    {shown}\n    {' ' * (at - begin)}^")


_GROUP: Final = "Write it once, at the end: (a OR b) since:24h"


def _pattern(value: str, quoted: bool) -> Pattern:
    if quoted:
        return Pattern((value,))
    parts = [""]
    for char in value:
        if char in "*?":
            if not (char == "*" and len(parts) > 1 and parts[-1] == "" and parts[-2] == "*"):
                parts += [char, ""]
        else:
            parts[-1] += char
    return Pattern(tuple(parts))
