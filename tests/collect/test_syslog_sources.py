"""Which source a sender of syslog is, by certificate and by address."""

from __future__ import annotations

from ipaddress import ip_network

from khien.collect.settings import Config, Source
from khien.collect.syslog_peers import Origin, Peer, certificate_names, plain_address
from khien.collect.syslog_sources import SyslogSources

FIREWALLS = Source(
    "firewalls", "syslog", format="cef", senders=(ip_network("10.1.0.0/16"),), events_per_second=500, connections=3
)
EDGE = Source("edge", "syslog", senders=(ip_network("10.1.2.0/24"), ip_network("2001:db8::/32")))
HEALTH = Source("health", "syslog", certificates=("Log.Health.example", "*.clinic.example"), max_line=4096)
INNER = Source("inner", "syslog", certificates=("inner.example",), senders=(ip_network("10.2.0.0/16"),))
CONFIG = Config(sources=(FIREWALLS, EDGE, HEALTH, INNER, Source("web", "http")))


def source(address: str, *names: str) -> str | None:
    origin = SyslogSources(CONFIG)(Peer("tls", address, 6514, names))
    return origin.source if origin else None


def test_the_narrowest_network_is_taken() -> None:
    assert source("10.1.9.9") == "firewalls"
    assert source("10.1.2.9") == "edge"
    assert source("2001:db8::1") == "edge"
    assert source("192.0.2.1") is None


def test_a_certificate_name_goes_before_the_address() -> None:
    assert source("10.1.9.9", "log.health.EXAMPLE") == "health"
    assert source("192.0.2.1", "other", "north.clinic.example") == "health"
    assert source("192.0.2.1", "a.north.clinic.example") is None
    assert source("10.1.9.9", "stranger.example") == "firewalls"


def test_a_source_with_certificate_and_senders_must_have_both() -> None:
    assert source("10.2.0.1", "inner.example") == "inner"
    assert source("10.3.0.1", "inner.example") is None
    assert source("10.2.0.1") is None


def test_what_is_configured_comes_along() -> None:
    assert SyslogSources(CONFIG)(Peer("udp", "10.1.9.9", 514)) == Origin(
        "firewalls", 500, 0, format="cef", max_line=1 << 20, connections=3
    )


def test_another_configuration_replaces_the_one_before() -> None:
    sources = SyslogSources(CONFIG)
    sources.replace(Config(sources=(EDGE,)))
    assert sources(Peer("udp", "10.1.9.9", 514)) is None


def test_addresses_and_certificate_names_are_plain() -> None:
    assert plain_address("::ffff:192.0.2.1") == "192.0.2.1"
    assert plain_address("fe80::1%eth0") == "fe80::1"
    assert certificate_names(None) == ()
    certificate = {
        "subject": ((("commonName", "a"),),),
        "subjectAltName": (("DNS", "b"), ("email", "c@d"), ("IP Address", "192.0.2.1")),
    }
    assert certificate_names(certificate) == ("b", "192.0.2.1", "a")
