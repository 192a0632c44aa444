"""Where rules come from when a person does not say, and where they are cached."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import platformdirs

from khien.errors import UsageError
from khien.rules.cache import load_rules_cached
from khien.rules.collection import load_placeholders
from khien.rules.model import RuleSet


def data_folder() -> Path:
    """The user's data folder, in which synced rules stand."""
    return Path(platformdirs.user_data_dir("khien"))


def cache_folder() -> Path:
    """The user's cache folder; safe to delete."""
    return Path(platformdirs.user_cache_dir("khien")) / "rules"


def starter_folder() -> Path:
    """The starter rules: in the package, or in the source tree it was installed from."""
    packaged = Path(str(resources.files("khien"))) / "starter_rules"
    return packaged if packaged.is_dir() else Path(__file__).resolve().parents[3] / "rules"


def synced_folder() -> Path:
    """The rules that `khien rules sync` fetched last."""
    return data_folder() / "sigma" / "current"


def load(folders: list[Path] | None, placeholders: Path | None, cache: bool = True) -> RuleSet:
    """Load rules from the folders, or the starter pack and what was synced. Raises UsageError."""
    chosen = folders or [path for path in (starter_folder(), synced_folder()) if path.is_dir()]
    given = load_placeholders(placeholders) if placeholders else {}
    rules = load_rules_cached(chosen, given, cache_folder() if cache else None)
    if not rules.rules and not rules.correlations:
        where = ", ".join(str(path) for path in chosen)
        raise UsageError("there is no usable rule", where, "See why with: khien rules check")
    return rules
