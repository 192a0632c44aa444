"""A reference evaluator for Sigma rules: per event, per rule, straight from the specification.

Slow and plain on purpose. It shares no code with the engine or the rule loader: it reads parsed
YAML itself, splits keys, applies modifiers, parses conditions and walks events on its own.
"""

from __future__ import annotations

import base64
import fnmatch
import functools
import ipaddress
import itertools
import json
import re
from collections.abc import Callable
from typing import Any

ABSENT = object()
DASHES = ["-", "/", "\u2013", "\u2014", "\u2015"]
Check = Callable[[dict[str, Any]], bool]


def field_value(event: Any, name: str) -> Any:
    if isinstance(event, dict):
        if name in event:
            return event[name]
        for cut in [at for at, char in enumerate(name) if char == "."]:
            if cut and name[:cut] in event:
                found = field_value(event[name[:cut]], name[cut + 1 :])
                if found is not ABSENT:
                    return found
        return ABSENT
    if isinstance(event, list):
        head, _, rest = name.partition(".")
        if head.isdigit():
            if int(head) >= len(event):
                return ABSENT
            return field_value(event[int(head)], rest) if rest else event[int(head)]
        found = [value for item in event if (value := field_value(item, name)) is not ABSENT]
        return found or ABSENT
    return ABSENT


def items_of(value: Any) -> list[Any]:
    if isinstance(value, list):
        return [inner for item in value for inner in items_of(item)]
    return [value]


def text_of(value: Any) -> str | None:
    if value is None or value is ABSENT:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value == int(value):
        return str(int(value))
    if isinstance(value, dict):
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    return str(value)


def wildcard_regex(text: str) -> str:
    """A Sigma string as a regular expression for the whole text."""
    out, at = "", 0
    while at < len(text):
        char = text[at]
        if char == "\\" and at + 1 < len(text) and text[at + 1] in "\\*?":
            out += re.escape(text[at + 1])
            at += 2
            continue
        out += {"*": ".*", "?": "."}.get(char) or re.escape(char)
        at += 1
    return out


def plain(text: str) -> str:
    return re.sub(r"\\([\\*?])", r"\1", text)


def escaped(text: str) -> str:
    return re.sub(r"([\\*?])", r"\\\1", text)


@functools.cache
def whole_text(pattern: str, cased: bool) -> Callable[[str], bool]:
    lowered = pattern if cased else pattern.lower()
    compiled = re.compile(lowered, re.DOTALL)
    return functools.lru_cache(maxsize=64)(lambda text: compiled.fullmatch(text if cased else text.lower()) is not None)


def windash(text: str) -> list[str]:
    places = [found.start() for found in re.finditer(r"\B[-/–—―]\b", text)]
    out = []
    for chosen in itertools.product(DASHES, repeat=len(places)):
        letters = list(text)
        for place, dash in zip(places, chosen, strict=True):
            letters[place] = dash
        out.append("".join(letters))
    return out


def base64_offsets(data: bytes) -> list[str]:
    out = []
    for offset in range(3):
        encoded = base64.b64encode(b" " * offset + data).decode()
        start = (0, 2, 3)[offset]
        end = (None, -3, -2)[(len(data) + offset) % 3]
        if encoded[start:end]:
            out.append(encoded[start:end])
    return out


def regex_text(pattern: str, flags: str) -> Callable[[str], bool]:
    translated, at, inside = "", 0, False
    while at < len(pattern):
        two = pattern[at : at + 2]
        if two in ("\\d", "\\w", "\\s"):
            body = {"\\d": "0-9", "\\w": "0-9A-Za-z_", "\\s": " \\t\\n\\f\\r"}[two]
            translated += body if inside else f"[{body}]"
            at += 2
            continue
        if two in ("\\D", "\\W", "\\S") and not inside:
            translated += "[^" + {"\\D": "0-9", "\\W": "0-9A-Za-z_", "\\S": " \\t\\n\\f\\r"}[two] + "]"
            at += 2
            continue
        if two == "\\b":
            translated += r"(?a:\b)"
            at += 2
            continue
        if two[:1] == "\\":
            translated += two
            at += 2
            continue
        if two[:1] == "[" and not inside:
            inside = True
            translated += "["
            at += 1
            if pattern[at : at + 1] == "^":
                translated += "^"
                at += 1
            if pattern[at : at + 1] == "]":
                translated += "\\]"
                at += 1
            continue
        if two[:1] == "[" and inside:
            translated += "\\["
            at += 1
            continue
        if two[:1] == "]":
            inside = False
        if two[:1] == "$" and not inside and "m" not in flags:
            translated += r"\Z"
            at += 1
            continue
        translated += two[:1]
        at += 1
    value = sum({"i": re.I, "m": re.M, "s": re.S}[flag] for flag in flags)
    compiled = re.compile(translated, value)
    return lambda text: compiled.search(text) is not None


