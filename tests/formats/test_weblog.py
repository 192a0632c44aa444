"""Web access logs under the W3C names that rules use."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from formats.reading import blocks, read, read_one
from khien.events.batch import MISSING
from khien.formats.weblog import parse

COMMON = '192.0.2.7 - lan [02/Mar/2026:08:02:03 +0700] "GET /cgi-bin/.%2e/x.sh?id=1 HTTP/1.1" 404 12'
COMBINED = COMMON + ' "https://ref.example/" "curl/8 \\"quoted\\""'


@pytest.mark.parametrize(
    "line", [COMMON, COMBINED, "www.tinh.example:443 " + COMBINED, COMBINED + ' "192.0.2.9" 0.003 rt=1']
)
def test_common_and_combined_lines_have_the_w3c_names(line: str) -> None:
    seen = read_one(line)
    expected = {
        "c-ip": "192.0.2.7", "cs-username": "lan", "cs-method": "GET", "cs-uri": "/cgi-bin/.%2e/x.sh?id=1",
        "c-uri": "/cgi-bin/.%2e/x.sh?id=1", "cs-uri-stem": "/cgi-bin/.%2e/x.sh", "sc-status": 404, "sc-bytes": 12,
        "cs-version": "HTTP/1.1", "c-uri-extension": "sh",
    }  # fmt: skip
    assert {name: seen[name] for name in expected} == expected
    assert {"*/webserver/*", "*/proxy/*", "*/*/apache", "*/*/nginx"} <= seen.sources
    assert seen.time == "2026-03-02T01:02:03.000000Z"


def test_referer_agent_and_virtual_host_are_read() -> None:
    seen = read_one("www.tinh.example:443 " + COMBINED)
    assert [seen[name] for name in ("cs-referer", "cs-user-agent", "c-useragent", "cs-host")] == [
        "https://ref.example/", 'curl/8 \\"quoted\\"', 'curl/8 \\"quoted\\"', "www.tinh.example:443",
    ]  # fmt: skip


def test_rules_find_paths_and_parameters_in_the_query_field_alike() -> None:
    assert read_one(COMMON)["cs-uri-query"] == ["/cgi-bin/.%2e/x.sh?id=1", "id=1"]
    assert read_one(COMMON.replace("?id=1", ""))["cs-uri-query"] == "/cgi-bin/.%2e/x.sh"


@pytest.mark.parametrize("request_line", ["-", "", "\\x16\\x03\\x01", "GET", "OPTIONS * HTTP/1.0", "get  / HTTP/1.1"])
def test_requests_that_are_none_are_kept_as_they_are(request_line: str) -> None:
    seen = read_one(COMBINED.replace("GET /cgi-bin/.%2e/x.sh?id=1 HTTP/1.1", request_line))
    assert (seen["request"], seen["sc-status"]) == (request_line, 404)


def test_a_dash_is_no_value() -> None:
    seen = read_one('h.example - - [02/Mar/2026:01:02:03 +0000] "GET / HTTP/1.1" - - "-" "-"')
    assert [seen[name] for name in ("cs-username", "sc-status", "sc-bytes")] == [MISSING] * 3


IIS = """\
#Software: Microsoft Internet Information Services 10.0
#Version: 1.0
#Date: 2026-03-02 01:00:00
#Fields: date time s-ip cs-method cs-uri-stem cs-uri-query s-port cs-username c-ip cs(User-Agent) cs(Referer) sc-status sc-win32-status
2026-03-02 01:02:03 192.0.2.8 POST /owa/a.aspx id=1&x=y 443 - 192.0.2.7 Mozilla/5.0+(X11) https://ref.example/ 200 0
#Fields: date time cs-method cs-uri-stem c-ip
2026-03-02 01:02:04 GET /b 192.0.2.7
"""


def test_iis_logs_are_read_by_the_fields_they_name_even_when_these_change() -> None:
    first, second = read(IIS)
    expected = {
        "cs-method": "POST", "cs-uri-stem": "/owa/a.aspx", "c-uri": "/owa/a.aspx?id=1&x=y", "s-ip": "192.0.2.8",
        "cs-uri-query": ["/owa/a.aspx?id=1&x=y", "id=1&x=y"], "cs-user-agent": "Mozilla/5.0 (X11)",
        "cs-referer": "https://ref.example/", "sc-status": "200", "c-uri-extension": "aspx",
    }  # fmt: skip
    assert {name: first[name] for name in expected} == expected
    assert "windows/*/iis" in first.sources
    assert (first.time, second.time) == ("2026-03-02T01:02:03.000000Z", "2026-03-02T01:02:04.000000Z")
    assert (first["cs-username"], second["cs-uri-stem"]) == (MISSING, "/b")


def test_proxy_logs_in_w3c_form_may_quote_values() -> None:
    seen = read_one(
        "#Fields: date time c-ip cs-username s-action sc-status cs-method cs-uri-scheme cs-host cs-uri-path cs-uri-query cs(User-Agent)\n"
        '2026-03-02 01:02:03 192.0.2.7 "tinh\\lan" TCP_NC_MISS 200 GET http bad.example /p.php ?a=b "Mozilla/5.0 (X11; x)"\n'
    )
    assert [seen[name] for name in ("cs-username", "cs-host", "cs-uri-stem", "c-uri-query", "c-useragent", "r-dns")] == [
        "tinh\\lan", "bad.example", "/p.php", "a=b", "Mozilla/5.0 (X11; x)", "bad.example",
    ]  # fmt: skip
    assert "windows/*/iis" not in seen.sources


def test_squid_logs_are_proxy_events() -> None:
    first, second = read(
        "1772413323.500    921 192.0.2.7 TCP_MISS/200 507 GET http://bad.example:8080/a/b.exe?x=1 lan HIER_DIRECT/192.0.2.9 text/html\n"
        "1772413324.500      1 192.0.2.7 TCP_TUNNEL/200 9 CONNECT bad.example:443 - HIER_DIRECT/192.0.2.9 -\n"
    )
    assert [first[name] for name in ("c-uri", "cs-host", "cs-uri-stem", "c-uri-extension", "cs-username", "dst_ip")] == [
        "http://bad.example:8080/a/b.exe?x=1", "bad.example", "/a/b.exe", "exe", "lan", "192.0.2.9",
    ]  # fmt: skip
    assert (second["cs-method"], second["cs-host"], second["r-dns"]) == ("CONNECT", "bad.example", "bad.example")
    assert first.time == "2026-03-02T01:02:03.500000Z"
    assert "*/proxy/*" in first.sources


def test_lines_that_are_no_access_log_are_counted_once() -> None:
    found, problems = blocks("weblog", f"{COMMON}\nnoise\n\n{COMMON}\nnoise\n")
    assert [list(block.numbers) for block in found] == [[1, 4]]
    assert [(problem.place, problem.count) for problem in problems] == [("line 2", 2)]


@pytest.mark.parametrize(
    "line",
    [
        "[Mon Mar 02 01:02:03.123456 2026] [core:error] [pid 9:tid 1] [client 192.0.2.7:5] AH00126: Invalid URI in request",
        "[Mon Mar 02 01:02:03 2026] [error] [client 192.0.2.7] ModSecurity: Access denied",
    ],
)
def test_apaches_error_log_is_for_rules_with_keywords(line: str) -> None:
    seen = read_one(line)
    assert {"*/*/apache", "*/webserver/*"} <= seen.sources
    assert (seen["c-ip"], seen["message"]) == ("192.0.2.7", line)
    assert seen.time[:19] == "2026-03-02T01:02:03"


def test_nginxs_error_log_is_for_rules_with_keywords() -> None:
    seen = read_one("2026/03/02 01:02:03 [crit] 9#9: *1 SSL_do_handshake() failed, client: 192.0.2.7")
    assert "*/*/nginx" in seen.sources
    assert seen.time == "2026-03-02T01:02:03.000000Z"


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_no_bytes_make_it_raise(data: bytes) -> None:
    for start in (
        b"",
        COMMON.encode(),
        b"#Fields: time c-uri\n",
        b"#Fields: cs-uri-stem\n",
        b"1772413323.500 1 h TCP_A/200 1 GET ",
    ):
        blocks("weblog", start + data)


@settings(deadline=None, max_examples=30)
@given(st.text(alphabet='" [].\\-a1:', max_size=4000))
def test_hard_to_match_lines_take_no_long_time(text: str) -> None:
    for line in (text, '1 - - [02/Mar/2026:08:02:03 +0700] "' + text):
        result: Any = parse(line)
        assert result is None or isinstance(result, dict)
