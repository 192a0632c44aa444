"""What can be configured about collecting: listeners, limits and sources, as values."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from pathlib import Path

Network = IPv4Network | IPv6Network
KINDS = ("http", "bulk", "otlp", "syslog", "file")
THIS_MACHINE = (ip_network("127.0.0.0/8"), ip_network("::1"))
HTTP_KINDS = ("http", "bulk", "otlp")


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen: a host name or address, and a port (0: any free one)."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Tls:
    """Files in PEM form; with `client_ca`, senders must show a certificate signed by it."""

    certificate: Path
    private_key: Path
    client_ca: Path | None = None


@dataclass(frozen=True, slots=True)
class Listen:
    """The addresses of each kind of listener, and the certificate of those that speak TLS."""

    http: tuple[Address, ...] = ()
    https: tuple[Address, ...] = ()
    syslog_udp: tuple[Address, ...] = ()
    syslog_tcp: tuple[Address, ...] = ()
    syslog_tls: tuple[Address, ...] = ()
    tls: Tls | None = None
    metrics: tuple[Network, ...] = THIS_MACHINE
    """Who may read /metrics of the HTTP collector (by default this machine only)."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of a collector as a whole; sizes in bytes, times in seconds."""

    connections: int = 4096
    connections_per_address: int = 256
    request: int = 32 << 20
    """Largest request body as sent."""
    inflated: int = 64 << 20
    """Largest request body once decompressed."""
    held: int = 256 << 20
    """Most bytes of request bodies in memory at a time; past it, senders are told to wait."""
    head_seconds: float = 10.0
    """How long the head of a request may take, and a TLS handshake."""
    slowest: int = 4096
    """Fewest bytes a second that a sender of a body must keep up, after its first 20 seconds."""
    idle_seconds: float = 180.0
    """How long a connection may stay open between requests."""


@dataclass(frozen=True, slots=True)
class Source:
    """A sender, or a set of senders that are one to us.

    `keys` are hashes (`khien.collect.keys`); rates are per second, 0 means no limit; `networks` are
    those its key may be used from (empty: any); `senders` and `certificates` tell the syslog messages
    that are its own, by network address and by name in the client's certificate; `paths` are the
    files or glob patterns of a file source. After `silent_after` minutes without an event a source
    has fallen silent (0: never).
    """

    id: str
    kind: str
    format: str = ""
    unit: str = ""
    system: str = ""
    keys: tuple[str, ...] = ()
    events_per_second: int = 0
    bytes_per_second: int = 0
    max_line: int = 1 << 20
    connections: int = 64
    networks: tuple[Network, ...] = ()
    senders: tuple[Network, ...] = ()
    certificates: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    silent_after: int = 15

    def allows(self, address: str) -> bool:
        """Whether its key may be used from this address."""
        return within(address, self.networks) if self.networks else True


@dataclass(frozen=True, slots=True)
class Config:
    """A whole valid sources file."""

    listen: Listen = field(default_factory=Listen)
    limits: Limits = field(default_factory=Limits)
    sources: tuple[Source, ...] = ()

    def of_kind(self, *kinds: str) -> tuple[Source, ...]:
        """The sources of these kinds."""
        return tuple(source for source in self.sources if source.kind in kinds)


def within(address: str, networks: tuple[Network, ...]) -> bool:
    """Whether a peer's address is in one of the networks; IPv4 in IPv6 clothes counts as IPv4."""
    try:
        peer: IPv4Address | IPv6Address = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(peer, IPv6Address) and peer.ipv4_mapped:
        peer = peer.ipv4_mapped
    return any(peer.version == network.version and peer in network for network in networks)
