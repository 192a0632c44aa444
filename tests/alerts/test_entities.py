"""Entities of findings, as events of many products name them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khien.alerts.entities import MOST_ENTITIES, Entity, EntityTableError, Extractor, parse_table

EXTRACTOR = Extractor.load()
SHA256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
MD5 = "098f6bcd4621d373cade4e832627b4f6"


def found(event: dict[str, Any], host: str = "", user: str = "") -> list[str]:
    return [f"{entity.kind}:{entity.value}" for entity in EXTRACTOR.entities(event, host, user)]


PRODUCTS: list[tuple[dict[str, Any], list[str]]] = [
    (  # Sysmon
        {
            "Computer": "DC01.tinh.gov.vn.",
            "User": "TINH\\An",
            "Image": "C:\\Windows\\System32\\cmd.exe",
            "Hashes": f"MD5={MD5.upper()},SHA256={SHA256.upper()},IMPHASH=272245e2988e1e430500b852c4fb5e18",
            "CommandLine": "ping 8.8.8.8",
        },
        ["host:dc01.tinh.gov.vn", "user:an", f"hash:{MD5}", f"hash:{SHA256}", "process:c:\\windows\\system32\\cmd.exe"],
    ),
    (  # Windows Security, a failed logon over the network
        {"Computer": "FS01", "TargetUserName": "admin", "SubjectUserName": "FS01$", "IpAddress": "::ffff:203.113.1.9"},
        ["host:fs01", "user:admin", "ip:203.113.1.9"],
    ),
    (  # Elastic Common Schema, nested
        {"host": {"name": "web01"}, "user": {"name": "root"}, "source": {"ip": "2001:DB8:0::1", "port": 4}},
        ["host:web01", "ip:2001:db8::1"],
    ),
    (
        {"node": "db1", "acct": "binh", "auid": "4294967295", "exe": "/usr/bin/sudo"},
        ["host:db1", "user:binh", "process:/usr/bin/sudo"],
    ),
    (  # a web server's log
        {
            "c-ip": "198.51.100.7:4321",
            "cs-host": "Portal.Tinh.Gov.vn:443",
            "cs-username": "-",
            "cs-uri": "/a?b=http://x.y",
        },
        ["ip:198.51.100.7", "domain:portal.tinh.gov.vn"],
    ),
    (  # Zeek
        {
            "id.orig_h": "10.1.2.3",
            "id.resp_h": "fe80::1%eth0",
            "query": "evil.example.",
            "answers": ["1.2.3.4", "cdn.example"],
        },
        ["ip:10.1.2.3", "ip:1.2.3.4", "domain:evil.example"],
    ),
    (  # CloudTrail
        {"userIdentity": {"arn": "arn:aws:iam::1:user/An"}, "sourceIPAddress": "ec2.amazonaws.com"},
        ["user:arn:aws:iam::1:user/an"],
    ),
    (  # Suricata
        {
            "src_ip": "10.0.0.5",
            "dest_ip": "239.1.1.1",
            "dns": {"queries": [{"rrname": "a.b.vn"}, {"rrname": "c.d.vn"}]},
        },
        ["ip:10.0.0.5", "domain:a.b.vn", "domain:c.d.vn"],
    ),
    ({"src_ip": "198.51.100.7", "count": 12}, ["ip:198.51.100.7"]),  # a correlation's group
    ({"url": {"full": "https://Bad.Example:8443/x"}}, ["domain:bad.example"]),
    ({"x-forwarded-for": "198.51.100.7, 10.0.0.1"}, ["ip:10.0.0.1", "ip:198.51.100.7"]),
    ({"UserPrincipalName": "An@tinh.gov.vn"}, ["user:an@tinh.gov.vn"]),
]


@pytest.mark.parametrize(("event", "expected"), PRODUCTS)
def test_each_product_names_its_entities(event: dict[str, Any], expected: list[str]) -> None:
    assert found(event) == expected


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(
            ("src_ip", value)
            for value in ("-", "", "127.0.0.1", "::1", "0.0.0.0", "169.254.3.4", "fe80::1", "x", "1.2.3")
        ),
        *(
            ("User", value)
            for value in ("-", "NT AUTHORITY\\SYSTEM", "WEB01$", "Window Manager\\DWM-1", "1000", "root")
        ),
        *(("Computer", value) for value in ("localhost", "-", "127.0.0.1")),
        *(("QueryName", value) for value in ("wpad", "localhost", "4.3.2.1.in-addr.arpa", "printer")),
        *(("md5", value) for value in ("0" * 32, "d41d8cd98f00b204e9800998ecf8427e", "abc", "z" * 32)),
        ("Image", "System"),
    ],
)
def test_what_names_nobody_in_particular_is_left_out(field: str, value: str) -> None:
    assert found({field: value}) == []


def test_the_host_and_user_of_the_finding_come_first() -> None:
    assert found({"Computer": "b", "User": "y", "src_ip": "10.0.0.1"}, "A", "D\\X") == [
        "host:a",
        "host:b",
        "user:x",
        "user:y",
        "ip:10.0.0.1",
    ]
    assert found({}, "10.1.1.1", "-") == ["ip:10.1.1.1"]


def test_names_mean_something_within_their_unit_and_public_ones_everywhere() -> None:
    local = [Entity("host", "a"), Entity("user", "a"), Entity("process", "a"), Entity("ip", "10.0.0.1")]
    assert all(entity.is_local for entity in local)
    assert not any(
        entity.is_local for entity in (Entity("ip", "8.8.8.8"), Entity("domain", "a.vn"), Entity("hash", MD5))
    )


def test_entities_are_bounded() -> None:
    assert len(found({"answers": [f"10.0.{n // 250}.{n % 250 + 1}" for n in range(1_000)]})) == MOST_ENTITIES


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.sampled_from(("User", "host", "src_ip", "url", "Hashes", "query", "Image")), JSON))
def test_anything_may_stand_in_a_field(event: dict[str, Any]) -> None:
    for entity in EXTRACTOR.entities(event):
        again = found(
            {
                {"host": "Computer", "hash": "md5", "ip": "src_ip", "domain": "query"}.get(
                    entity.kind, entity.kind
                ): entity.value
            }
        )
        assert again in ([f"{entity.kind}:{entity.value}"], []) or entity.kind in ("user", "process", "host")
        assert entity.value.strip()


@pytest.mark.parametrize(
    "text",
    [
        b"main: [host]\nfields: {}\nnoise: {}\n",
        b"main: [host, user, ip, domain, hash, process]\nfields: {planet: [x]}\nnoise: {}\n",
        b"main: [host, user, ip, domain, hash, process]\nfields: {host: [x], user: [X]}\nnoise: {}\n",
        b"main: [host, user, ip, domain, hash, process]\nfields: {host: 1}\nnoise: {}\n",
        b"main: [",
        b"more: 1",
    ],
)
def test_a_table_that_is_not_valid_is_refused(text: bytes) -> None:
    with pytest.raises(EntityTableError, match=r"entities\.yml"):
        Extractor(parse_table(text))
