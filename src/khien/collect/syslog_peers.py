"""Who sends syslog: the peer of a connection or datagram, and the source it stands for."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Transport = Literal["udp", "tcp", "tls"]


@dataclass(frozen=True, slots=True)
class Peer:
    """A sender. `address` is its IP address in text, IPv4 ones never in IPv6 clothes.

    `names` are the names in its verified client certificate: DNS and IP subject alternative
    names, then the common name; () without one.
    """

    transport: Transport
    address: str
    local_port: int
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Origin:
    """The source a sender stands for.

    `format` is the name of the format its messages are stored under, `max_line` bytes the longest
    taken (None: what the listener allows), `connections` how many TCP and TLS connections the source
    may have at a time; rates and connections of 0 or None are not limited.
    """

    source: str
    events_per_second: float | None = None
    bytes_per_second: float | None = None
    format: str = "syslog"
    max_line: int | None = None
    connections: int = 0


ResolveSource = Callable[[Peer], Origin | None]
"""Which source a peer stands for; None to refuse it. Asked once a connection, and for every address
that sends datagrams again after `SyslogListener.reload`; it must not block."""


def plain_address(text: str) -> str:
    """An IP address without zone, and without the IPv6 clothes of an IPv4 one."""
    address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(address)


def certificate_names(certificate: Mapping[str, Any] | None) -> tuple[str, ...]:
    """The names in a verified certificate, as `SSLSocket.getpeercert()` gives it."""
    if not certificate:
        return ()
    names = [value for kind, value in certificate.get("subjectAltName", ()) if kind in ("DNS", "IP Address")]
    for part in certificate.get("subject", ()):
        names += [value for key, value in part if key == "commonName"]
    return tuple(dict.fromkeys(names))
