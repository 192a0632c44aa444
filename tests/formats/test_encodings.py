"""Text in UTF-16 and UTF-32, with and without marks."""

from __future__ import annotations

import io
import json
from typing import BinaryIO, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from formats.reading import read_one
from khien.formats.encodings import Peeked, Recoded, text_encoding

EVENT = json.dumps(
    {"EventID": 1, "Channel": "System", "who": "Nguyễn Văn A", "path": "C:\\Dữ liệu\\x"}, ensure_ascii=False
)


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"]
)
def test_an_event_is_the_same_in_every_encoding(encoding: str) -> None:
    seen = read_one(EVENT.encode(encoding))
    assert (seen["who"], seen["path"]) == ("Nguyễn Văn A", "C:\\Dữ liệu\\x")


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_a_mark_of_the_wrong_byte_order_is_seen(encoding: str) -> None:
    assert read_one(("\ufeff" + EVENT).encode(encoding))["who"] == "Nguyễn Văn A"


@pytest.mark.parametrize(
    "head", [b"", b"{", b"plain", b"\x00" * 100, bytes(range(256)), "Nguyễn".encode(), b"ElfFile\x00" + b"\x00" * 4000]
)
def test_plain_bytes_have_no_encoding_of_their_own(head: bytes) -> None:
    assert text_encoding(head) is None


def recoded(data: bytes, encoding: str, size: int) -> str:
    stream = Recoded(cast(BinaryIO, io.BytesIO(data)), encoding)
    out = b""
    while piece := stream.read(size):
        out += piece
    return out.decode()


@given(
    st.text(st.characters(exclude_categories=["Cs"])), st.integers(1, 7), st.sampled_from(["utf-16-le", "utf-32-be"])
)
def test_any_text_survives_being_read_in_pieces(text: str, size: int, encoding: str) -> None:
    assert recoded(text.encode(encoding), encoding, size) == text


@given(st.binary(max_size=99), st.sampled_from(["utf-16-le", "utf-16-be", "utf-32-le", "utf-8-sig"]))
def test_what_does_not_decode_is_replaced(data: bytes, encoding: str) -> None:
    recoded(data, encoding, 10)
    recoded(b"\xff\xfe" + data, "utf-16", 10)


@given(st.binary(max_size=200), st.integers(1, 50), st.integers(1, 50))
def test_a_peeked_stream_gives_its_first_bytes_again(data: bytes, head: int, size: int) -> None:
    stream = Peeked(cast(BinaryIO, io.BytesIO(data)), head)
    assert stream.head == data[:head]
    out = b""
    while piece := stream.read(size):
        assert len(piece) <= size
        out += piece
    assert out == data
