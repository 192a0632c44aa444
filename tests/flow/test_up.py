"""The live service as a whole: events in, findings and rows out, over reloads, restarts and stops."""

from __future__ import annotations

import socket
import subprocess
import time
from pathlib import Path

import pytest

from flow.live_service import KHIEN, LiveService, whoami
from khien.lake.schema import EVENTS

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> LiveService:
    live = LiveService(tmp_path_factory.mktemp("live") / "data")
    live.start()
    yield live
    live.stop()


def test_an_event_becomes_a_finding_within_seconds_and_a_row_of_the_lake(service: LiveService) -> None:
    service.send(whoami("first"))
    service.wait_for("the alert", lambda: any(alert["rule"].endswith("de01") for alert in service.alerts()), 15)
    service.wait_for("the row", lambda: service.markers()["first"] == 1, 30)
    service.wait_for("the finding in the lake", lambda: service.found_markers()["first"] == 1, 30)
    row = next(
        row
        for row in service.rows(EVENTS, "command_line, logsource, host, source, unit, event_id")
        if row[0] == "whoami first"
    )
    assert row[1:] == ("windows-sysmon", "PC-01.example.vn", "agents", "Sample unit", "1")


def test_what_cannot_be_parsed_is_stored_raw_with_the_reason_and_counted(service: LiveService) -> None:
    service.send(whoami("beside it"), b'{"broken": ')

    def unparsed() -> dict[str, str]:
        rows = service.rows(EVENTS, "raw, reason, logsource")
        return {raw.strip(): reason for raw, reason, logsource in rows if logsource == "unparsed"}

    service.wait_for("the row", lambda: '{"broken":' in unparsed(), 30)
    assert "column 12" in unparsed()['{"broken":']
    service.wait_for("the count", lambda: service.statuses()["store-00"].sources["agents"].unparsed == 1, 10)


def test_syslog_that_keeps_to_no_standard_is_kept_as_a_message(service: LiveService) -> None:
    with socket.create_connection(("127.0.0.1", service.syslog_port)) as out:
        out.sendall(b"no standard at all\n")
    service.wait_for(
        "the row", lambda: ("linux-syslog", "no standard at all") in service.rows(EVENTS, "logsource, raw"), 30
    )


def test_repeated_failed_logins_over_syslog_become_one_correlation_alert(service: LiveService) -> None:
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    with socket.create_connection(("127.0.0.1", service.syslog_port)) as out:
        for n in range(6):
            line = f"<38>1 {stamp} web-01 sshd 81{n} - - Failed password for root from 203.0.113.9 port 50{n}22 ssh2\n"
            out.sendall(line.encode())
    service.wait_for("the correlation", lambda: any(alert["rule"].endswith("de03") for alert in service.alerts()), 40)


def test_rules_are_reloaded_without_losing_an_event(service: LiveService) -> None:
    rule = service.rules / "hostname.yml"
    rule.write_text((service.rules / "whoami.yml").read_text().replace("whoami", "hostname").replace("de01", "de04"))
    service.send(whoami("before reload"))
    service.wait_for("the reload", lambda: service.log.count("rules reloaded") >= 1, 40)
    service.send(whoami("after reload", Image="C:\\hostname.exe"))
    service.wait_for("the new rule's alert", lambda: any(a["rule"].endswith("de04") for a in service.alerts()), 20)
    service.wait_for("all rows", lambda: {"before reload", "after reload"} <= set(service.markers()), 30)


def test_an_exception_of_the_data_folder_silences_its_events_alone_until_it_is_gone(service: LiveService) -> None:
    reloads = service.log.count("rules reloaded")
    file = service.folder / "exceptions" / "1.yml"
    file.write_text(
        "title: The scanner may ask who it is\nlogsource: {category: process_creation, product: windows}\n"
        "filter:\n  rules: [3f0b3c56-7a51-4a5c-9d0b-a3a0f1c0de01]\n"
        "  selection: {User: 'EXAMPLE\\scanner'}\n  condition: not selection\n"
    )
    service.wait_for("the reload", lambda: service.log.count("rules reloaded") > reloads, 40)
    service.send(whoami("by the scanner", User="EXAMPLE\\scanner"), whoami("by another"))
    service.wait_for("the finding", lambda: service.found_markers()["by another"] == 1, 30)
    service.wait_for("the row", lambda: service.markers()["by the scanner"] == 1, 30)
    assert service.found_markers()["by the scanner"] == 0
    file.unlink()
    service.wait_for("the next reload", lambda: service.log.count("rules reloaded") > reloads + 1, 40)
    service.send(whoami("by the scanner again", User="EXAMPLE\\scanner"))
    service.wait_for("the finding", lambda: service.found_markers()["by the scanner again"] == 1, 30)


def test_sources_are_reloaded_and_a_broken_file_leaves_the_last_good_one(service: LiveService) -> None:
    good = service.sources.read_text()
    service.sources.write_text(good + "\n[[source]]\nid = 7\n")
    service.wait_for("the complaint", lambda: "sources not reloaded" in service.log, 20)
    service.send(whoami("with the old sources"))
    service.sources.write_text(good.replace("Sample unit", "Renamed unit"))
    service.wait_for("the reload", lambda: "sources reloaded" in service.log, 20)


def test_status_and_metrics_tell_of_every_process_and_source(service: LiveService) -> None:
    service.wait_for("health", lambda: service.request("GET", "/health")[0] == 200, 30)
    text = service.request("GET", "/metrics")[1].decode()
    assert 'khien_events_total{process="detect-00"}' in text
    assert 'khien_collect_events_total{source="agents"}' in text
    done = subprocess.run([str(KHIEN), "status", "--data", str(service.folder)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "agents" in done.stdout
    assert "all processes are well" in done.stdout


def test_one_signal_stops_everything_and_nothing_that_was_acknowledged_is_left_behind(tmp_path: Path) -> None:
    live = LiveService(tmp_path / "data")
    live.start()
    live.send(*[whoami(f"last {n}") for n in range(500)])
    assert live.stop() == 0
    assert sum(live.markers().values()) == 500
    assert sum(live.found_markers().values()) == 500
    assert live.finding_count() == 500
    live.start()
    live.send(whoami("again"))
    live.wait_for("work goes on", lambda: live.markers()["again"] == 1, 30)
    live.stop()
    assert sum(live.markers().values()) == 501


def test_a_wrong_sources_file_or_no_rules_is_said_at_once(tmp_path: Path) -> None:
    (tmp_path / "sources.toml").write_text("[listen]\nhttp = 5\n")
    done = subprocess.run([str(KHIEN), "up", "--data", str(tmp_path)], capture_output=True, text=True)
    assert done.returncode == 2
    assert "sources.toml" in done.stderr


def test_two_lanes_share_the_sources_and_every_event_is_found_once(tmp_path: Path) -> None:
    live = LiveService(tmp_path / "data", "--lanes", "2")
    live.start()
    for n in range(10):
        live.send(*[whoami(f"{n}-{at}") for at in range(50)])
    with socket.create_connection(("127.0.0.1", live.syslog_port)) as out:
        out.sendall(b"".join(b"<38>1 - web-02 sshd 9 - - session %d opened\n" % n for n in range(200)))
    live.wait_for("all rows", lambda: len(live.rows(EVENTS, "spool")) == 700, 60)
    assert live.stop() == 0
    assert sum(live.markers().values()) == len(live.markers()) == 500
    assert sum(live.found_markers().values()) == live.finding_count() == 500
    assert {spool.split(":")[0] for (spool,) in live.rows(EVENTS, "spool")} == {"0", "1"}
