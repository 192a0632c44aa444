"""Keys of sources: made here, kept only as hashes, compared in constant time."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass

from khien.collect.settings import Source

HASHED = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Key:
    """A new key. Show `secret` and `encoded` once, to whoever sets the sender up; keep only `hashed`.

    `encoded` is the base64 of "source:secret": what senders put after `ApiKey` or `Bearer`.
    """

    source: str
    secret: str
    hashed: str

    @property
    def encoded(self) -> str:
        """The key in the form of an Elasticsearch API key."""
        return base64.b64encode(f"{self.source}:{self.secret}".encode()).decode()


def new_key(source: str) -> Key:
    """A key for the source with this id, of 256 random bits."""
    secret = secrets.token_urlsafe(32)
    return Key(source, secret, hashed(secret))


def hashed(secret: str) -> str:
    """The form a secret is kept in. One round is enough for 256 random bits."""
    return "sha256:" + hashlib.sha256(secret.encode()).hexdigest()


class KeyRing:
    """Tells whose key a request shows."""

    def __init__(self, sources: Iterable[Source]) -> None:
        self._sources = {source.id: source for source in sources}

    def source(self, authorization: bytes) -> Source | None:
        """The source whose key this `Authorization` header holds; None for any that is not right.

        Takes as long for an unknown source as for a wrong secret.
        """
        shown = _shown(authorization)
        name, secret = shown if shown else ("", "")
        source = self._sources.get(name)
        kept = source.keys if source and source.keys else ("sha256:" + "0" * 64,)
        given = hashed(secret)
        right = [hmac.compare_digest(given, each) for each in kept]
        return source if source is not None and any(right) else None


def _shown(authorization: bytes) -> tuple[str, str] | None:
    """(source, secret) in a header: ApiKey, Basic and Bearer all hold base64 of "source:secret"."""
    scheme, _, value = authorization.strip().partition(b" ")
    if scheme.lower() not in (b"apikey", b"bearer", b"basic") or len(value) > 1024:
        return None
    try:
        value = value.strip()
        text = value if b":" in value else base64.b64decode(value + b"=" * (-len(value) % 4), validate=True)
        name, colon, secret = text.decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return (name, secret) if colon else None
