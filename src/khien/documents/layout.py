"""The rules of form, read from `data/<family>.yml` and checked against what they themselves allow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from importlib.resources import files
from typing import Any

import yaml

from khien.documents.document import Language
from khien.errors import KhienError


class LayoutError(KhienError):
    """A file of rules of form is not valid."""


@dataclass(frozen=True, slots=True)
class Dress:
    """How an element's letters look. Sizes in points: of the smaller set and of the larger."""

    sizes: tuple[float, float]
    bold: bool = False
    italic: bool = False
    capitals: bool = False

    def size(self, large: bool) -> float:
        """The size in the chosen set."""
        return self.sizes[1 if large else 0]


@dataclass(frozen=True, slots=True)
class Page:
    """Lengths in millimetres. `head`: from the upper edge to the page number."""

    width: float
    height: float
    top: float
    bottom: float
    left: float
    right: float
    head: float
    issuer_column: float
    recipients_column: float

    @property
    def text_width(self) -> float:
        """Between the margins."""
        return self.width - self.left - self.right


@dataclass(frozen=True, slots=True)
class Layout:
    """The rules of form of one family of documents, with where they come from."""

    family: str
    ruleset: str
    effective_from: date
    effective_to: date | None
    source: str
    page: Page
    font: str
    twins: tuple[str, ...]
    first_line: float
    after: float
    spacing: float
    end: str
    text: Mapping[str, Dress]
    rules: Mapping[str, float]
    subject_gap: float
    stamps: Mapping[str, tuple[str, float, float]]
    stamp_colour: str
    issuer_mark: str
    words: Mapping[str, Mapping[str, str]]
    kinds: Mapping[str, Mapping[str, str]]

    def word(self, name: str, language: Language) -> str:
        """A fixed wording in a language."""
        return self.words[language][name]

    def kind(self, code: str, language: Language = "vi") -> str:
        """What an abbreviation of a kind of documents stands for: "TB" is THÔNG BÁO."""
        return self.kinds[code][language]


_ELEMENTS = (
    *("national_name", "motto", "parent", "issuer", "number", "subject", "place_date", "title", "abstract", "bases"),
    *("body", "heading", "addressee", "authority", "signer", "recipients_head", "recipients", "annex", "annex_note"),
    *("page_number", "urgency", "table"),
)


@lru_cache
def layout(family: str) -> Layout:
    """The rules of a family. Raises LayoutError when there is no such family, or a choice breaks its rule."""
    place = files("khien.documents") / "data" / f"{family}.yml"
    if not family.isidentifier() or not place.is_file():
        raise LayoutError(f"there are no rules of form named {family!r}", remedy="Add documents/data/<name>.yml.")
    return read_layout(yaml.safe_load(place.read_text("utf-8")), f"documents/data/{family}.yml")


def read_layout(raw: Mapping[str, Any], where: str) -> Layout:
    """Rules of form from what their file says. `where`: named in a LayoutError."""
    try:
        return _read(raw, where)
    except (KeyError, TypeError, ValueError) as error:
        raise LayoutError(f"the rules of form are incomplete: {error!r}", where) from error


def _read(raw: Mapping[str, Any], where: str) -> Layout:
    page = raw["page"]
    body = raw["body"]
    allowed = body["first_line"]["allowed"]
    if body["first_line"]["use"] not in allowed:
        raise LayoutError(f"the first line's indent is none of {allowed}", where)
    if body["after"]["use"] < body["after"]["at_least"]:
        raise LayoutError("paragraphs stand too close", where)
    return Layout(
        family=raw["family"],
        ruleset=raw["ruleset"],
        effective_from=raw["effective_from"],
        effective_to=raw["effective_to"],
        source=raw["source"],
        page=Page(
            **{name: float(page[name]) for name in ("width", "height", "head", "issuer_column", "recipients_column")},
            **{name: _within(page[name], f"page.{name}", where) for name in ("top", "bottom", "left", "right")},
        ),
        font=raw["fonts"]["name"],
        twins=tuple(raw["fonts"]["twins"]),
        first_line=float(body["first_line"]["use"]),
        after=float(body["after"]["use"]),
        spacing=_within(body["spacing"], "body.spacing", where),
        end=raw["body"]["end"],
        text={name: _dress(raw["text"][name], f"text.{name}", where) for name in _ELEMENTS},
        rules={name: _within(each, f"rules.{name}", where) for name, each in raw["rules"].items()},
        subject_gap=float(raw["subject_gap"]),
        stamps={
            name: (each["words"], float(each["width"]), float(each["height"])) for name, each in raw["urgency"].items()
        },
        stamp_colour=raw["urgency_colour"],
        issuer_mark=raw["issuer_mark"],
        words=raw["words"],
        kinds=raw["kinds"],
    )


def _within(choice: Mapping[str, Any], name: str, where: str) -> float:
    lowest, highest = choice["between"]
    if not lowest <= choice["use"] <= highest:
        raise LayoutError(f"{name} is {choice['use']}, not between {lowest} and {highest}", where)
    return float(choice["use"])


def _dress(raw: Mapping[str, Any], name: str, where: str) -> Dress:
    small, large = (_within({"use": size, "between": raw["between"]}, name, where) for size in raw["size"])
    return Dress((small, large), raw.get("bold", False), raw.get("italic", False), raw.get("capitals", False))
