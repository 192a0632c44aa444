"""Whole hunts: order, archives, standard input, workers, and correlations across files."""

from __future__ import annotations

import gzip
import io
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import orjson
import pytest

from hunt.hunting import correlation, event, hunt, load, names, rule, write
from khien.hunt import hunting

COUNT = {"type": "event_count", "rules": ["alpha"], "group-by": ["User"], "timespan": "10m", "condition": {"gte": 3}}


def test_findings_come_in_the_order_of_the_input_whatever_kind_their_events_are(tmp_path: Path) -> None:
    rules = load(
        rule("alpha"), rule("logon", {"s": {"EventID": 4625}, "condition": "s"}, logsource={"product": "windows", "service": "security"})
    )  # fmt: skip
    logon = {**event("x"), "Channel": "Security", "EventID": 4625}
    write(tmp_path / "b.json", event("alpha 3"), logon, event("alpha 4"))
    write(tmp_path / "a.json", logon, event("alpha 1"), event("nothing"), logon, event("alpha 2"))
    lines, tally = hunt(rules, tmp_path)
    assert [(Path(f["path"]).name, f["record"]) for f in lines.findings] == [
        ("a.json", 1), ("a.json", 2), ("a.json", 4), ("a.json", 5), ("b.json", 1), ("b.json", 2), ("b.json", 3)
    ]  # fmt: skip
    assert (tally.files, tally.events, tally.findings, tally.problems) == (2, 8, 7, [])
    assert tally.read == sum(path.stat().st_size for path in tmp_path.iterdir())


def test_two_rules_on_one_event_are_two_findings_in_the_order_of_the_rules(tmp_path: Path) -> None:
    log = write(tmp_path / "log.json", event("alpha beta"))
    assert names(hunt(load(rule("beta"), rule("alpha")), log)[0]) == ["beta", "alpha"]


