"""The scanning core, written in Rust (`native/`)."""

from collections.abc import Callable, Sequence
from typing import Any

class Literals:
    """Finds which of many literals occur in a text."""

    def __init__(self, literals: Sequence[str]) -> None: ...
    def find(self, text: str) -> tuple[int, ...]:
        """The positions of the literals that occur, sorted, each once."""

class Keywords:
    """Finds keywords in JSON; some that are none too, but never too few."""

    def __init__(self, literals: Sequence[str]) -> None: ...
    def occur(self, data: bytes) -> bool:
        """Whether a keyword may stand in the data."""

class Generation:
    """Counts the generations of a field's signatures."""

    def __init__(self) -> None: ...
    def advance(self) -> None:
        """Say that signatures given so far are not to be used again."""

class Column:
    """Remembers the signatures of a field's raw JSON values."""

    def __init__(
        self,
        ask: Callable[[bytes], int],
        missing: int,
        current: Generation,
        literals: Literals | None,
        guarded: Sequence[tuple[int, Sequence[str | None]]],
        free: Sequence[str] | None,
        long: Sequence[tuple[int, str]],
    ) -> None: ...
    def signature(self, raw: bytes) -> int:
        """The signature of a raw JSON value, as a scan would give it."""

class Template:
    """What to write of each line of a signature, with holes for what the line tells."""

    def __init__(self, key: object, pieces: Sequence[bytes | str | Sequence[str]]) -> None: ...

class Frame:
    """Where the lines of a kind have what templates ask for."""

    def __init__(
        self,
        time: Sequence[Sequence[str]],
        host: Sequence[Sequence[str]],
        user: Sequence[Sequence[str]],
        renamed: Sequence[tuple[str, Sequence[str]]],
        number: str,
        plain: Sequence[str],
        moment: Callable[[bytes], bytes | None],
    ) -> None: ...

class Questions:
    """Questions about a line, all of which its raw values answer."""

    def __init__(
        self,
        columns: Sequence[tuple[Sequence[str], Column]],
        extra: Sequence[int],
        references: Sequence[tuple[Sequence[str], Sequence[str]]],
        settle: Callable[[tuple[int, ...]], bool | Sequence[Template] | Questions],
    ) -> None: ...

class Shape:
    """How lines of one kind are looked at."""

    def __init__(
        self, questions: Questions | None, wants_text: bool, keywords: Keywords | None, frame: Frame | None
    ) -> None: ...

class Scanner:
    """Scans blocks of JSON lines for those that rules may match."""

    def __init__(
        self, keys: Sequence[str], unusual: Sequence[str], shape_of: Callable[[bytes], Shape | None]
    ) -> None: ...
    def scan(
        self, data: bytes, end: int, path: bytes
    ) -> tuple[
        int,
        list[tuple[int, int, int]],
        list[tuple[Shape, int, int, int, tuple[int, ...]]],
        list[tuple[int, Any, bytes, bytes]],
    ]:
        """Number of lines; those for the general reader (number from 0, start, end); those found; texts of others."""

class Extractor:
    """Takes columns of text out of blocks of JSON lines."""

    def __init__(self, columns: Sequence[Sequence[str]], unusual: Sequence[str]) -> None: ...
    def extract(self, data: bytes) -> tuple[int, bytes, list[tuple[int, int, int]], list[tuple[bytes, bytes, bytes]]]:
        """Rows; their line numbers (32 bits each); lines for the general reader; buffers of Arrow string arrays."""
