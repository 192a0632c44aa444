"""Framing of syslog on a stream: what is told apart, what is cut off, what is refused."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from khien.collect.syslog_framing import Framer, FramingError, one_line

MESSAGES = st.lists(
    st.binary(max_size=40).map(
        lambda tail: b"<13>1 - h a - - - x" + tail.replace(b"\r", b"").replace(b"\x00", b"") + b"."
    ),
    min_size=1,
    max_size=20,
)


def counted(messages: list[bytes]) -> bytes:
    return b"".join(b"%d %s" % (len(message), message) for message in messages)


@given(MESSAGES, st.integers(1, 64))
def test_counted_messages_come_out_as_lines_however_they_are_cut(messages: list[bytes], step: int) -> None:
    framer = Framer(1 << 10)
    data = counted(messages)
    lines = [framer.feed(data[at : at + step])[0] for at in range(0, len(data), step)]
    assert framer.counted
    assert b"".join(lines).split(b"\n")[:-1] == [message.replace(b"\n", b"#012") for message in messages]
    assert not framer.amid


@given(MESSAGES, st.integers(1, 64))
def test_lines_come_out_as_they_are_however_they_are_cut(messages: list[bytes], step: int) -> None:
    framer = Framer(1 << 10)
    messages = [message.replace(b"\n", b" ") for message in messages]
    data = b"\n".join((*messages, b""))
    lines = b"".join(framer.feed(data[at : at + step])[0] for at in range(0, len(data), step))
    assert not framer.counted
    assert lines == data


@settings(max_examples=300)
@given(
    st.lists(
        st.one_of(
            st.binary(max_size=80), st.sampled_from([b"12 <13>x", b"\n", b"<13>a\n", b"9 <13>abcde", b"999999999 "])
        )
    )
)
def test_no_bytes_break_the_rule_of_one_line_a_message(chunks: list[bytes]) -> None:
    framer = Framer(32)
    for chunk in chunks:
        try:
            block, count = framer.feed(chunk)
        except FramingError as error:
            block, count = error.lines
            assert block.count(b"\n") == count
            return
        assert block.count(b"\n") == count
        assert all(len(line) <= 32 for line in block.split(b"\n") if b"#012" not in line)
        assert framer.held <= 32 + 16
    block, count = framer.remains()
    assert block.count(b"\n") == count


@given(st.binary(max_size=300), st.integers(1, 300))
def test_lines_do_not_depend_on_how_the_bytes_arrive(data: bytes, step: int) -> None:
    data = b"<1>" + data

    def lines(step: int) -> list[bytes]:
        framer = Framer(20)
        out = [framer.feed(data[at : at + step])[0] for at in range(0, len(data), step)]
        out.append(framer.remains()[0])
        return [line for line in b"".join(out).split(b"\n") if line.strip(b"\r\x00")]

    assert lines(step) == lines(len(data))


def test_a_long_line_is_cut_off_and_counted() -> None:
    framer = Framer(100)
    assert framer.feed(b"<13>short\n<13>" + b"x" * 500) == (b"<13>short\n<13>" + b"x" * 96 + b"\n", 2)
    assert framer.feed(b"y" * 1000) == (b"", 0)
    assert framer.feed(b"y\n<13>next\n") == (b"<13>next\n", 1)
    assert framer.oversized == 1


def test_long_lines_within_one_read_are_cut_off() -> None:
    framer = Framer(100)
    block, count = framer.feed(b"\n".join((b"<1>a", b"<1>" + b"x" * 200, b"<1>b", b"<1>" + b"y" * 97, b"<1>c", b"")))
    assert [len(line) for line in block.split(b"\n")] == [4, 100, 4, 100, 4, 0]
    assert (count, framer.oversized) == (5, 1)


def test_a_long_counted_message_is_cut_off_and_the_next_one_found() -> None:
    framer = Framer(100)
    data = counted([b"<13>" + b"x" * 5000, b"<13>next"])
    blocks = [framer.feed(data[at : at + 7])[0] for at in range(0, len(data), 7)]
    assert b"".join(blocks).split(b"\n")[:-1] == [b"<13>" + b"x" * 96, b"<13>next"]
    assert framer.oversized == 1


def test_counted_and_plain_messages_on_one_connection_are_told_apart() -> None:
    framer = Framer(100)
    assert framer.feed(b"6 <13>ab<13>plain\n7 <13>abc\n\n7 <13>abd") == (b"<13>ab\n<13>plain\n<13>abc\n<13>abd\n", 4)


def test_a_wrong_count_ends_the_connection_and_keeps_what_was_read() -> None:
    framer = Framer(100)
    with pytest.raises(FramingError) as caught:
        framer.feed(b"6 <13>ab6 <13>abcdefgh8 <13>next")
    assert caught.value.lines == (b"<13>ab\n<13>ab\ncdefgh8 <13>next\n", 3)


@pytest.mark.parametrize(
    "data",
    [b"6 <13>ab0 <13>", b"6 <13>ab123456789 <", b"6 <13>ab-5 <13>a", b"6 <13>ab04 <13>", b"\x16\x03\x01\x02\x00"],
)
def test_wrong_counts_are_refused(data: bytes) -> None:
    with pytest.raises(FramingError, match=r"length|TLS"):
        Framer(100).feed(data)


def test_a_message_that_does_not_end_is_kept_as_it_is() -> None:
    framer = Framer(100)
    framer.feed(b"<13>whole\n<13>half")
    assert framer.amid
    assert framer.remains() == (b"<13>half\n", 1)


def test_a_line_that_begins_with_digits_is_no_count() -> None:
    framer = Framer(100)
    assert framer.feed(b"2026-11-24 10:00:00 host app: text\n12 drummers\n") == (
        b"2026-11-24 10:00:00 host app: text\n12 drummers\n",
        2,
    )
    assert not framer.counted


def test_empty_lines_and_nul_ends_are_no_messages() -> None:
    assert Framer(100).feed(b"\n\r\n<13>a\r\n\n\n<13>b\n\x00\n") == (b"<13>a\r\n<13>b\n", 2)
    assert one_line(b"<13>a\nb\n\x00") == b"<13>a#012b"


@pytest.mark.parametrize("head", [b"", b"6 <13>ab", b"99999 "])
def test_byte_by_byte_does_not_cost_the_square(head: bytes) -> None:
    framer = Framer(1 << 18)
    begun = time.process_time()
    framer.feed(head)
    for _ in range(200_000):
        framer.feed(b"<")
    assert time.process_time() - begun < 2
