"""A document's body as a flow of numbered lines and tables: what the writers of Word and PDF share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

from khien.documents.document import (
    Article,
    Block,
    Bullets,
    Clause,
    Language,
    Paragraph,
    Run,
    Section,
    Table,
    Text,
)
from khien.documents.layout import Layout
from khien.documents.wording import clean, letter, roman

Role = Literal["text", "plain", "centred", "heading"]


@dataclass(frozen=True, slots=True)
class Line:
    """A paragraph as it is set. `role`: text is justified with its first line indented, plain is not indented."""

    runs: tuple[Run, ...]
    role: Role = "text"
    keep: bool = False

    @property
    def text(self) -> str:
        """Without its dress."""
        return "".join(run.text for run in self.runs)


@dataclass(frozen=True, slots=True)
class Grid:
    """A table as it is set: rows of cells of runs, relative widths."""

    columns: tuple[str, ...]
    rows: tuple[tuple[tuple[Run, ...], ...], ...]
    widths: tuple[float, ...]


def runs(text: Text, *, bold: bool = False, italic: bool = False) -> tuple[Run, ...]:
    """Runs of clean text; dress given here is added to each."""
    parts = (Run(text),) if isinstance(text, str) else tuple(text)
    return tuple(
        replace(part, text=clean(part.text), bold=part.bold or bold, italic=part.italic or italic) for part in parts
    )


def flow(blocks: Iterable[Block], rules: Layout, language: Language, *, ended: bool = False) -> list[Line | Grid]:
    """Lines and tables, numbered. `ended`: the last one gets the mark that nothing follows ("./.")."""
    made = list(_Numbering(rules, language).blocks(blocks))
    for position, (line, following) in enumerate(pairwise(made)):
        if isinstance(line, Line) and isinstance(following, Grid):
            made[position] = replace(line, keep=True)
    if ended and rules.end:
        last = made[-1] if made else None
        if isinstance(last, Line) and last.role != "heading":
            *before, final = last.runs
            made[-1] = replace(last, runs=(*before, replace(final, text=final.text.rstrip(" .") + rules.end)))
        elif made:
            made.append(Line((Run(rules.end),), "plain"))
    return made


class _Numbering:
    """Counts sections, articles and clauses as they come."""

    def __init__(self, rules: Layout, language: Language) -> None:
        self._rules, self._language = rules, language
        self._sections = self._articles = self._clauses = 0

    def blocks(self, blocks: Iterable[Block]) -> Iterator[Line | Grid]:
        for block in blocks:
            match block:
                case Paragraph(text, plain, centred):
                    yield from _lines(runs(text), "centred" if centred else "plain" if plain else "text")
                case Bullets(items):
                    for item in items:
                        yield from _lines((Run("- "), *runs(item)))
                case Table():
                    yield grid(block)
                case Section(title, inner):
                    self._sections += 1
                    self._clauses = 0
                    yield Line(runs(f"{roman(self._sections)}. {title}", bold=True), "heading", keep=True)
                    yield from self.blocks(inner)
                case Article(text, title, inner):
                    self._articles += 1
                    self._clauses = 0
                    number = self._rules.word("article", self._language).format(n=self._articles)
                    yield from self._numbered(number, text, title)
                    yield from self.blocks(inner)
                case Clause(text, title, points, inner):
                    self._clauses += 1
                    yield from self._numbered(f"{self._clauses}.", text, title, bold=False)
                    for position, point in enumerate(points):
                        yield from _lines((Run(f"{letter(position)}) "), *runs(point)))
                    yield from self.blocks(inner)

    def _numbered(self, number: str, text: Text, title: str, *, bold: bool = True) -> Iterator[Line]:
        head: tuple[Run, ...] = (Run(f"{number} ", bold=bold or bool(title)),)
        if title:
            head += runs(f"{title}{'. ' if text else ''}", bold=True)
        yield from _lines((*head, *(runs(text) if text else ())), keep=not text)


def _lines(parts: Sequence[Run], role: Role = "text", *, keep: bool = False) -> Iterator[Line]:
    """A paragraph a line of the text: a line break within a justified one would stretch the words before it."""
    current: list[Run] = []
    for part in parts:
        first, *more = part.text.split("\n")
        current.append(replace(part, text=first))
        for text in more:
            if any(run.text.strip() for run in current):
                yield Line(tuple(current), role, keep)
            current = [replace(part, text=text)]
    if any(run.text.strip() for run in current):
        yield Line(tuple(current), role, keep)


def grid(table: Table) -> Grid:
    """A table's cells as runs; where it has no columns, the first cell of each row is a name."""
    width = len(table.columns) or max((len(row) for row in table.rows), default=1)
    rows = tuple(
        tuple(
            runs(cell, bold=not table.columns and position == 0 and width > 1)
            for position, cell in enumerate((*row, *[""] * (width - len(row))))
        )
        for row in table.rows
    )
    widths: Sequence[float] = table.widths or ((1.0, 1.8) if not table.columns and width == 2 else (1.0,) * width)
    return Grid(tuple(clean(name) for name in table.columns), rows, tuple(share / sum(widths) for share in widths))
