"""An input's format is told by its content."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khien.formats.sniff import formats, sniff

SAMPLES: list[tuple[str, str]] = [
    ("evtx", "ElfFile\x00rest"),
    ("json", '{"a": 1}\n{"a": 2}\n'),
    ("json", "[\n {"),
    ("json", "\ufeff{}"),
    ("zeek", "#separator \\x09\n#path\tdns\n"),
    ("auditd", 'type=CWD msg=audit(1772413323.500:77): cwd="/"\n'),
    ("auditd", 'node=h type=CWD msg=audit(1772413323.500:77): cwd="/"\n'),
    ("cef", "CEF:0|a|b|c|d|e|f|x=1\n"),
    ("cef", "<13>Mar  2 01:02:03 h CEF:0|a|b|c|d|e|f|x=1\n"),
    ("cef", "LEEF:1.0|a|b|c|d|x=1\n"),
    ("winxml", "<?xml version='1.0'?><Events><Event xmlns='x'><System><EventID>1</EventID></System></Event>"),
    ("weblog", '192.0.2.7 - - [02/Mar/2026:08:02:03 +0700] "GET / HTTP/1.1" 200 1\n'),
    ("weblog", "#Software: IIS\n#Fields: date time cs-method cs-uri-stem\n2026-03-02 01:02:03 GET /\n"),
    ("weblog", "1772413323.500 9 192.0.2.7 TCP_MISS/200 9 GET http://a.example/ - HIER_DIRECT/192.0.2.9 text/html\n"),
    ("syslog", "Mar  2 01:02:03 h sshd[1]: x\n"),
    ("syslog", "<13>1 2026-03-02T01:02:03Z h app - - - x\n"),
    ("syslog", "2026-03-02T01:02:03+07:00 h app: type=x, a, b\n"),
    ("keyvalue", 'date=2026-03-02 time=01:02:03 devid="x" logid="1" type="event"\n'),
    ("csv", "time,src_ip,dst_ip,action\n2026,192.0.2.7,192.0.2.8,deny\n"),
    ("csv", "a;b;c\n1;2;3\n"),
    ("text", "2026-03-02 01:02:03,500 ERROR [main] something broke\n"),
    ("text", "[Mon Mar 02 01:02:03.1 2026] [error] [client 192.0.2.7] x\n"),
    ("text", "rt-1: %SYS-5-CONFIG_I: Configured\n"),
]


@pytest.mark.parametrize(("name", "head"), SAMPLES)
def test_a_format_is_told_by_its_first_bytes(name: str, head: str) -> None:
    found = sniff(head.encode())
    assert found is not None
    assert found.name == name


@pytest.mark.parametrize(("name", "head"), [each for each in SAMPLES if "\n" in each[1] and each[0] != "json"])
def test_a_head_cut_inside_a_line_is_told_all_the_same(name: str, head: str) -> None:
    found = sniff((head * 20).encode()[: len(head.encode()) * 10 - 7])
    assert found is not None
    assert found.name == name


@pytest.mark.parametrize(
    "head", [b"", b"\x00" * 4096, bytes(range(256)) * 9, b"\x7fELF\x02\x01", b"%PDF-1.7\n", b"hello world\n"]
)
def test_what_is_no_log_is_told_to_be_none(head: bytes) -> None:
    assert sniff(head) is None


def test_every_format_is_in_the_manual() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "formats.md").read_text(encoding="utf-8")
    assert [name for name in formats() if f"| `{name}` |" not in page] == []


@given(st.binary(max_size=300))
def test_no_bytes_make_it_raise(head: bytes) -> None:
    for known in formats().values():
        assert 0.0 <= known.sniff(head) <= 1.0
    sniff(head)
