"""Findings as one self-contained HTML file: timeline, ATT&CK strip, hosts, users, findings.

The page opens from disk without a network. What a filter needs is held in one compressed block
that is read at once; whole events are in further blocks of 500 findings that are unpacked only
when someone opens one, or searches. Every value is put on the page as text, never as markup.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import html
import tempfile
from collections.abc import Iterator
from datetime import datetime
from functools import lru_cache
from importlib import resources
from typing import Any, BinaryIO, cast
from zoneinfo import ZoneInfo

import msgspec
import orjson
import re2

from khien import __version__
from khien.findings.attack import TACTICS, placed, tactics, technique_name, techniques
from khien.findings.finding import LEVELS, Finding, Matched, shown
from khien.findings.summary import HuntSummary, Tallies
from khien.rules.model import Correlation, Rule, RuleSet

MOST_DETAILED = 50_000
"""Findings shown one by one; more are counted by rule only, and the page says so."""
CHUNK = 500
_LONGEST_VALUE = 2_000
_MOST_MARKS = 20
_MOST_PROBLEMS = 200
_SCRIPTS = ("page.js", "filter.js", "charts.js", "findings.js", "report.js")

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

    def _shown(self) -> Iterator[Finding]:
        """The findings with details, by time; those without one come first."""
        for _, _, offset, length in sorted(self._places, key=lambda place: (place[1], place[2])):
            self._spool.seek(offset)
            yield self._decode(self._spool.read(length))

    def close(self, summary: HuntSummary) -> None:
        """Write the page."""
        self._prune()
        page = resources.files("khien.findings") / "report"
        style = (page / "report.css").read_text(encoding="utf-8")
        script = "".join((page / name).read_text(encoding="utf-8") for name in _SCRIPTS)
        shell = (page / "report.html").read_text(encoding="utf-8")
        words = orjson.loads((page / "words.json").read_bytes())
        policy = (
            f"default-src 'none'; script-src '{_digest(script)}'; style-src '{_digest(style)}'; "
            "img-src data:; base-uri 'none'; form-action 'none'"
        )
        head, _, tail = shell.partition("<!-- data -->")
        head = head.replace("{{policy}}", html.escape(policy)).replace("{{style}}", style)
        head = head.replace("{{version}}", __version__)
        with tempfile.SpooledTemporaryFile(max_size=32 << 20) as events:
            index = self._index(summary, words, cast(BinaryIO, events))
            self._stream.write(head.encode())
            failed = msgspec.json.encode({language: words[language]["failed"] for language in words}).decode()
            self._stream.write(f'<script type="application/json" id="failed">{failed}</script>\n'.encode())
            self._stream.write(_block("index", msgspec.json.encode(index)))
            events.seek(0)
            while piece := events.read(1 << 20):
                self._stream.write(piece)
        self._stream.write(tail.replace("{{script}}", script).encode())
        self._spool.close()

    def _index(self, summary: HuntSummary, words: object, events: BinaryIO) -> dict[str, Any]:
        """What the page reads at once; whole events go to `events` as blocks on the way."""
        strings = _Strings()
        rules = _RuleTable(self._rules, self._tallies)
        rows: list[list[Any]] = []
        chunk: list[list[Any]] = []
        for finding in self._shown():
            rows.append(_row(finding, rules, strings))
            chunk.append([finding.event, finding.events])
            if len(chunk) == CHUNK:
                events.write(_block(f"events-{len(rows) // CHUNK - 1}", msgspec.json.encode(chunk)))
                chunk.clear()
        if chunk:
            events.write(_block(f"events-{len(rows) // CHUNK}", msgspec.json.encode(chunk)))
        named = {technique for row in rules.rows for technique in row["techniques"]}
        return {
            "summary": self._summary(summary, len(rows)),
            "levels": self._tallies.by_level(),
            "tactics": list(TACTICS),
            "tacticTitles": {name: f"{uid} {title}" for name, (uid, title) in TACTICS.items()},
            "techniques": {technique: technique_name(technique) for technique in sorted(named)},
            "titles": {rule.id: rule.title for rule in self._rules.values() if rule.id in self._referred()},
            "findings": rows,
            "rules": rules.rows,
            "strings": strings.texts,
            "words": words,
        }

    def _referred(self) -> set[str]:
        """The rules that correlations which found something look at."""
        found = (self._rules.get(rule_id) for rule_id in self._tallies.rules)
        return {rule_id for rule in found if isinstance(rule, Correlation) for rule_id in rule.rules}

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
            "problems": [str(problem) for problem in summary.problems[:_MOST_PROBLEMS]],
            "problemCount": len(summary.problems),
            "paths": list(summary.paths[:_MOST_PROBLEMS]),
            "finished": summary.finished,
            "shown": shown,
            "zone": self._zone.key,
            "version": __version__,
            "chunk": CHUNK,
        }


def _row(finding: Finding, rules: _RuleTable, strings: _Strings) -> list[Any]:
    moment = int(datetime.fromisoformat(finding.time).timestamp() * 1000) if finding.time else None
    figures = ", ".join(f"{name}: {_shorten(value)}" for name, value in finding.event.items()) if finding.events else ""
    return [
        rules.number(finding),
        moment,
        strings.number(finding.host),
        strings.number(finding.user),
        strings.number(finding.path),
        finding.record,
        [_match(each, strings) for each in finding.matched],
        strings.number(figures),
    ]


def _match(matched: Matched, strings: _Strings) -> list[Any]:
    """[field, value, pattern], and for a regular expression the places in the value where it matches."""
    value = _shorten(matched.value)
    out: list[Any] = [strings.number(matched.field), strings.number(value), strings.number(matched.pattern)]
    places = _regex_places(matched.pattern, value)
    if places is not None:
        out.append(places)
    return out


def _regex_places(pattern: str, value: str) -> list[int] | None:
    """Begin and end of each match in UTF-16 units, as JavaScript counts; None when the pattern is no expression."""
    body, slash, flags = pattern[1:].rpartition("/")
    if not pattern.startswith("/") or not slash or set(flags) - set("ims"):
        return None
    expression = _compiled(body, flags)
    if expression is None:
        return []
    places: list[int] = []
    for found in expression.finditer(value):
        if found.end() > found.start():
            places += [_utf16(value, found.start()), _utf16(value, found.end())]
        if len(places) >= 2 * _MOST_MARKS:
            break
    return places


@lru_cache(maxsize=4096)
def _compiled(body: str, flags: str) -> Any:
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(f"(?{flags}){body}" if flags else body, options)
    except re2.error:
        return None


def _utf16(text: str, at: int) -> int:
    return at if text.isascii() else len(text[:at].encode("utf-16-le", "surrogatepass")) // 2


def _shorten(value: Any) -> str:
    text = shown(value)
    return text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 1] + "…"


def _block(name: str, data: bytes) -> bytes:
    packed = base64.b64encode(gzip.compress(data, 6, mtime=0))
    return b'<script type="text/plain" id="%s">%s</script>\n' % (name.encode(), packed)


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

    def __init__(self, rules: dict[str, Rule | Correlation], tallies: Tallies) -> None:
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
                    "placed": placed(tally.tags),
                    "description": getattr(rule, "description", ""),
                    "author": getattr(rule, "author", ""),
                    "references": list(getattr(rule, "references", ())),
                    "falsepositives": list(getattr(rule, "falsepositives", ())),
                }
            )

    def number(self, finding: Finding) -> int:
        """The place of a finding's rule in the table."""
        return self._numbers[finding.rule_id]
