"""Which configured source a sender of syslog is: by the name in its certificate, then by its address."""

from __future__ import annotations

from khien.collect.settings import Config, Network, Source, within
from khien.collect.syslog_peers import Origin, Peer


class SyslogSources:
    """The syslog sources of a configuration, as a `ResolveSource`; `replace` it when it is loaded again.

    A certificate name of a source matches a name in the client's verified certificate, whatever the
    case; `*.agency.example` matches one label more. If the source names senders too, the address must
    be one of them. Without such a match, of the sources that name no certificate the one with the
    narrowest network around the sender's address is taken.
    """

    def __init__(self, config: Config) -> None:
        self._names: dict[str, Source] = {}
        self._networks: list[tuple[Network, Source]] = []
        self.replace(config)

    def replace(self, config: Config) -> None:
        """Use another configuration from now on (then call `SyslogListener.reload`)."""
        sources = config.of_kind("syslog")
        self._names = {name.lower(): source for source in sources for name in source.certificates}
        networks = [(network, source) for source in sources if not source.certificates for network in source.senders]
        self._networks = sorted(networks, key=lambda pair: -pair[0].prefixlen)

    def __call__(self, peer: Peer) -> Origin | None:
        source = self._by_name(peer) or self._by_address(peer.address)
        if source is None:
            return None
        return Origin(
            source.id,
            source.events_per_second,
            source.bytes_per_second,
            format=source.format or "syslog",
            max_line=source.max_line,
            connections=source.connections,
        )

    def _by_name(self, peer: Peer) -> Source | None:
        for name in map(str.lower, peer.names):
            source = self._names.get(name) or self._names.get("*." + name.partition(".")[2])
            if source is not None and (not source.senders or within(peer.address, source.senders)):
                return source
        return None

    def _by_address(self, address: str) -> Source | None:
        for network, source in self._networks:
            if within(address, (network,)):
                return source
        return None
