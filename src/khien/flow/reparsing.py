"""Original lines of the lake to rows, as the storing worker makes them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from itertools import islice

import pyarrow as pa
import pyarrow.compute as pc

from khien.collect.spool import Parcel
from khien.events.mapping import Classifier
from khien.flow.rows import UNPARSED, RowMaker
from khien.formats.sniff import sniff
from khien.lake.reparse import Lines
from khien.lake.schema import EVENT_SCHEMA


class LineParser:
    """Parses lines with the readers and mappings of today (`khien.lake.reparse.Parser`).

    `formats`: the format of a source, by its name; what is not in it (or "") is told by content.
    """

    def __init__(self, formats: Mapping[str, str]) -> None:
        self._formats = formats
        self._rows = RowMaker(Classifier.load())

    def __call__(self, lines: Lines) -> pa.Table:
        """Rows of EVENT_SCHEMA; each line stands where it stood in its parcel.

        Told by content, lines are tried together first; then those that gave nothing, each by what it looks like.
        """
        texts = dict(zip(lines.numbers, (_line(text) for text in lines.texts), strict=True))
        name = self._formats.get(lines.source, "")
        if name:
            return self._table(lines, name, texts)
        name = _told(b"".join(islice(texts.values(), 1000)))
        parts = [self._table(lines, name, texts)] if name else []
        by_format: dict[str, dict[int, bytes]] = defaultdict(dict)
        gone = set(parts[0].column("spool").to_pylist()) if parts else set()
        for number, text in texts.items():
            if f"{lines.lane}:{lines.sequence}:{number}" not in gone and (own := _told(text)) not in ("", name):
                by_format[own][number] = text
        parts += [self._table(lines, own, mine) for own, mine in by_format.items()]
        return pa.concat_tables(parts) if parts else EVENT_SCHEMA.empty_table()

    def _table(self, lines: Lines, name: str, texts: Mapping[int, bytes]) -> pa.Table:
        """The rows of what can be parsed in a format."""
        data = bytearray()
        before = 0
        for number, text in texts.items():
            data += b"\n" * (number - before - 1) + text
            before = number
        parcel = Parcel(lines.source, name, lines.received, bytes(data), len(texts))
        rows = self._rows.table(lines.lane, lines.sequence, parcel, lines.unit)
        return rows.filter(pc.not_equal(rows.column("logsource"), UNPARSED))


def _line(text: str) -> bytes:
    return text.encode("utf-8", "replace").replace(b"\n", b" ") + b"\n"


def _told(data: bytes) -> str:
    """The name of the format that these first lines are in; "" for none that is known."""
    found = sniff(data[: 64 << 10])
    return found.name if found is not None else ""
