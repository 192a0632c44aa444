"""The queue's filter as people write it: `level:high,critical unit:so-y-te status:new -rule:noisy "encoded command"`.

Terms are `key:value,value`; a `-` before a term takes away instead. Everything else is searched in the content of
events; what stands in quotes has to stand together, a `*` at the end lets the last word go on.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from django.utils.translation import gettext as _

KEYS = (
    "level", "status", "unit", "system", "owner", "rule", "entity", "host", "user", "ip",
    "domain", "hash", "tag", "technique", "incident", "verdict", "class", "since", "until", "made",
)  # fmt: skip
LONGEST = 2_000
_MOST_TERMS = 40
_PART = re.compile(r'(?P<minus>-?)(?P<key>[A-Za-z_]+):(?P<values>(?:"[^"]*"|[^\s",]+|,)*)|(?P<text>-?"[^"]*"?|\S+)')
_VALUE = re.compile(r'"([^"]*)"|([^\s",]+)')
_NEEDS_QUOTES = re.compile(r'[\s,":]')


class FilterError(ValueError):
    """A filter that cannot be read. `start`, `end`: the place in the text that is wrong."""

    def __init__(self, message: str, start: int, end: int) -> None:
        super().__init__(message)
        self.message, self.start, self.end = message, start, end


@dataclass(frozen=True, slots=True)
class Term:
    """`key:value,value`, and where it stands."""

    key: str
    values: tuple[str, ...]
    negated: bool = False
    start: int = field(default=0, compare=False)
    end: int = field(default=0, compare=False)

    def error(self, message: str) -> FilterError:
        """An error at this place."""
        return FilterError(message, self.start, self.end)

    def __str__(self) -> str:
        return f"{'-' if self.negated else ''}{self.key}:{','.join(_quoted(value) for value in self.values)}"


@dataclass(frozen=True, slots=True)
class Query:
    """A filter that was read."""

    terms: tuple[Term, ...] = ()
    texts: tuple[str, ...] = ()

    def __str__(self) -> str:
        texts = (f'"{text}"' if _NEEDS_QUOTES.search(text) or text.startswith("-") else text for text in self.texts)
        return " ".join([*map(str, self.terms), *texts])

    def values(self, key: str) -> tuple[str, ...]:
        """The values of the first positive term of a key."""
        return next((term.values for term in self.terms if term.key == key and not term.negated), ())

    def with_term(self, key: str, values: Iterable[str]) -> Query:
        """The same with the positive terms of a key replaced; without them when there are no values."""
        kept = tuple(term for term in self.terms if term.key != key or term.negated)
        found = tuple(value for value in values if value)
        return replace(self, terms=(*kept, Term(key, found)) if found else kept)


def read(text: str) -> Query:
    """Read a filter. Raises FilterError with the place that is wrong."""
    if len(text) > LONGEST:
        raise FilterError(_("The filter is too long."), LONGEST, len(text))
    terms: list[Term] = []
    texts: list[str] = []
    for part in _PART.finditer(text):
        start, end = part.span()
        if part["text"] is not None:
            texts.append(_text(part["text"], start, end))
            continue
        key = part["key"].lower()
        if key not in KEYS:
            if "\\" in part["values"] or part["values"].startswith("//") or not part["values"]:
                texts.append(part[0])  # a path, an address or a word with a colon: content
                continue
            raise FilterError(
                _("There is no “%(key)s” to filter by. There are: %(keys)s. Put text to search in quotes.")
                % {"key": part["key"], "keys": ", ".join(KEYS)},
                start,
                start + len(part["minus"]) + len(part["key"]),
            )
        values = tuple(quoted or bare for quoted, bare in _VALUE.findall(part["values"]))
        if not any(values):
            raise FilterError(_("“%(key)s:” needs a value.") % {"key": key}, start, end)
        terms.append(Term(key, tuple(value for value in values if value), bool(part["minus"]), start, end))
    if len(terms) + len(texts) > _MOST_TERMS:
        raise FilterError(_("The filter has too many parts."), 0, len(text))
    return Query(tuple(terms), tuple(texts))


def _text(part: str, start: int, end: int) -> str:
    if part.startswith('-"'):
        raise FilterError(_("Content can be searched for, not left out."), start, end)
    if not part.startswith('"'):
        return part.replace('"', "")
    if len(part) < 2 or not part.endswith('"'):
        raise FilterError(_("The quotation mark is not closed."), start, end)
    return part[1:-1]


def _quoted(value: str) -> str:
    return f'"{value}"' if _NEEDS_QUOTES.search(value) else value
