"""Folders of rules to a `RuleSet`: load, resolve references and filters, report what cannot be used."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from khien.errors import RuleError, UsageError
from khien.rules.correlations import correlation_body, fields_lacking, in_order
from khien.rules.detections import detection_conditions, log_source
from khien.rules.documents import Document, parse_documents, read_sources, rule_files
from khien.rules.filters import Filter, apply_filters, parse_filter
from khien.rules.folding import FALSE, fold
from khien.rules.model import Correlation, Rule, RuleSet, Unusable
from khien.rules.patterns import Placeholders, Values

LEVELS = ("informational", "low", "medium", "high", "critical")
_ID_NAMESPACE = uuid.UUID("6f1d3f60-58c5-4f3e-9f53-1f8f0a7f2a51")


def load_rules(paths: Iterable[str | Path], placeholders: Values | None = None) -> RuleSet:
    """Load all rules at or below the paths.

    `placeholders`: name to values for the `expand` modifier. What cannot be used is listed in
    `RuleSet.unusable` with the reason; nothing is dropped without a word. Raises UsageError for
    paths that do not exist.
    """
    return load_sources(read_sources(rule_files([Path(path) for path in paths])), placeholders or {})


def load_placeholders(path: Path) -> dict[str, list[str | int | float]]:
    """Read a YAML file of `name: value` or `name: [values]`. Raises UsageError."""
    try:
        documents = list(parse_documents(str(path), path.read_bytes()))
    except OSError as error:
        raise UsageError(f"the placeholder file cannot be read: {error.strerror}", str(path)) from error
    except RuleError as error:
        raise UsageError(error.what, error.where) from error
    out: dict[str, list[str | int | float]] = {}
    for document in documents:
        for name, values in document.body.items():
            listed = values if isinstance(values, list) else [values]
            if not listed or not all(isinstance(value, str | int | float) and value != "" for value in listed):
                raise UsageError(f"placeholder '{name}' is not a value or a list of values", str(path))
            out[str(name).strip("%")] = listed
    return out


def load_sources(sources: Iterable[tuple[str, bytes | OSError]], placeholders: Values) -> RuleSet:
    """Load rules from pairs of a path and its YAML bytes, or why they cannot be read."""
    loading = _Loading(placeholders)
    for path, data in sources:
        try:
            if isinstance(data, OSError):
                raise RuleError(f"the file cannot be read: {data.strerror or data}", path)
            for document in parse_documents(path, data):
                loading.take(document)
        except RuleError as error:
            loading.unusable.append(Unusable(path, "", "", error.what, error.where))
    return loading.finish()


class _Loading:
    """What has been loaded so far."""

    def __init__(self, placeholders: Values) -> None:
        self.placeholders = placeholders
        self.warnings: list[Unusable] = []
        self.rules: dict[str, Rule] = {}
        self.filters: list[Filter] = []
        self.correlations: list[Document] = []
        self.unusable: list[Unusable] = []
        self.names: dict[str, set[str]] = {}

    def refuse(self, document: Document, error: RuleError | str) -> None:
        body = document.body
        if isinstance(error, RuleError):
            reason = f"{error.what}. {error.remedy}" if error.remedy else error.what
        else:
            reason = error
        place = f"document {document.number}" if document.number > 1 else ""
        self.unusable.append(
            Unusable(document.path, str(body.get("id") or ""), str(body.get("title") or ""), reason, place)
        )

    def take(self, document: Document) -> None:
        body = document.body
        try:
            kinds = [key for key in ("detection", "correlation", "filter") if key in body]
            if len(kinds) > 1:
                raise RuleError(
                    f"has both '{kinds[0]}' and '{kinds[1]}'", remedy="Write each into a document of its own"
                )
            if "correlation" in body:
                self.correlations.append(document)
            elif "filter" in body:
                self.filters.append(parse_filter(body, document.path, self.placeholders))
            elif "detection" in body:
                self._add_rule(document)
            else:
                raise RuleError(
                    "has neither 'detection' nor 'correlation' nor 'filter'", remedy="It is not a Sigma rule"
                )
        except RuleError as error:
            self.refuse(document, error)

    def _add_rule(self, document: Document) -> None:
        meta = _metadata(document)
        given = Placeholders(self.placeholders)
        rule = Rule(
            **meta,
            logsource=log_source(document.body.get("logsource")),
            conditions=detection_conditions(document.body["detection"], given),
            fields=_texts(document.body.get("fields")),
        )
        if given.missing:
            self._say_missing(rule, sorted(given.missing))
        known = self.rules.get(rule.id)
        if known is not None:
            if msgspec.structs.replace(known, path="") == msgspec.structs.replace(rule, path=""):
                return
            raise RuleError(
                f"its id is already used by '{known.title}' in {known.path}",
                remedy="Give it an id of its own",
            )
        self.rules[rule.id] = rule
        self._name(rule.id, rule.name)

    def _say_missing(self, rule: Rule, names: list[str]) -> None:
        """A placeholder that is not given matches nothing: refuse a rule that then never matches."""
        told = f"placeholder {', '.join(f'%{name}%' for name in names)} is not given"
        remedy = "Give its values in a YAML file with --placeholders"
        if all(fold(node, lambda test: None) == FALSE for node in rule.conditions):
            raise RuleError(told, remedy=remedy)
        self.warnings.append(Unusable(rule.path, rule.id, rule.title, f"{told}: it matches nothing. {remedy}"))

    def _name(self, rule_id: str, name: str) -> None:
        self.names.setdefault(rule_id, set()).add(rule_id)
        if name:
            self.names.setdefault(name, set()).add(rule_id)

    def resolve(self, reference: str) -> str:
        found = self.names.get(reference, set())
        if len(found) == 1:
            return next(iter(found))
        if found:
            raise RuleError(f"more than one rule is called '{reference}'", remedy="Refer to it by id")
        raise RuleError(f"there is no usable rule '{reference}'", remedy="Load it too, or see why it cannot be used")

    def finish(self) -> RuleSet:
        rules, warnings = apply_filters(self.rules, self.filters, self.resolve)
        correlations = self._correlations()
        return RuleSet(tuple(rules.values()), tuple(correlations), tuple(self.unusable), (*self.warnings, *warnings))

    def _correlations(self) -> list[Correlation]:
        pending: dict[str, tuple[Document, dict[str, Any]]] = {}
        for document in self.correlations:
            try:
                meta = _metadata(document)
                if meta["id"] in self.rules or meta["id"] in pending:
                    if meta["id"] in pending and pending[meta["id"]][0].body == document.body:
                        continue
                    raise RuleError("its id is already used by another rule", remedy="Give it an id of its own")
            except RuleError as error:
                self.refuse(document, error)
                continue
            pending[meta["id"]] = (document, meta)
            self._name(meta["id"], meta["name"])
        made: dict[str, Correlation] = {}
        for rule_id, (document, meta) in pending.items():
            try:
                made[rule_id] = Correlation(**meta, **correlation_body(document.body["correlation"], self.resolve))
            except RuleError as error:
                self.refuse(document, error)
        # A correlation of one that cannot be used cannot be used either.
        while broken := [c for c in made.values() if any(r not in made and r not in self.rules for r in c.rules)]:
            for correlation in broken:
                del made[correlation.id]
                self.refuse(pending[correlation.id][0], "refers to a correlation that cannot be used")
        ordered, cyclic = in_order(made)
        for correlation in cyclic:
            self.refuse(pending[correlation.id][0], "refers to itself through other correlations")
        for correlation in ordered:
            for inner in (made[rule] for rule in correlation.rules if rule in made):
                if lacking := fields_lacking(correlation, inner):
                    what = f"'{inner.title}' has no field '{lacking[0]}', so its findings take no part"
                    remedy = "Group it by that field too"
                    self.warnings.append(
                        Unusable(correlation.path, correlation.id, correlation.title, f"{what}. {remedy}")
                    )
        return ordered


def _texts(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    return tuple(
        str(item) for item in (value if isinstance(value, Sequence) and not isinstance(value, str) else [value])
    )


def _metadata(document: Document) -> dict[str, Any]:
    body = document.body
    title = body.get("title")
    if not isinstance(title, str) or not title.strip():
        raise RuleError("has no 'title'")
    level = str(body.get("level") or "medium").lower()
    if level not in LEVELS:
        raise RuleError(f"unknown level '{level}'", remedy=f"Known: {', '.join(LEVELS)}")
    rule_id = str(body.get("id") or "") or str(uuid.uuid5(_ID_NAMESPACE, f"{title}\n{body.get('name') or ''}"))
    return {
        "id": rule_id,
        "title": title.strip(),
        "name": str(body.get("name") or ""),
        "level": level,
        "status": str(body.get("status") or ""),
        "description": str(body.get("description") or "").strip(),
        "author": str(body.get("author") or ""),
        "date": str(body.get("modified") or body.get("date") or ""),
        "references": _texts(body.get("references")),
        "falsepositives": _texts(body.get("falsepositives")),
        "tags": tuple(tag.lower() for tag in _texts(body.get("tags"))),
        "path": document.path,
    }
