"""Telling what an indicator is, its normal form, and how it is shown so that nobody opens it by a click."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from hashlib import sha256
from ipaddress import IPv6Address, ip_address, ip_network
from pathlib import Path
from urllib.parse import urlsplit

import yaml

from khien.console.incidents.models import IndicatorKind

MOST_EXTRACTED = 500
LONGEST = 1000
_LONGEST_TEXT = 500_000
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_INNER = tuple(
    ip_network(each)
    for each in (
        "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "0.0.0.0/8",
        "::1/128", "fc00::/7", "fe80::/10",
    )
)  # fmt: skip
"""Addresses that mean something within one network only (RFC 1918, 4193, 6598, link-local)."""
_REFANG = (
    (re.compile(r"\bhxxp(s?)(?=\[?:)", re.I), r"http\1"),
    (re.compile(r"\bfxp(?=\[?:)", re.I), "ftp"),
    (re.compile(r"\[\.\]|\(\.\)|\{\.\}|\[dot\]|\(dot\)|\[d\]", re.I), "."),
    (re.compile(r"\[@\]|\(@\)|\[at\]|\(at\)", re.I), "@"),
    (re.compile(r"\[:\]"), ":"),
    (re.compile(r"\[://\]"), "://"),
)
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_DOMAIN = re.compile(rf"(?:{_LABEL}\.)+(?:[a-z]{{2,63}}|xn--[a-z0-9-]{{2,59}})", re.I)
_EMAIL = re.compile(rf"[a-z0-9._%+-]{{1,64}}@({_DOMAIN.pattern})", re.I)
_HASH = re.compile(r"[0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{64}|[0-9a-f]{128}", re.I)
_URL = re.compile(r"[a-z][a-z0-9+.-]{1,12}://\S+", re.I)
_PHONE = re.compile(r"(?:\+\d{1,3}|0)[ .-]?\d{1,4}(?:[ .-]?\d{2,4}){2,3}|1[89]00[ .-]?\d{2,3}[ .-]?\d{2,3}")
_FILE = re.compile(r"[^\\/:*?\"<>|\s]{1,200}\.([a-z0-9]{1,5})", re.I)
_IN_TEXT = re.compile(
    r"(?P<url>\b(?:https?|ftps?|wss?|tcp)://[^\s<>\"'`|]+)"
    rf"|(?P<email>(?<![\w.%+-]){_EMAIL.pattern}(?![\w-]))"
    r"|(?P<ip>(?<![\w.:])(?:\d{1,3}\.){3}\d{1,3}(?![\w.]*\d)|(?<![\w:.])(?:[0-9a-f]{0,4}:){2,7}[0-9a-f]{0,4}(?![\w:]))"
    r"|(?P<hash>(?<![0-9a-zA-Z])(?:[0-9a-f]{128}|[0-9a-f]{64}|[0-9a-f]{40}|[0-9a-f]{32})(?![0-9a-zA-Z]))"
    rf"|(?P<name>(?<![\w@.-])[\w-]{{1,63}}(?:\.[\w-]{{1,63}}){{1,8}}(?![\w-]))"
    rf"|(?P<phone>(?<![\w.+-])(?:{_PHONE.pattern})(?![\w-]))",
    re.I,
)


@cache
def _words() -> tuple[frozenset[str], frozenset[str]]:
    text = (Path(__file__).resolve().parent / "data" / "observables.yml").read_text(encoding="utf-8")
    body: dict[str, list[str]] = yaml.load(text, Loader=_Loader)  # noqa: S506 - a safe loader
    return frozenset(body["generic_domains"]), frozenset(body["file_endings"])


def refang(text: str) -> str:
    """Text with `hxxp`, `[.]`, `[at]` and the like made real again."""
    for pattern, real in _REFANG:
        text = pattern.sub(real, text)
    return text


def detect(value: str) -> str:
    """What kind of indicator a value is, `other` when it is none we know."""
    value = refang(value).strip()
    if _URL.fullmatch(value):
        return IndicatorKind.URL
    if _EMAIL.fullmatch(value):
        return IndicatorKind.EMAIL
    if _address(value) is not None:
        return IndicatorKind.IP
    if _HASH.fullmatch(value):
        return IndicatorKind.HASH
    if _PHONE.fullmatch(value):
        return IndicatorKind.PHONE
    name = re.split(r"[\\/]", value)[-1]
    found = _FILE.fullmatch(name)
    if found and (found[1].lower() in _words()[1] or name != value):
        return IndicatorKind.FILE
    if _domain(value):
        return IndicatorKind.DOMAIN
    return IndicatorKind.OTHER


def normalise(kind: str, value: str) -> str:
    """The form in which equal indicators are equal. Raises ValueError when it is none of its kind."""
    value = refang(value).strip().strip("\x00")
    if not value or len(value) > LONGEST:
        raise ValueError(value[:80])
    if kind == IndicatorKind.IP:
        address = _address(value)
        if address is None:
            raise ValueError(value)
        return address
    if kind == IndicatorKind.DOMAIN:
        name = _domain(value)
        if not name:
            raise ValueError(value)
        return name
    if kind == IndicatorKind.EMAIL:
        local, at, host = value.rpartition("@")
        name = _domain(host)
        if not at or not local or not name:
            raise ValueError(value)
        return f"{local.lower()}@{name}"
    if kind == IndicatorKind.HASH:
        if not _HASH.fullmatch(value):
            raise ValueError(value)
        return value.lower()
    if kind == IndicatorKind.URL:
        return _url(value)
    if kind == IndicatorKind.PHONE:
        return _phone(value)
    if kind == IndicatorKind.FILE:
        return value
    if kind in (IndicatorKind.HOST, IndicatorKind.USER):
        return value.lower()
    if kind not in IndicatorKind.values:
        raise ValueError(kind)
    return value


def digest(kind: str, value: str) -> str:
    """A key by which equal indicators are found."""
    return sha256(f"{kind}\0{value}".encode("utf-8", "surrogatepass")).hexdigest()


def defang(kind: str, value: str) -> str:
    """A normal form as it is shown."""
    if kind in (IndicatorKind.IP, IndicatorKind.DOMAIN):
        return value.replace(".", "[.]").replace(":", "[:]")
    if kind == IndicatorKind.EMAIL:
        local, _, host = value.rpartition("@")
        return f"{local}[@]{host.replace('.', '[.]')}"
    if kind == IndicatorKind.URL:
        scheme, _, rest = value.partition("://")
        cut = min((at for at in (rest.find(mark) for mark in "/?#") if at >= 0), default=len(rest))
        scheme = {"http": "hxxp", "https": "hxxps", "ftp": "fxp"}.get(scheme, scheme)
        return f"{scheme}[://]{rest[:cut].replace('.', '[.]')}{rest[cut:]}"
    return value


def extract(text: str) -> list[tuple[str, str]]:
    """The indicators in running text, kind and normal form, each once, in the order they stand there."""
    found: dict[tuple[str, str], None] = {}
    for kind, value in _in_text(refang(text[:_LONGEST_TEXT])):
        try:
            found[kind, normalise(kind, value)] = None
        except ValueError:
            continue
        if len(found) >= MOST_EXTRACTED:
            break
    return list(found)


def _in_text(text: str) -> Iterator[tuple[str, str]]:
    generic, endings = _words()
    for match in _IN_TEXT.finditer(text):
        value = match[0]
        kind = next(name for name in ("url", "email", "ip", "hash", "name", "phone") if match[name])
        if kind == "url":
            yield kind, value.rstrip(".,;:!?)]}»”’")
        elif kind == "name":
            last = value.rpartition(".")[2]
            if last.lower() in endings:
                yield IndicatorKind.FILE, value
            elif (
                _domain(value)
                and (len(last) == 2 or last.lower() in generic or last.startswith("xn--"))
                and last.islower()
            ):
                yield IndicatorKind.DOMAIN, value
            elif _PHONE.fullmatch(value):
                yield IndicatorKind.PHONE, value
        else:
            yield kind, value


def is_local(kind: str, value: str) -> bool:
    """Whether a value means something within one unit only: host, user, process, private address."""
    if kind in (IndicatorKind.HOST, IndicatorKind.USER, IndicatorKind.PROCESS):
        return True
    address = _address(value) if kind == IndicatorKind.IP else None
    return address is not None and any(ip_address(address) in network for network in _INNER)


def _address(value: str) -> str | None:
    try:
        address = ip_address(value.strip("[]"))
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        if address.scope_id:
            return None
        if address.ipv4_mapped:
            address = address.ipv4_mapped
    return address.compressed


def _domain(value: str) -> str:
    """The name in lower case and, if it is an international one, in its ASCII form; "" when it is none."""
    value = value.strip().rstrip(".").lower()
    if len(value) > 253:
        return ""
    if not value.isascii():
        try:
            value = value.encode("idna").decode("ascii")
        except UnicodeError:
            return ""
    return value if _DOMAIN.fullmatch(value) else ""


def _url(value: str) -> str:
    if not _URL.fullmatch(value):
        raise ValueError(value)
    parts = urlsplit(value)
    host = parts.hostname
    if not host:
        raise ValueError(value)
    host = _address(host) or _domain(host) or host
    port = parts.port
    usual = {"http": 80, "https": 443, "ftp": 21}.get(parts.scheme)
    shown = f"[{host}]" if ":" in host else host
    if port is not None and port != usual:
        shown = f"{shown}:{port}"
    credentials, at, _ = parts.netloc.rpartition("@")
    query = f"?{parts.query}" if parts.query else ""
    return f"{parts.scheme}://{credentials}{at}{shown}{parts.path or '/'}{query}"


def _phone(value: str) -> str:
    digits = re.sub(r"[^\d+]", "", value)
    if digits.startswith(("1800", "1900")) and 8 <= len(digits) <= 10:
        return digits
    if digits.startswith("0") and 10 <= len(digits) <= 11:
        return f"+84{digits[1:]}"
    if re.fullmatch(r"\+\d{8,15}", digits):
        return digits
    raise ValueError(value)
