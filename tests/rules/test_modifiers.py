"""The modifiers of Sigma 2.1, one by one and together, as the specification describes them."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest

from reference.judging import loaded, refusal, selects

yes, no = True, False


@pytest.mark.parametrize(
    ("item", "event", "expected"),
    [
        # a plain value is the whole text, in any case
        ({"a": "Whoami"}, {"a": "whoAMI"}, yes),
        ({"a": "whoami"}, {"a": "whoami.exe"}, no),
        # contains, startswith, endswith
        ({"a|contains": "mid"}, {"a": "aMIDb"}, yes),
        ({"a|contains": "mid"}, {"a": "mi d"}, no),
        ({"a|startswith": "cmd"}, {"a": "CMD.exe"}, yes),
        ({"a|startswith": "cmd"}, {"a": "xcmd.exe"}, no),
        ({"a|endswith": "\\cmd.exe"}, {"a": "C:\\Windows\\cmd.exe"}, yes),
        ({"a|endswith": "\\cmd.exe"}, {"a": "C:\\Windows\\cmd.exe.txt"}, no),
        # a list is any of its values; all makes it all of them
        ({"a|contains": ["x", "y"]}, {"a": "-y-"}, yes),
        ({"a|contains|all": ["x", "y"]}, {"a": "-y-"}, no),
        ({"a|contains|all": ["x", "y"]}, {"a": "-y-x"}, yes),
        ({"a|all|contains": ["x", "y"]}, {"a": "-y-x"}, yes),
        # cased
        ({"a|cased": "Admin"}, {"a": "Admin"}, yes),
        ({"a|cased": "Admin"}, {"a": "admin"}, no),
        ({"a|contains|cased": "DM"}, {"a": "ADMIN"}, yes),
        ({"a|cased|contains": "dM"}, {"a": "ADMIN"}, no),
        # exists: the field alone counts, be it null or empty
        ({"a|exists": True}, {"a": None}, yes),
        ({"a|exists": True}, {"a": ""}, yes),
        ({"a|exists": True}, {"b": "x"}, no),
        ({"a|exists": False}, {"b": "x"}, yes),
        ({"a|exists": False}, {"a": None}, no),
        # neq: the opposite of the item without it; a field that is missing differs too
        ({"a|neq": "x"}, {"a": "y"}, yes),
        ({"a|neq": "x"}, {"a": "X"}, no),
        ({"a|neq": "x"}, {"b": "x"}, yes),
        ({"a|neq": ["x", "y"]}, {"a": "y"}, no),
        ({"a|neq": ["x", "y"]}, {"a": "z"}, yes),
        ({"a|neq": 5}, {"a": 5}, no),
        ({"a|contains|neq": "x"}, {"a": "axb"}, no),
        ({"a|contains|all|neq": ["x", "y"]}, {"a": "just x"}, yes),
        ({"a|neq": None}, {"a": "x"}, yes),
        ({"a|neq": None}, {"b": "x"}, no),
        # re: searched for, with the case as written
        ({"a|re": "b.d"}, {"a": "abcde"}, yes),
        ({"a|re": "B.D"}, {"a": "abcde"}, no),
        ({"a|re|i": "B.D"}, {"a": "abcde"}, yes),
        ({"a|re": "^b"}, {"a": "a\nb"}, no),
        ({"a|re|m": "^b$"}, {"a": "a\nb\nc"}, yes),
        ({"a|re": "a.b"}, {"a": "a\nb"}, no),
        ({"a|re|s": "a.b"}, {"a": "a\nb"}, yes),
        ({"a|re|i|m|s": "^B.C"}, {"a": "a\nb\nc"}, yes),
        ({"a|re": "a{2,3}b"}, {"a": "xaab"}, yes),
        ({"a|re": ["x", "^[0-9]+$"]}, {"a": "42"}, yes),
        ({"a|re|all": ["x", "y"]}, {"a": "y x"}, yes),
        ({"a|re|neq": "x"}, {"a": "y"}, yes),
        ({"a|re": "^4[67]"}, {"a": 4624}, yes),
        ({"a|re|contains": "b"}, {"a": "abc"}, yes),
        ({"a|re|startswith": "b|c"}, {"a": "cx"}, yes),
        ({"a|re|startswith": "b|c"}, {"a": "xc"}, no),
        ({"a|re|endswith": "b|c"}, {"a": "xb"}, yes),
        ({"a|re|endswith": "b|c"}, {"a": "bx"}, no),
        ({"a|re": r"a(?=b)"}, {"a": "xab"}, yes),
        ({"a|re": r"(.)\1$"}, {"a": "xx\n"}, no),
        ({"a|re": r"\p{Lu}"}, {"a": "aĐ"}, yes),
        # cidr
        ({"a|cidr": "10.0.0.0/8"}, {"a": "10.255.0.1"}, yes),
        ({"a|cidr": "10.0.0.0/8"}, {"a": "11.0.0.1"}, no),
        ({"a|cidr": ["192.168.0.0/16", "fe80::/10"]}, {"a": "fe80::1%eth0"}, yes),
        ({"a|cidr": "2001:db8::/32"}, {"a": "2001:DB8::5"}, yes),
        ({"a|cidr": "10.0.0.0/8"}, {"a": "::ffff:10.1.1.1"}, yes),
        ({"a|cidr": "10.0.0.0/8"}, {"a": "10.0.0"}, no),
        ({"a|cidr": "10.0.0.0/8"}, {"a": 167772161}, no),
        ({"a|cidr|neq": "10.0.0.0/8"}, {"a": "8.8.8.8"}, yes),
        # comparisons: numbers, and texts that are numbers
        ({"a|lt": 5}, {"a": 4}, yes),
        ({"a|lt": 5}, {"a": 5}, no),
        ({"a|lte": 5}, {"a": "5"}, yes),
        ({"a|gt": 5}, {"a": 5.5}, yes),
        ({"a|gte": 5}, {"a": 4.99}, no),
        ({"a|gte": 5}, {"a": "many"}, no),
        ({"a|gte": 5}, {"a": True}, no),
        ({"a|gte": 5}, {"a": None}, no),
        ({"a|gt": 5}, {}, no),
        ({"a|gt": 5}, {"a": "inf"}, no),
        ({"a|gt": 5}, {"a": "1_000"}, no),
        ({"a|gt": -2.5}, {"a": "-2"}, yes),
        ({"a|gt|neq": 5}, {"a": 4}, yes),
        # a map of bounds is a range
        ({"a": {"gt": 100, "lte": 200}}, {"a": 100}, no),
        ({"a": {"gt": 100, "lte": 200}}, {"a": 200}, yes),
        ({"a": [{"lt": 1}, {"gt": 9}]}, {"a": 10}, yes),
        ({"a|hour": {"gte": 8, "lt": 17}}, {"a": "2026-03-02T08:00:00Z"}, yes),
        # windash: each dash that begins a word is any dash, however many there are
        ({"a|windash|contains": " -enc "}, {"a": "powershell /enc x"}, yes),
        ({"a|windash|contains": " -enc "}, {"a": "powershell –enc x"}, yes),
        ({"a|windash|contains": " -enc "}, {"a": "powershell —ENC x"}, yes),
        ({"a|windash|contains": " ―enc "}, {"a": "powershell -enc x"}, yes),
        ({"a|contains|windash": " /enc "}, {"a": "powershell ―enc x"}, yes),
        ({"a|windash": "-a -b -c -d -e -f"}, {"a": "/a –b —c ―d -e /f"}, yes),
        ({"a|windash": "-a -b -c -d -e -f"}, {"a": "/a –b —c ―d +e /f"}, no),
        ({"a|windash": "a-b"}, {"a": "a/b"}, no),
        ({"a|windash|contains|all": ["-x", "-y"]}, {"a": "/y –x"}, yes),
        # fieldref
        ({"a|fieldref": "b"}, {"a": "Same", "b": "sAME"}, yes),
        ({"a|fieldref": "b"}, {"a": "same", "b": "other"}, no),
        ({"a|fieldref": "b"}, {"a": "1", "b": 1}, yes),
        ({"a|fieldref": "b"}, {"a": None, "b": None}, no),
        ({"a|fieldref": "b"}, {}, no),
        ({"a|fieldref|cased": "b"}, {"a": "Same", "b": "same"}, no),
        ({"a|fieldref|neq": "b"}, {"a": "x", "b": "y"}, yes),
        ({"a|fieldref|neq": "b"}, {"a": "x", "b": "X"}, no),
        ({"a|fieldref|contains": "b"}, {"a": "xyz", "b": "Y"}, yes),
        ({"a|contains|fieldref": "b"}, {"a": "xyz", "b": "q"}, no),
        ({"a|fieldref|startswith": "b"}, {"a": "xyz", "b": "xy"}, yes),
        ({"a|fieldref|startswith": "b"}, {"a": "xyz", "b": "yz"}, no),
        ({"a|fieldref|endswith": "b"}, {"a": "xyz", "b": "yz"}, yes),
        ({"a|fieldref|startswith|endswith": "b"}, {"a": "xyz", "b": "y"}, yes),
        ({"a|fieldref|endswith|neq": "b"}, {"a": "xyz", "b": "yz"}, no),
        ({"a|fieldref": ["b", "c"]}, {"a": "x", "b": "y", "c": "x"}, yes),
        ({"a|fieldref|all": ["b", "c"]}, {"a": "x", "b": "y", "c": "x"}, no),
        # parts of a time, in UTC
        ({"a|minute": 5}, {"a": "2026-03-02T01:05:03Z"}, yes),
        ({"a|hour": 1}, {"a": "2026-03-02T08:05:03+07:00"}, yes),
        ({"a|day": 2}, {"a": "2026-03-02 01:05:03"}, yes),
        ({"a|week": 10}, {"a": "2026-03-02T01:05:03Z"}, yes),
        ({"a|month": 3}, {"a": 1772413323}, yes),
        ({"a|year": 2026}, {"a": "2026-03-02T01:05:03Z"}, yes),
        ({"a|year": 2026}, {"a": "1999"}, no),
        ({"a|hour|gte": 22}, {"a": "2026-03-02T23:05:03Z"}, yes),
        ({"a|gte|hour": 22}, {"a": "2026-03-02T21:05:03Z"}, no),
        ({"a|hour|neq": 1}, {"a": "2026-03-02T02:05:03Z"}, yes),
        ({"a|hour": [1, 2]}, {"a": "2026-03-02T02:05:03Z"}, yes),
    ],
)  # fmt: skip
def test_a_modifier_means_what_the_specification_says(item: Any, event: dict[str, Any], expected: bool) -> None:
    assert selects(item, event) is expected


@pytest.mark.parametrize("before", ["", "x", "xy", "xyz"])
@pytest.mark.parametrize("after", ["", "z", "zz", "zzz"])
@pytest.mark.parametrize("word", ["http", "IEX ", "tải về", "cmd.exe"])
def test_base64offset_finds_a_text_wherever_it_stands_in_what_was_encoded(before: str, after: str, word: str) -> None:
    encoded = b64encode((before + word + after).encode()).decode()
    assert selects({"a|base64offset|contains": word}, {"a": f"powershell {encoded}"})
    for modifier, encoding in (("wide", "utf-16-le"), ("utf16le", "utf-16-le"), ("utf16be", "utf-16-be")):
        encoded = b64encode(before.encode() + word.encode(encoding) + after.encode()).decode()
        assert selects({f"a|{modifier}|base64offset|contains": word}, {"a": f"x{encoded}"})
    assert not selects({"a|base64offset|contains": word}, {"a": b64encode(b"something else").decode()})


def test_the_base64_and_utf16_modifiers_encode_the_value() -> None:
    assert selects({"a|base64": "cmd"}, {"a": "Y21k"})
    assert selects({"a|base64|contains": "đ"}, {"a": f"-{b64encode('đ'.encode()).decode()}-"})
    assert selects({"a|wide": "cmd"}, {"a": "c\0m\0d\0"})
    assert selects({"a|utf16le|contains": "cmd"}, {"a": "xc\0M\0d\0"})
    assert selects({"a|utf16be": "cmd"}, {"a": "\0c\0m\0d"})
    assert selects({"a|utf16|base64": "cmd"}, {"a": b64encode(b"\xff\xfec\0m\0d\0").decode()})
    assert selects({"a|base64|wide": "mật"}, {"a": "".join(f"{x}\0" for x in b64encode("mật".encode()).decode())})
    assert selects({"a|wide|contains": "c*d"}, {"a": "-c\0xx-d\0-"})


def test_placeholders_stand_for_their_values_and_an_escaped_percent_sign_for_itself() -> None:
    given = {"admins": ["adm_*", "root"], "Máy_chủ": ["srv-01"]}
    assert selects({"a|expand": "%admins%"}, {"a": "ADM_lan"}, given)
    assert selects({"a|expand|contains": "%admins%"}, {"a": "the root of it"}, given)
    assert selects({"a|expand": "%Máy_chủ%.tinh"}, {"a": "srv-01.tinh"}, given)
    assert selects({"a|expand": r"\%x%admins%"}, {"a": "%xroot"}, given)
    assert selects({"a": "%admins%"}, {"a": "%ADMINS%"}, given)
    assert not selects({"a": "%admins%"}, {"a": "root"}, given)
    assert selects({"a|re|expand": "^%admins%-[0-9]$"}, {"a": "root-1"}, given)
    assert selects({"a|re|expand": "^%admins%-[0-9]$"}, {"a": "adm_x.y-1"}, given)


def test_a_rule_that_lacks_a_placeholder_is_refused_when_it_could_never_match_and_else_warned_of() -> None:
    never = loaded({"s": {"a|expand": "%none%"}, "condition": "s"})
    assert "placeholder %none% is not given" in never.unusable[0].reason
    partly = loaded({"s": {"a|expand": "%none%"}, "t": {"a": "x"}, "condition": "s or t"})
    assert "%none%" in partly.warnings[0].reason
    assert partly.rules


@pytest.mark.parametrize(
    ("item", "says"),
    [
        ({"a|nonsense": "x"}, "unknown modifier 'nonsense'"),
        ({"a|Contains": "x"}, "unknown modifier 'Contains'"),
        ({"a|": "x"}, "unknown modifier ''"),
        ({"a|exists": "yes"}, "wants true or false"),
        ({"a|exists|contains": True}, "'contains' beside 'exists'"),
        ({"|exists": True}, "needs a field name"),
        ({"a|cidr": "10.0.0.0/99"}, "no valid network"),
        ({"a|cidr": 5}, "no valid network"),
        ({"a|cidr|contains": "10.0.0.0/8"}, "'contains' beside 'cidr'"),
        ({"a|cidr|cased": "10.0.0.0/8"}, "'cased' beside 'cidr'"),
        ({"a|re": "("}, "does not parse"),
        ({"a|re": "[z-a]"}, "does not parse"),
        ({"a|re|base64": "x"}, "'base64' beside 're'"),
        ({"a|re|cased": "x"}, "'cased' beside 're'"),
        ({"a|re|m|startswith": "x"}, "beside the flag 'm'"),
        ({"a|re": None}, "null"),
        ({"a|i": "x"}, "without 're'"),
        ({"a|gt|i": 5}, "without 're'"),
        ({"a|gt": "many"}, "wants a number"),
        ({"a|gt": True}, "wants a number"),
        ({"a|gt": None}, "wants a number"),
        ({"a|gt": float("nan")}, "wants a number"),
        ({"a|gt|lt": 5}, "in two ways"),
        ({"a|hour|day": 5}, "in two ways"),
        ({"a|gt|contains": 5}, "'contains' beside 'gt'"),
        ({"a|hour": "noon"}, "wants a number"),
        ({"|gt": 5}, "needs a field name"),
        ({"a": {"above": 5}}, "a map where a value stands"),
        ({"a": {}}, "a map where a value stands"),
        ({"a|contains": {"gt": 5}}, "a map of bounds"),
        ({"a|fieldref": 5}, "name of another field"),
        ({"a|fieldref": "b*"}, "wildcards"),
        ({"a|fieldref|gt": "b"}, "'gt' beside 'fieldref'"),
        ({"a|fieldref|re": "b"}, "'re' beside 'fieldref'"),
        ({"a|fieldref|base64": "b"}, "'base64' beside 'fieldref'"),
        ({"a|base64": "x*"}, "wildcards"),
        ({"a|base64offset": ""}, "too short"),
        ({"a|contains": None}, "null, on which 'contains'"),
        ({"a": []}, "empty list"),
        ({"a": [["x"]]}, "list inside a list"),
        ({None: "x"}, "no name"),
        ([None], "for null"),
        ([""], "keyword is empty"),
        ({"|contains": "*"}, "keyword is empty"),
    ],
)  # fmt: skip
def test_what_has_no_meaning_is_refused_with_the_reason(item: Any, says: str) -> None:
    assert says in refusal({"selection": item, "condition": "selection"})
