"""Catalogues of incidents: RSIT classes, working classes, legal clocks and playbooks, as versioned YAML.

The packaged files stand in `data/`. An administrator replaces one by a file of the same name (`rsit.yml`,
`classes_vi.yml`, `clocks.yml`, `playbooks/malware.yml` ...) in the folder that the setting KHIEN_CATALOGUES names;
a changed file is read anew without a restart. Django's checks, made at each start, say what is wrong with a replaced
file; while it is wrong, the packaged one counts and the log says so. Further playbooks are further files.
"""

from __future__ import annotations

import logging
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec
import yaml
from django.conf import settings
from django.utils.functional import Promise, lazy
from django.utils.translation import get_language

from khien.errors import KhienError

PACKAGED = Path(__file__).resolve().parent / "data"
Flag = Literal["urgent", "serious", "personal_data"]
_log = logging.getLogger(__name__)
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class CatalogueError(KhienError):
    """A catalogue file is not valid: which, where and why."""


class Versioned(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What every ruleset says of itself. `effective_to`: the last day it is in force."""

    ruleset: str
    effective_from: date
    source: str
    effective_to: date | None = None

    def is_effective(self, day: date) -> bool:
        """Whether it is in force on a day."""
        return self.effective_from <= day and (self.effective_to is None or day <= self.effective_to)


class Named(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A code with its words in both languages."""

    code: str
    vi: str
    en: str

    @property
    def label(self) -> str:
        """The words in the reader's language."""
        return _in_language(self.vi, self.en)

    @property
    def lazy_label(self) -> Promise:
        """The words, in the language of whoever reads them later."""
        return _lazy_words(self.vi, self.en)


class RsitClass(Named, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A class of RSIT with its types."""

    types: list[Named]


class Rsit(Versioned, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The taxonomy."""

    classes: list[RsitClass]


class WorkingClass(Named, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A class people work with and the RSIT types it stands for, the usual one first."""

    rsit: list[str]


class WorkingClasses(Versioned, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The classes of the incident forms."""

    classes: list[WorkingClass]


class When(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A condition: all that it names has to hold."""

    flags: list[Flag] = []
    classes: list[str] = []
    min_level: int = 0


class ClockRule(Named, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A duty to report within `hours` of its start, 0 for at once."""

    hours: float
    starts: Literal["detected", "personal_data"]
    recipient_vi: str = ""
    recipient_en: str = ""
    when: list[When]


class ClockRuleset(Versioned, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The duties of one law."""

    clocks: list[ClockRule]


class Clocks(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All rulesets, old ones too: old incidents go by them. `warn_hours`: when to warn before the time."""

    warn_hours: list[float] = msgspec.field(default_factory=lambda: [6, 1])
    rulesets: list[ClockRuleset]


class TaskTemplate(Named, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A task of a playbook. `to`: `leading`, `affected` (each affected unit), or `kind:` and a kind of units."""

    text_vi: str = ""
    text_en: str = ""
    due_hours: float
    to: str

    @property
    def text(self) -> str:
        """What to do, in the reader's language."""
        return _in_language(self.text_vi, self.text_en)


class Playbook(Versioned, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What to do about incidents of some working classes; none named: of all."""

    code: str
    vi: str
    en: str
    classes: list[str] = []
    tasks: list[TaskTemplate]

    @property
    def label(self) -> str:
        """Its title in the reader's language."""
        return _in_language(self.vi, self.en)


T = TypeVar("T", bound=msgspec.Struct)


def _in_language(vi: str, en: str) -> str:
    return en if (get_language() or "").startswith("en") else vi


_lazy_words = lazy(_in_language, str)


def replaced() -> Path | None:
    """The administrator's folder of catalogues, when one is set."""
    folder = getattr(settings, "CATALOGUES", None)
    return Path(folder) if folder else None


def read(path: Path, kind: type[T]) -> T:
    """A catalogue file. Raises CatalogueError."""
    try:
        return _checked(msgspec.convert(yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader), kind))  # noqa: S506 - a safe loader
    except (OSError, UnicodeDecodeError, yaml.YAMLError, msgspec.ValidationError, CatalogueError) as error:
        remedy = "Mend the file, or take it away to use the packaged one."
        raise CatalogueError(str(error).rstrip("."), str(path), remedy) from error


def _checked(catalogue: T) -> T:
    """Raises CatalogueError for what the types alone do not tell."""
    if isinstance(catalogue, Rsit):
        _once([each.code for group in catalogue.classes for each in group.types])
    elif isinstance(catalogue, WorkingClasses):
        _once([each.code for each in catalogue.classes])
        known = {each.code for group in rsit().classes for each in group.types}
        for each in catalogue.classes:
            if not each.rsit or (unknown := set(each.rsit) - known):
                raise CatalogueError(f"class {each.code} names no RSIT type, or unknown ones: {sorted(unknown)}")
        if "other" not in {each.code for each in catalogue.classes}:
            raise CatalogueError("a class `other` has to be there")
    elif isinstance(catalogue, Clocks):
        for ruleset in catalogue.rulesets:
            _once([each.code for each in ruleset.clocks])
            if any(each.hours < 0 or not each.when for each in ruleset.clocks):
                raise CatalogueError(f"{ruleset.ruleset}: a clock needs a condition, and hours of 0 or more")
    elif isinstance(catalogue, Playbook):
        _once([each.code for each in catalogue.tasks])
        for each in catalogue.tasks:
            if each.to not in ("leading", "affected") and not each.to.startswith("kind:"):
                raise CatalogueError(f"task {each.code} goes to {each.to!r}: leading, affected or kind:CODE")
    if (
        isinstance(catalogue, Versioned)
        and catalogue.effective_to
        and catalogue.effective_to < catalogue.effective_from
    ):
        raise CatalogueError("effective_to lies before effective_from")
    return catalogue


def _once(codes: list[str]) -> None:
    twice = sorted({code for code in codes if codes.count(code) > 1})
    if twice:
        raise CatalogueError(f"codes that stand there twice: {', '.join(twice)}")


def _file(name: str, kind: type[T]) -> T:
    """The administrator's file of a name if it is there and valid, else the packaged one."""
    folder = replaced()
    if folder is not None and (folder / name).is_file():
        try:
            return _remembered(folder / name, (folder / name).stat().st_mtime_ns, kind)
        except CatalogueError as error:
            _log.error("catalogue not used: %s", error)
    return _remembered(PACKAGED / name, 0, kind)


@lru_cache(maxsize=128)
def _remembered(path: Path, _changed: int, kind: type[Any]) -> Any:
    return read(path, kind)


def rsit() -> Rsit:
    """The taxonomy."""
    return _file("rsit.yml", Rsit)


def classes() -> list[tuple[str, Promise]]:
    """RSIT types as choices: code and label in the reader's language."""
    return [(each.code, each.lazy_label) for group in rsit().classes for each in group.types]


def grouped_classes() -> list[tuple[str, list[tuple[str, str]]]]:
    """RSIT types as choices under their classes."""
    return [(group.label, [(each.code, each.label) for each in group.types]) for group in rsit().classes]


def class_label(code: str) -> str:
    """The words for an RSIT type; the code itself when it is not known any more."""
    return next((each.label for group in rsit().classes for each in group.types if each.code == code), code)


def working_classes() -> list[WorkingClass]:
    """The classes people work with."""
    return _file("classes_vi.yml", WorkingClasses).classes


def working_class_label(code: str) -> str:
    """The words for a working class; the code itself when it is not known any more."""
    return next((each.label for each in working_classes() if each.code == code), code)


def working_class_of(classification: str) -> str:
    """The working class that an RSIT type belongs to."""
    return next((each.code for each in working_classes() if classification in each.rsit), "other")


def usual_rsit(working_class: str) -> str:
    """The RSIT type usually meant by a working class."""
    return next((each.rsit[0] for each in working_classes() if each.code == working_class), "other")


def clock_rulesets(day: date) -> list[ClockRuleset]:
    """The rulesets in force on a day."""
    return [each for each in _file("clocks.yml", Clocks).rulesets if each.is_effective(day)]


def warn_hours() -> list[float]:
    """How many hours before a legal deadline people are warned, longest first."""
    return sorted(_file("clocks.yml", Clocks).warn_hours, reverse=True)


def playbooks(day: date, working_class: str | None = None) -> list[Playbook]:
    """The playbooks in force, of one class or of all; those of the class before those for all classes."""
    folders = [folder / "playbooks" for folder in (PACKAGED, replaced()) if folder is not None]
    names = sorted({path.name for folder in folders if folder.is_dir() for path in folder.glob("*.yml")})
    found = []
    for name in names:
        if not (PACKAGED / "playbooks" / name).exists():
            path = replaced() / "playbooks" / name  # type: ignore[operator]
            try:
                found.append(_remembered(path, path.stat().st_mtime_ns, Playbook))
            except CatalogueError as error:
                _log.error("catalogue not used: %s", error)
        else:
            found.append(_file(f"playbooks/{name}", Playbook))
    wanted = [
        each
        for each in found
        if each.is_effective(day) and (working_class is None or not each.classes or working_class in each.classes)
    ]
    return sorted(wanted, key=lambda each: (not each.classes, each.code))


KINDS: dict[str, type[msgspec.Struct]] = {"rsit.yml": Rsit, "classes_vi.yml": WorkingClasses, "clocks.yml": Clocks}


def problems() -> list[CatalogueError]:
    """What is wrong with the files of the administrator's folder."""
    folder = replaced()
    if folder is None:
        return []
    if not folder.is_dir():
        told = "KHIEN_CATALOGUES names this folder, and it is not there"
        return [CatalogueError(told, str(folder), "Make it, or unset KHIEN_CATALOGUES.")]
    found = []
    for path in [folder / name for name in KINDS] + sorted((folder / "playbooks").glob("*.yml")):
        if path.is_file():
            try:
                read(path, KINDS.get(path.name, Playbook))
            except CatalogueError as error:
                found.append(error)
    return found