def compare(operator: str, left: float, right: float) -> bool:
    return {"lt": left < right, "lte": left <= right, "gt": left > right, "gte": left >= right}[operator]


def number_of(value: Any) -> float | int | None:
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float):
        return value
    if isinstance(value, str) and re.fullmatch(r"\s*[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?\s*", value, re.I):
        return int(value) if re.fullmatch(r"\s*[+-]?[0-9]+\s*", value) else float(value)
    return None


class ReferenceRule:
    """One detection rule. `matches(event)` takes the event by Sigma field names."""

    def __init__(self, rule: dict[str, Any], placeholders: dict[str, list[Any]] | None = None) -> None:
        self.rule = rule
        self.placeholders = placeholders or {}
        detection = rule["detection"]
        self.items: dict[str, Check] = {
            str(name): self.body(body) for name, body in detection.items() if name != "condition"
        }
        conditions = detection["condition"]
        self.conditions = [
            self.condition(text) for text in (conditions if isinstance(conditions, list) else [conditions])
        ]

    def matches(self, event: dict[str, Any]) -> bool:
        return any(condition(event) for condition in self.conditions)

    # -- detection items

    def body(self, body: Any) -> Check:
        if isinstance(body, dict):
            checks = [self.item(str(key), values) for key, values in body.items()]
            return lambda event: all(check(event) for check in checks)
        if isinstance(body, list):
            checks = [self.body(each) for each in body]
            return lambda event: any(check(event) for check in checks)
        return self.item("", body)

    def item(self, key: str, values: Any) -> Check:
        name, *modifiers = key.split("|")
        listed = values if isinstance(values, list) else [values]
        checks = [self.value(name, modifiers, value) for value in listed]
        joined: Check
        if "all" in modifiers:
            joined = lambda event: all(check(event) for check in checks)  # noqa: E731
        else:
            joined = lambda event: any(check(event) for check in checks)  # noqa: E731
        return (lambda event: not joined(event)) if "neq" in modifiers else joined

    def value(self, name: str, modifiers: list[str], value: Any) -> Check:
        if "exists" in modifiers:
            return lambda event: (field_value(event, name) is not ABSENT) == value
        if "fieldref" in modifiers:
            return self.fieldref(name, modifiers, value)
        if isinstance(value, dict):
            bounds = list(value.items())
            return lambda event: any(
                (n := number_of(v)) is not None and all(compare(op, n, b) for op, b in bounds)
                for v in items_of(field_value(event, name))
                if v is not ABSENT
            )
        for operator in ("lt", "lte", "gt", "gte"):
            if operator in modifiers:
                bound = number_of(value)
                return lambda event: any(
                    (n := number_of(v)) is not None and compare(operator, n, bound)  # type: ignore[arg-type]
                    for v in items_of(field_value(event, name))
                    if v is not ABSENT
                )
        if value is None:
            return lambda event: (
                ((v := field_value(event, name)) is ABSENT or all(each is None for each in items_of(v)))
                if name
                else False
            )
        if "cidr" in modifiers:
            network = ipaddress.ip_network(value, strict=False)
            return lambda event: any(self.inside(network, v) for v in items_of(field_value(event, name)))
        if not name:
            check = self.text_check([*modifiers, "contains"], value)
            return lambda event: any(check(text) for text in all_texts(event))
        test = self.text_check(modifiers, value)
        return lambda event: any(
            text is not None and test(text) for text in map(text_of, items_of(field_value(event, name)))
        )

    @staticmethod
    def inside(network: Any, value: Any) -> bool:
        try:
            return isinstance(value, str) and ipaddress.ip_address(value) in network
        except ValueError:
            return False

    def fieldref(self, name: str, modifiers: list[str], other: str) -> Check:
        relation: Callable[[str, str], bool] = lambda a, b: a == b  # noqa: E731
        if "contains" in modifiers:
            relation = lambda a, b: b in a  # noqa: E731
        elif "startswith" in modifiers:
            relation = lambda a, b: a.startswith(b)  # noqa: E731
        elif "endswith" in modifiers:
            relation = lambda a, b: a.endswith(b)  # noqa: E731

        def check(event: dict[str, Any]) -> bool:
            mine = [t for t in map(text_of, items_of(field_value(event, name))) if t is not None]
            theirs = [t for t in map(text_of, items_of(field_value(event, other))) if t is not None]
            if "cased" not in modifiers:
                mine, theirs = [t.lower() for t in mine], [t.lower() for t in theirs]
            return any(relation(a, b) for a in mine for b in theirs)

        return check

    def text_check(self, modifiers: list[str], value: Any) -> Callable[[str], bool]:
        if "re" in modifiers:
            return regex_text(str(value), "".join(m for m in modifiers if m in "ims"))
        texts = [value if isinstance(value, str) else escaped(text_of(value) or "")]
        if "expand" in modifiers:
            texts = self.expand(texts[0])
        for modifier in modifiers:
            if modifier == "windash":
                texts = [new for text in texts for new in windash(text)]
            elif modifier in ("wide", "utf16le"):
                texts = [escaped(plain(text).encode("utf-16-le").decode("latin-1")) for text in texts]
            elif modifier == "utf16be":
                texts = [escaped(plain(text).encode("utf-16-be").decode("latin-1")) for text in texts]
            elif modifier == "utf16":
                texts = [escaped((b"\xff\xfe" + plain(t).encode("utf-16-le")).decode("latin-1")) for t in texts]
            elif modifier in ("base64", "base64offset"):
                wide = any(m in ("wide", "utf16le", "utf16be", "utf16") for m in modifiers)
                raw = [plain(text).encode("latin-1" if wide else "utf-8") for text in texts]
                texts = (
                    [base64.b64encode(data).decode() for data in raw]
                    if modifier == "base64"
                    else [text for data in raw for text in base64_offsets(data)]
                )
        anywhere = ".*"
        before = anywhere if "contains" in modifiers or "endswith" in modifiers else ""
        after = anywhere if "contains" in modifiers or "startswith" in modifiers else ""
        cased = "cased" in modifiers
        checks = [whole_text(before + wildcard_regex(text) + after, cased) for text in texts]
        return lambda text: any(check(text) for check in checks)

    def expand(self, text: str) -> list[str]:
        names = re.findall(r"%([A-Za-z0-9_\-.:]+)%", text)
        out = [text]
        for name in names:
            out = [each.replace(f"%{name}%", str(v)) for each in out for v in self.placeholders.get(name, [])]
        return out

    # -- conditions

    def condition(self, text: str) -> Check:
        tokens = re.findall(r"[()]|[^\s()]+", text)
        at = 0

        def peek() -> str:
            return tokens[at].lower() if at < len(tokens) else ""

        def take() -> str:
            nonlocal at
            at += 1
            return tokens[at - 1]

        def disjunction() -> Check:
            checks = [conjunction()]
            while peek() == "or":
                take()
                checks.append(conjunction())
            return lambda event: any(check(event) for check in checks)

        def conjunction() -> Check:
            checks = [negation()]
            while peek() == "and":
                take()
                checks.append(negation())
            return lambda event: all(check(event) for check in checks)

        def negation() -> Check:
            if peek() == "not":
                take()
                inner = negation()
                return lambda event: not inner(event)
            token = take()
            if token == "(":
                inner = disjunction()
                take()
                return inner
            if peek() == "of":
                take()
                pattern = take()
                glob = "*" if pattern == "them" else pattern
                chosen = [
                    check
                    for name, check in self.items.items()
                    if fnmatch.fnmatchcase(name, glob) and (glob.startswith("_") or not name.startswith("_"))
                ]
                least = len(chosen) if token == "all" else 1 if token == "any" else int(token)
                return lambda event: sum(check(event) for check in chosen) >= least
            return self.items[token]

        return disjunction()


def all_texts(event: Any) -> list[str]:
    """Keywords are looked for in the text of every value, wherever it is nested."""
    if isinstance(event, dict):
        return [text for value in event.values() for text in all_texts(value)]
    if isinstance(event, list):
        return [text for value in event for text in all_texts(value)]
    text = text_of(event)
    return [text] if text is not None else []
