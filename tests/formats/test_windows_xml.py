"""Windows events exported as XML."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from formats.reading import blocks, read
from khien.formats import windows_xml

EVENT = (
    "<Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'><System><Provider Name='P'/>"
    "<EventID>4688</EventID><TimeCreated SystemTime='2026-03-02T01:02:03.5Z'/><Channel>Security</Channel>"
    "<Computer>h</Computer><Security/></System><EventData><Data Name='NewProcessName'>C:\\a.exe</Data></EventData></Event>"
)


@pytest.mark.parametrize(
    "text",
    [
        f"<Events>{EVENT}{EVENT}</Events>",
        f'<?xml version="1.0" encoding="utf-8" standalone="yes"?>\n<Events>\n  {EVENT}\n  {EVENT}\n</Events>\n',
        f"{EVENT}\r\n{EVENT}\r\n",
        f"\ufeff{EVENT}{EVENT}",
    ],
)
def test_events_are_found_however_they_are_framed(text: str) -> None:
    first, second = read(text)
    assert (first["Image"], first["EventID"], first["Computer"]) == ("C:\\a.exe", 4688, "h")
    assert (first.number, second.number) == (1, 2)
    assert "windows/process_creation/*" in first.sources
    assert first.time == "2026-03-02T01:02:03.500000Z"


def test_many_events_come_in_blocks_across_read_boundaries() -> None:
    found, problems = blocks("winxml", "<Events>" + EVENT * 9000 + "</Events>")
    assert sum(len(block.records) for block in found) == 9000
    assert problems == []


def test_an_export_that_was_cut_off_is_reported() -> None:
    found, (problem,) = blocks("winxml", f"<Events>{EVENT}{EVENT[:200]}")
    assert sum(len(block.records) for block in found) == 1
    assert (problem.place, "ends inside an event" in problem.what) == ("event 2", True)


def test_an_event_without_system_is_counted_and_the_others_are_read() -> None:
    found, (problem,) = blocks("winxml", f"<Events><Event>x</Event>{EVENT}</Events>")
    assert [list(block.numbers) for block in found] == [[2]]
    assert problem.place == "event 1"


def test_an_event_of_any_length_takes_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(windows_xml, "MAX_LINE", 5000)
    monkeypatch.setattr(windows_xml, "_READ", 1000)
    found, problems = blocks("winxml", EVENT + "<Event><System>" + "x" * 50_000 + "</Event>" + EVENT)
    assert sum(len(block.records) for block in found) == 2
    assert len(problems) == 1
    assert "skipped" in problems[0].what


@settings(deadline=None)
@given(st.binary(max_size=300), st.integers(0, len(EVENT)))
def test_no_bytes_make_it_raise(data: bytes, at: int) -> None:
    blocks("winxml", data)
    blocks("winxml", EVENT[:at].encode() + data + EVENT[at:].encode())


@settings(deadline=None, max_examples=20)
@given(st.text(alphabet="<>/DataSystem ='\"&;", max_size=5000))
def test_hard_to_match_text_takes_no_long_time(text: str) -> None:
    windows_xml.xml_record(f"<Event><System>{text}</System><EventData>{text}</EventData></Event>")
