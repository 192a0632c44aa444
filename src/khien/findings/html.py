"""Findings as one self-contained HTML file: timeline, ATT&CK strip, hosts, users, findings.

The page opens from disk without a network. What a filter needs is held in one compressed block
that is read at once; whole events are in further blocks of 500 findings that are unpacked only
when someone opens one. Every value is put on the page as text, never as markup.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import html
import tempfile
from datetime import datetime
from importlib import resources
from typing import Any, BinaryIO, cast
from zoneinfo import ZoneInfo

import msgspec
import orjson

from khien import __version__
from khien.findings.attack import TACTICS, tactics, techniques
from khien.findings.finding import LEVELS, Finding
from khien.findings.summary import HuntSummary, Tallies
from khien.rules.model import Correlation, Rule, RuleSet

MOST_DETAILED = 50_000
"""Findings shown one by one; more are counted by rule only, and the page says so."""
CHUNK = 500
_LONGEST_VALUE = 2_000

Place = tuple[int, str, int, int]  # (level, lowest is most severe; time; offset; length)


class HtmlWriter:
    """Collects findings in a temporary file and writes the page at the end."""

    def __init__(self, stream: BinaryIO, zone: ZoneInfo, rules: RuleSet) -> None:
        self._stream = stream
        self._zone = zone
        self._rules: dict[str, Rule | Correlation] = {rule.id: rule for rule in rules.rules}
        self._rules |= {rule.id: rule for rule in rules.correlations}
        self._spool = cast(BinaryIO, tempfile.SpooledTemporaryFile(max_size=32 << 20))
        self._size = 0
        self._places: list[Place] = []
        self._worst: tuple[int, str] | None = None
        self._tallies = Tallies()
        self._decode = msgspec.json.Decoder(Finding).decode

    def write_line(self, line: bytes) -> None:
        """Take a finding given as NDJSON."""
        finding = self._decode(line)
        self._tallies.add(finding)
        rank = (len(LEVELS) - LEVELS.index(finding.level), finding.time)
        if self._worst is not None and rank > self._worst:
            return
        self._spool.seek(self._size)
        self._spool.write(line)
        self._places.append((*rank, self._size, len(line)))
        self._size += len(line)
        if len(self._places) >= 3 * MOST_DETAILED:
            self._prune()

    def _prune(self) -> None:
        self._places.sort()
        del self._places[MOST_DETAILED:]
        if len(self._places) == MOST_DETAILED:
            self._worst = self._places[-1][:2]

    def _shown(self) -> list[Finding]:
        """The findings with details, by time."""
        self._prune()
        found = []
        for _, time, offset, length in sorted(self._places, key=lambda place: (place[1], place[2])):
            self._spool.seek(offset)
            finding = self._decode(self._spool.read(length))
            finding.time = time
            found.append(finding)
        return found

    def close(self, summary: HuntSummary) -> None:
        """Write the page."""
        page = resources.files("khien.findings") / "report"
        style = (page / "report.css").read_text(encoding="utf-8")
        script = (page / "report.js").read_text(encoding="utf-8")
        shell = (page / "report.html").read_text(encoding="utf-8")
        words = (page / "words.json").read_bytes()
        shown = self._shown()
        strings = _Strings()
        rules = _RuleTable(self._rules, self._tallies)
        index = {
            "summary": self._summary(summary, len(shown)),
            "levels": self._tallies.by_level(),
            "tactics": [[name, *TACTICS[name]] for name in TACTICS],
            "findings": [self._row(finding, rules, strings) for finding in shown],
            "rules": rules.rows,
            "strings": strings.texts,
            "words": orjson.loads(words),
        }
        head, _, tail = shell.partition("<!-- data -->")
        policy = (
            f"default-src 'none'; script-src '{_digest(script)}'; style-src '{_digest(style)}'; "
            "img-src data:; base-uri 'none'; form-action 'none'"
        )
        head = head.replace("{{policy}}", html.escape(policy)).replace("{{style}}", style)
        head = head.replace("{{version}}", __version__)
        self._stream.write(head.encode())
        self._write_block("index", orjson.dumps(index))
        for number, start in enumerate(range(0, len(shown), CHUNK)):
            events = [[f.event, f.events] for f in shown[start : start + CHUNK]]
            self._write_block(f"events-{number}", orjson.dumps(events))
        self._stream.write(tail.replace("{{script}}", script).encode())
        self._spool.close()

    def _write_block(self, name: str, data: bytes) -> None:
        packed = base64.b64encode(gzip.compress(data, 6, mtime=0))
        self._stream.write(b'<script type="text/plain" id="%s">%s</script>\n' % (name.encode(), packed))

    def _summary(self, summary: HuntSummary, shown: int) -> dict[str, Any]:
        return {
            "files": summary.files,
            "size": summary.size,
            "events": summary.events,
            "findings": summary.findings,
            "seconds": round(summary.seconds, 2),
            "rules": summary.rules,
            "correlations": summary.correlations,
            "unusable": summary.unusable,
            "problems": [str(problem) for problem in summary.problems[:200]],
            "problemCount": len(summary.problems),
            "shown": shown,
            "zone": self._zone.key,
            "version": __version__,
            "chunk": CHUNK,
        }

    def _row(self, finding: Finding, rules: _RuleTable, strings: _Strings) -> list[Any]:
        moment = int(datetime.fromisoformat(finding.time).timestamp() * 1000) if finding.time else None
        matched = [[m.field, _shorten(m.value), m.pattern] for m in finding.matched]
        return [
            rules.number(finding),
            moment,
            strings.number(finding.host),
            strings.number(finding.user),
            strings.number(finding.path),
            finding.record,
            matched,
        ]


def _shorten(value: Any) -> str:
    text = value if isinstance(value, str) else orjson.dumps(value).decode()
    return text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 1] + "…"


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


class _Strings:
    """Texts that recur, each once."""

    def __init__(self) -> None:
        self.texts: list[str] = [""]
        self._numbers = {"": 0}

    def number(self, text: str) -> int:
        """The place of a text in the table."""
        known = self._numbers.get(text)
        if known is None:
            known = self._numbers[text] = len(self.texts)
            self.texts.append(text)
        return known


class _RuleTable:
    """What the page says of the rules that found something."""

    def __init__(self, rules: dict[str, Any], tallies: Tallies) -> None:
        self.rows: list[dict[str, Any]] = []
        self._numbers: dict[str, int] = {}
        for tally in tallies.ordered():
            rule = rules.get(tally.rule_id)
            self._numbers[tally.rule_id] = len(self.rows)
            self.rows.append(
                {
                    "id": tally.rule_id,
                    "title": tally.title,
                    "level": tally.level,
                    "count": tally.count,
                    "tags": list(tally.tags),
                    "tactics": tactics(tally.tags),
                    "techniques": techniques(tally.tags),
                    "description": getattr(rule, "description", ""),
                    "author": getattr(rule, "author", ""),
                    "references": list(getattr(rule, "references", ())),
                    "falsepositives": list(getattr(rule, "falsepositives", ())),
                }
            )

    def number(self, finding: Finding) -> int:
        """The place of a finding's rule in the table."""
        return self._numbers[finding.rule_id]
