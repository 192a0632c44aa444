"""The fixed words of forms, from their data files."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files

import yaml

from khien.documents.document import Language


@lru_cache
def form_words(forms: str, language: Language) -> Mapping[str, str]:
    """The words of `data/<forms>.yml` in a language."""
    raw = yaml.safe_load((files("khien.documents") / "data" / f"{forms}.yml").read_text("utf-8"))
    return {name: each[language] for name, each in raw["words"].items()}
