"""Where the live pipeline keeps its things, and how it works."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

EXCEPTIONS = "exceptions"
"""A folder of rules within the data folder: Sigma filters that the console keeps there, read by `khien up`."""


@dataclass(frozen=True, slots=True)
class FlowSettings:
    """`folder`: the data folder. `rules`: rule files and folders; `cache`: of compiled ones. `sources`: their file.

    `lake`: its root, a folder or S3 URI ("": a folder of the data folder). `lanes`: spool lanes, each with
    workers of its own. `level`: the least severe level that becomes an alert. `spool_bytes`: the most the spool
    takes on disk, `min_free` what it leaves free. `store_bytes`, `store_seconds`: a batch is written to the
    lake when it has so much or is so old. `keep_days`, `keep_size`: what the lake keeps (0, "": everything).
    `lateness`: seconds that an event may be late for correlations.
    """

    folder: Path
    rules: tuple[Path, ...]
    sources: Path | None = None
    cache: Path | None = None
    lake: str = ""
    lake_options: dict[str, str] = field(default_factory=dict)
    lanes: int = 1
    level: str = "low"
    placeholders: Path | None = None
    store_bytes: int = 32 << 20
    store_seconds: float = 10.0
    lateness: float = 900.0
    keep_days: int = 180
    keep_size: str = ""
    spool_bytes: int = 20 << 30
    min_free: int = 1 << 30

    @property
    def spool(self) -> Path:
        """The spool's folder."""
        return self.folder / "spool"

    @property
    def lake_root(self) -> str:
        """The lake's root: what was set, or a folder of the data folder."""
        return self.lake or str(self.folder / "lake")

    @property
    def alerts(self) -> Path:
        """The alerts' database."""
        return self.folder / "alerts.db"

    @property
    def alarms(self) -> Path:
        """What the alarms of the service itself remember."""
        return self.folder / "alarms.json"

    @property
    def status(self) -> Path:
        """The folder in which each process says how it is."""
        return self.folder / "status"

    @property
    def set_aside(self) -> Path:
        """The folder of events that could not be worked on."""
        return self.folder / "set-aside"