def archives(folder: Path) -> None:
    one, two = (b"".join(orjson.dumps(event(f"alpha {n}", n)) + b"\n" for n in range(k, k + 2)) for k in (0, 2))
    with zipfile.ZipFile(folder / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("one.json", one)
        archive.writestr("deep/two.json.gz", gzip.compress(two))
    with tarfile.open(folder / "b.tar.gz", "w:gz") as tar:
        member = tarfile.TarInfo("three.json")
        member.size = len(one)
        tar.addfile(member, io.BytesIO(one))
    (folder / "c.json.gz").write_bytes(gzip.compress(two))


def test_members_of_archives_are_hunted_like_files(tmp_path: Path) -> None:
    archives(tmp_path)
    lines, tally = hunt(load(rule("alpha")), tmp_path)
    places = [(f["path"].removeprefix(f"{tmp_path}/"), f["record"]) for f in lines.findings]
    assert places == [
        ("a.zip!one.json", 1), ("a.zip!one.json", 2), ("a.zip!deep/two.json.gz", 1), ("a.zip!deep/two.json.gz", 2),
        ("b.tar.gz!three.json", 1), ("b.tar.gz!three.json", 2), ("c.json.gz", 1), ("c.json.gz", 2),
    ]  # fmt: skip
    assert not tally.problems


def test_standard_input_is_hunted(monkeypatch: pytest.MonkeyPatch) -> None:
    data = b"".join(orjson.dumps(event(f"alpha {n}", n)) + b"\n" for n in range(3))

    class Standard:
        buffer = io.BytesIO(data)

    for jobs in (1, 2):
        Standard.buffer = io.BytesIO(data)
        monkeypatch.setattr(sys, "stdin", Standard)
        lines, _ = hunt(load(rule("alpha")), Path("-"), jobs=jobs)
        assert [(f["path"], f["record"]) for f in lines.findings] == [("-", 1), ("-", 2), ("-", 3)]


def test_what_cannot_be_read_is_told_and_the_rest_is_hunted(tmp_path: Path) -> None:
    write(tmp_path / "a.json", event("alpha 1"))
    (tmp_path / "b.json").write_bytes(
        orjson.dumps(event("alpha 2")) + b"\n{broken\n" + orjson.dumps(event("alpha 3")) + b"\n"
    )
    (tmp_path / "c.bin").write_bytes(bytes(range(256)) * 10)
    lines, tally = hunt(load(rule("alpha")), tmp_path)
    assert len(lines.raw) == 3
    told = {(Path(problem.path).name, problem.place) for problem in tally.problems}
    assert {("b.json", "line 2"), ("c.bin", "")} <= told


RULES = load(
    rule("alpha", level="informational"),
    rule("beta"),
    rule("nothing"),
    correlation("burst", COUNT),
    correlation("then", {"type": "temporal_ordered", "rules": ["burst", "beta"], "group-by": ["User"], "timespan": "1h"}),
    correlation("gone", {"type": "temporal", "condition": "beta and not alpha", "group-by": ["User"], "timespan": "5m"}),
    correlation("sum", {"type": "value_sum", "rules": ["beta"], "timespan": "1d", "condition": {"field": "Size", "gte": 100}}),
)  # fmt: skip


def scattered(folder: Path, lines: int = 400) -> None:
    """Events of several files whose times are woven into each other, in and out of archives."""
    made = [
        event(("alpha", "nothing", "beta")[n * 7 % 11 % 3], n * 13 % 7000, User=f"SYT\\nv.{n % 5}", Size=n % 17)
        for n in range(lines)
    ]
    made.append(event("beta", 6_999, User="SYT\\le.loi"))
    write(folder / "a.json", *made[::3])
    write(folder / "sub" / "b.json", *reversed(made[1::3]))
    with zipfile.ZipFile(folder / "z.zip", "w") as archive:
        archive.writestr("c.json", b"".join(orjson.dumps(each) + b"\n" for each in made[2::3]))


def test_the_result_does_not_depend_on_the_number_of_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scattered(tmp_path)
    monkeypatch.setattr(hunting, "PART_BYTES", 2_000)  # so that files of lines are cut into many ranges
    one, first = hunt(RULES, tmp_path)
    two, second = hunt(RULES, tmp_path, jobs=2)
    assert one.raw == two.raw
    assert set(names(one)) == {"nothing", "then", "gone", "sum"}
    for field in ("files", "events", "findings", "problems"):
        assert getattr(first, field) == getattr(second, field), field


def test_correlations_go_by_time_whatever_order_files_and_lines_have(tmp_path: Path) -> None:
    made = [
        event("alpha", at, User=user)
        for at, user in ((0, "An"), (200, "An"), (400, "An"), (0, "Bo"), (601, "Bo"), (1300, "Bo"))
    ]
    write(tmp_path / "1" / "a.json", *made)
    write(tmp_path / "2" / "a.json", *reversed(made))
    write(tmp_path / "3" / "a.json", made[2], made[5])
    write(tmp_path / "3" / "b.json", made[0], made[4])
    write(tmp_path / "3" / "c.json", made[3], made[1])

    only = load(rule("alpha", level="informational"), correlation("burst", COUNT))
    lines, _ = hunt(only, tmp_path / "1")
    assert [f["event"]["User"] for f in lines.findings] == ["An"]
    for folder in ("2", "3"):
        other, _ = hunt(only, tmp_path / folder)
        assert [(f["time"], [e["time"] for e in f["events"]]) for f in other.findings] == [
            (f["time"], [e["time"] for e in f["events"]]) for f in lines.findings
        ]


def test_correlations_come_last_and_their_base_rules_only_when_asked_for(tmp_path: Path) -> None:
    log = write(tmp_path / "log.json", *(event("alpha", at) for at in range(3)), event("beta", 5))
    base = rule("alpha", level="low")
    assert names(hunt(load(base, rule("beta"), correlation("burst", COUNT)), log)[0]) == ["beta", "burst"]
    shown = correlation("burst", {**COUNT, "generate": True})
    assert names(hunt(load(base, rule("beta"), shown), log)[0]) == ["alpha", "alpha", "alpha", "beta", "burst"]


def test_hits_without_a_time_take_no_part(tmp_path: Path) -> None:
    untimed: list[dict[str, Any]] = [{**event("alpha"), "TimeCreated": "soon"} for _ in range(3)]
    log = write(tmp_path / "log.json", *untimed)
    assert names(hunt(load(rule("alpha"), correlation("burst", COUNT)), log)[0]) == []
