"""Events to findings: the rules of a plan at work, for whoever reads the events."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from khien._native import Keywords
from khien.engine.detector import Detector, Further, Verdict
from khien.engine.hit import Hit
from khien.engine.keywords import keyword_search
from khien.events.batch import EventBatch, EventKind, Template, ValueScan
from khien.hunt.assembly import Assembler, Encoded
from khien.hunt.plans import HuntPlan


class Finder:
    """Finds what a plan's rules match, in batches and (as a reader's `LineProjection`) in raw lines.

    Lines about which their signature says all never become events: the reader tells what to report of them.
    """

    def __init__(self, plan: HuntPlan) -> None:
        self._detector = Detector(plan.ruleset)
        self._assembler = Assembler(plan.options.period, plan.suppressed, plan.wanted)
        self.fields = self._detector.fields
        self.wants_text = self._detector.wants_text
        self._told: list[tuple[Encoded, str]] = []

    def find(self, batches: Iterable[EventBatch]) -> tuple[list[tuple[Encoded, str]], list[Hit]]:
        """(encoded finding, rule id) pairs of batches and of what was told of lines read with them, and hits for
        correlations; both in the order of their records."""
        findings, self._told = self._told, []
        hits: list[Hit] = []
        for batch in batches:
            matches = self._detector.detect(batch)
            if matches:
                more, also = self._assembler.assemble(batch, matches)
                findings += more
                hits += also
        findings.sort(key=_record)
        hits.sort(key=_hit_record)
        return findings, hits

    def scan(self, kind: EventKind) -> ValueScan | None:
        """See `LineProjection`."""
        scan = self._detector.scan(kind)
        if scan is None or not self._assembler.tells:
            return scan
        maybe = scan.settle

        def settle(signature: tuple[int, ...]) -> bool | Sequence[Template] | ValueScan:
            return bool(maybe(signature)) and self._settled(kind, self._detector.verdict(kind, signature))

        return replace(scan, settle=settle)

    def _settled(self, kind: EventKind, verdict: Verdict) -> bool | Sequence[Template] | ValueScan:
        if isinstance(verdict, bool):
            return verdict
        if isinstance(verdict, Further):
            judge = verdict.verdict
            return replace(verdict.scan, settle=lambda signature: self._settled(kind, judge(signature)))
        if not verdict:
            return False
        templates = self._assembler.templates(kind, verdict)
        return True if templates is None else templates

    def told(self, key: str, number: int, head: bytes, tail: bytes) -> None:
        """See `LineProjection`."""
        self._told.append((Encoded(number, head, tail), key))

    def keywords(self, kind: EventKind) -> Keywords | None:
        """See `LineProjection`."""
        return keyword_search(self._detector.keywords(kind))


def _record(finding: tuple[Encoded, str]) -> int:
    return finding[0].record


def _hit_record(hit: Hit) -> int:
    return hit.record
