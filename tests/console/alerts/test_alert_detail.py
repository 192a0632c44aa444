"""The page and the panel of one alert: what they show, to whom, and what is done from them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from alerts.recordings import MIDNIGHT, finding
from flow.live_service import WHOAMI
from khien.alerts.sink import SqliteAlerts
from khien.console.alerts import services
from khien.console.alerts.detail import attack, history, risk, visible_alert, web_links
from khien.console.alerts.feed import Feed
from khien.console.alerts.models import Alert, AlertFinding, Status
from khien.console.incidents.services import open_incident
from khien.console.systems.models import InformationSystem
from khien.console.systems.selectors import register_changed
from khien.lake.store import Lake
from lake.made import events

pytestmark = pytest.mark.django_db
WHOAMI_ID = "3f0b3c56-7a51-4a5c-9d0b-a3a0f1c0de01"
EVENT = {
    "EventID": 1,
    "Channel": "Microsoft-Windows-Sysmon/Operational",
    "Computer": "SYT-PC-041",
    "Image": "C:\\Windows\\System32\\whoami.exe",
    "CommandLine": "whoami /all",
    "User": "EXAMPLE\\user01",
}
AT = datetime(2026, 11, 20, 12, tzinfo=UTC)
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>\u202egnp"
SignedIn = Callable[..., Client]


@pytest.fixture(autouse=True)
def folders(settings: Any, tmp_path: Path) -> Path:
    rules = tmp_path / "rules"
    rules.mkdir()
    text = (
        WHOAMI + "description: Finds who asks\nauthor: An Author\ndate: 2026/03/09\nfalsepositives: [Administrators]\n"
    )
    text += "references: ['https://example.vn/a?b=1', 'javascript:alert(1)', 'http://example.vn/plain']\n"
    (rules / "whoami.yml").write_text(text)
    settings.RULES = [rules]
    settings.LIVE = tmp_path / "live"
    settings.LAKE = str(tmp_path / "lake")
    return tmp_path


def keep(alert: Alert, position: int = 0, **record: Any) -> None:
    """A finding of the rule for the alert."""
    matched = [{"field": "Image", "value": EVENT["Image"], "pattern": "*\\\\whoami.exe"}]
    full = {"rule_id": WHOAMI_ID, "time": AT.isoformat(), "host": "SYT-PC-041", "matched": matched, "event": EVENT}
    AlertFinding.objects.update_or_create(alert=alert, position=position, defaults={"record": {**full, **record}})


@pytest.fixture
def alert(make_alert: Any) -> Alert:
    made: Alert = make_alert(rule=WHOAMI_ID, title="Who Am I", tags=("attack.discovery", "attack.t1033"))
    keep(made)
    return made


@pytest.mark.parametrize("language", ["vi", "en"])
@pytest.mark.parametrize("part", ["", "panel/"])
def test_the_page_and_the_panel_say_why_it_fired(
    part: str, language: str, alert: Alert, province: Any, signed_in: SignedIn
) -> None:
    text = signed_in(province.analyst, language).get(f"/alerts/{alert.pk}/{part}").content.decode()
    assert "C:\\Windows\\System32<mark>\\whoami.exe</mark>" in text
    assert "<dd>09/03/2026</dd>" in text
    assert "Finds who asks" in text
    assert "An Author" in text
    assert 'href="https://example.vn/a?b=1" rel="noreferrer noopener"' in text
    assert "javascript:" not in text
    assert "http://example.vn/plain" not in text
    assert "T1033" in text
    assert "System Owner/User Discovery" in text
    assert ("Vì sao" in text) is (language == "vi")


def test_the_parts_come_in_the_order_of_the_work(alert: Alert, province: Any, signed_in: SignedIn) -> None:
    text = signed_in(province.analyst).get(f"/alerts/{alert.pk}/panel/").content.decode()
    parts = ["why", "event", "around", "history", "verdicts", "activity", "actions"]
    places = [text.index(f'id="{part}-{alert.pk}"') for part in parts]
    assert places == sorted(places)


@pytest.mark.parametrize("part", ["", "panel/", "sample/", "neighbours/"])
def test_an_alert_of_another_unit_is_not_there(part: str, alert: Alert, province: Any, signed_in: SignedIn) -> None:
    path = f"/alerts/{alert.pk}/{part}"
    assert signed_in(province.health).get(path).status_code == 200
    assert signed_in(province.commune).get(path).status_code == 404
    assert signed_in(province.hospital).get(path).status_code == 404
    assert signed_in(province.admin).get(path).status_code == 403
    assert Client().get(path).status_code == 302


def test_actions_are_for_those_who_work_on_alerts(alert: Alert, province: Any, signed_in: SignedIn) -> None:
    path = f"/alerts/{alert.pk}/act/"
    assert signed_in(province.chair).post(path, {"action": "take"}).status_code == 403
    assert signed_in(province.commune).post(path, {"action": "take"}).status_code == 404
    assert signed_in(province.analyst).post(path, {"action": "destroy"}).status_code == 400
    assert "may look at alerts" in signed_in(province.chair).get(f"/alerts/{alert.pk}/").content.decode()
    assert Client().post(path).status_code == 302


@pytest.mark.parametrize(
    "event",
    [
        {HOSTILE: HOSTILE, "nested": {HOSTILE: [HOSTILE, {"deep": HOSTILE}]}},
        {"huge": HOSTILE * 20_000},
        {"null": None, "list": [], "map": {}, "number": 1e300, "Việt": "đường dẫn", "": ""},
        ["no", "map"],
    ],
)
def test_hostile_events_are_only_text(event: Any, alert: Alert, province: Any, signed_in: SignedIn) -> None:
    keep(
        alert,
        event=event,
        host=HOSTILE,
        time="never",
        matched=[
            {"field": HOSTILE, "value": HOSTILE, "pattern": HOSTILE},
            {"field": "", "value": event, "pattern": "*"},
        ],
        events=[{"time": HOSTILE, "rule_id": HOSTILE}, HOSTILE],
    )
    Alert.objects.filter(pk=alert.pk).update(title=HOSTILE, entity_value=HOSTILE, entities=[["host", HOSTILE], HOSTILE])
    client = signed_in(province.analyst)
    for part in ("", "panel/", "sample/", "neighbours/"):
        response = client.get(f"/alerts/{alert.pk}/{part}")
        assert response.status_code == 200
        text = response.content.decode()
        assert "<script>alert" not in text
        assert "<img src=x" not in text
        assert len(text) < 2_000_000


def test_several_findings_can_be_looked_at(alert: Alert, province: Any, signed_in: SignedIn) -> None:
    keep(alert, 1, event={**EVENT, "CommandLine": "whoami /second"})
    client = signed_in(province.analyst)
    assert "whoami /second" not in client.get(f"/alerts/{alert.pk}/").content.decode()
    text = client.get(f"/alerts/{alert.pk}/sample/?finding=1").content.decode()
    assert "whoami /second" in text
    assert 'aria-current="true"' in text
    assert "whoami /all" in client.get(f"/alerts/{alert.pk}/?finding=99").content.decode()


def test_an_alert_whose_rule_is_not_known_shows_what_matched(alert: Alert, province: Any, signed_in: SignedIn) -> None:
    Alert.objects.filter(pk=alert.pk).update(rule_id="khien-source-silent")
    text = signed_in(province.analyst).get(f"/alerts/{alert.pk}/").content.decode()
    assert "<mark>\\whoami.exe</mark>" in text
    assert "not among the rules" in text


def test_queries_do_not_grow_with_the_alerts(
    alert: Alert, make_alert: Any, province: Any, signed_in: SignedIn, django_assert_max_num_queries: Any
) -> None:
    def more(count: int) -> None:
        for n in range(count):
            other = make_alert(rule=WHOAMI_ID, ago=timedelta(hours=n))
            services.close(province.analyst, other, verdict="benign", reason=f"reason {n}")
            make_alert(rule="another", level=n % 5, ago=timedelta(hours=n))
            services.comment(province.analyst, alert, f"comment {n}")

    client = signed_in(province.analyst)
    more(1)
    client.get(f"/alerts/{alert.pk}/")
    with django_assert_max_num_queries(24) as first:
        client.get(f"/alerts/{alert.pk}/")
    more(10)
    with django_assert_max_num_queries(len(first)):
        client.get(f"/alerts/{alert.pk}/")


def test_the_entity_s_past_is_of_alerts_that_the_person_sees(alert: Alert, make_alert: Any, province: Any) -> None:
    make_alert(title="Earlier here", ago=timedelta(days=2))
    make_alert(title="Elsewhere", unit="xa-mau", ago=timedelta(days=2))
    make_alert(title="Long ago", ago=timedelta(days=60))
    make_alert(title="Another host", host="other", ago=timedelta(days=1))
    found = history(province.health, visible_alert(province.health, alert.pk))
    assert found is not None
    assert [each.title for each in found.latest] == ["Earlier here"]
    assert found.count == sum(day.n for day in found.days) == 1
    same = history(province.analyst, alert)
    assert same is not None
    assert [each.title for each in same.latest] == ["Earlier here"]


def test_earlier_verdicts_tell_who_and_why(alert: Alert, make_alert: Any, province: Any, signed_in: SignedIn) -> None:
    mine = make_alert(rule=WHOAMI_ID, host="pc-7")
    services.close(province.health, mine, verdict="false_positive", reason="An administrator's script")
    other = make_alert(rule=WHOAMI_ID, unit="xa-mau", host="pc-8")
    services.close(province.commune, other, verdict="true_positive", reason="Not for other units")
    text = signed_in(province.health).get(f"/alerts/{alert.pk}/").content.decode()
    assert "An administrator&#x27;s script" in text
    assert "Người mẫu health" in text
    assert "Not for other units" not in text
    assert "Not for other units" in signed_in(province.analyst).get(f"/alerts/{alert.pk}/").content.decode()


def test_the_risk_of_an_address_tells_a_unit_nothing_of_other_units(folders: Path, province: Any) -> None:
    (folders / "live").mkdir()
    live = SqliteAlerts(folders / "live" / "alerts.db")
    mine = {"src_ip": "8.8.8.8"}
    now = (timezone.now() - MIDNIGHT).total_seconds() - 60
    live.take(0, 1, [finding(1, now, host="", unit="so-y-te", event=mine, rule="r1")])
    live.take(0, 2, [finding(2, now, host="", unit="xa-mau", event=mine, rule="r2", level="critical")])
    Feed(folders / "live" / "alerts.db").step()
    alert = Alert.objects.get(rule_id="r1")
    assert alert.entity_value == "8.8.8.8"
    everything = risk(province.analyst, alert)
    assert everything is not None
    assert {share.title for share in everything.shares} == {"Rule r1", "Rule r2"}
    part = risk(province.health, alert)
    assert part is not None
    assert part.only_visible
    assert {share.title for share in part.shares} == {"Rule r1"}
    assert part.score < everything.score


def test_the_risk_of_a_user_in_a_source_of_several_units_tells_each_only_its_own(folders: Path, province: Any) -> None:
    (folders / "live").mkdir()
    live = SqliteAlerts(folders / "live" / "alerts.db")
    now = (timezone.now() - MIDNIGHT).total_seconds() - 60
    live.take(0, 1, [finding(1, now, host="", user="admin", unit="shared", rule="r1")])
    live.take(0, 2, [finding(2, now, host="", user="admin", unit="shared", rule="r2", level="critical")])
    Feed(folders / "live" / "alerts.db").step()
    for rule, unit in (("r1", "so-y-te"), ("r2", "xa-mau")):
        Alert.objects.filter(rule_id=rule).update(unit=province.units[unit])
    alert = Alert.objects.get(rule_id="r1")
    assert alert.entity_value == "admin"
    part = risk(province.health, alert)
    assert part is not None
    assert [share.title for share in part.shares] == ["Rule r1"]
    assert part.only_visible


@pytest.mark.parametrize(
    "time", ["9999-12-31T23:30:00Z", "0001-01-01T00:00:00+14:00", "1e30", "2026-02-30T00:00:00Z", None, 5, {"a": 1}]
)
def test_a_time_that_no_clock_can_show_breaks_no_page(
    alert: Alert, province: Any, signed_in: SignedIn, time: Any
) -> None:
    incident = open_incident(
        province.analyst, title="Incident", level=2, unit=province.units["so-y-te"], alerts=[alert]
    )
    kept = alert.findings.first()
    record = {**kept.record, "time": time, "events": [{"time": time, "rule_id": "r"}]}
    AlertFinding.objects.filter(pk=kept.pk).update(record=record)
    client = signed_in(province.analyst)
    pages = (f"/alerts/{alert.pk}/", f"/alerts/{alert.pk}/neighbours/", f"/incidents/{incident.pk}/")
    assert [client.get(page).status_code for page in pages] == [200, 200, 200]


def test_without_the_live_service_there_is_no_risk_and_no_error(alert: Alert, province: Any) -> None:
    assert risk(province.analyst, alert) is None


def put(folders: Path, *rows: dict[str, Any]) -> None:
    defaults = {"host": "SYT-PC-041", "unit": "so-y-te"}
    full = [{**defaults, "spool": f"0:{n}:1", **row} for n, row in enumerate(rows)]
    Lake(folders / "lake").append_events(events(*full), app="test", version=1)


def test_the_neighbours_are_of_the_same_host_and_time(
    folders: Path, alert: Alert, province: Any, signed_in: SignedIn
) -> None:
    put(
        folders,
        {"time": AT, "command_line": "whoami /all", "event": EVENT},
        {"time": AT - timedelta(seconds=90), "command_line": f"before {HOSTILE}", "event": {HOSTILE: HOSTILE}},
        {"time": AT + timedelta(seconds=200), "command_line": "after it"},
        {"time": AT + timedelta(seconds=301), "command_line": "much later"},
        {"time": AT, "host": "other", "command_line": "elsewhere"},
    )
    text = signed_in(province.analyst).get(f"/alerts/{alert.pk}/neighbours/").content.decode()
    assert text.index("before") < text.index("whoami /all") < text.index("after it")
    assert "−1:30" in text
    assert "+3:20" in text
    assert "much later" not in text
    assert "elsewhere" not in text
    assert "the finding&#x27;s own" in text or "the finding's own" in text
    assert "<script>" not in text


def test_at_most_fifty_neighbours_are_shown(folders: Path, alert: Alert, province: Any, signed_in: SignedIn) -> None:
    put(folders, *({"time": AT + timedelta(seconds=n), "command_line": f"line {n:03d}"} for n in range(80)))
    text = signed_in(province.analyst).get(f"/alerts/{alert.pk}/neighbours/").content.decode()
    assert text.count("<tr") == 51
    assert "line 049" in text
    assert "line 051" not in text
    assert "50 nearest" in text


def test_a_unit_sees_no_neighbours_of_another_unit(
    folders: Path, alert: Alert, province: Any, signed_in: SignedIn
) -> None:
    put(
        folders,
        {"time": AT, "command_line": "ours"},
        {"time": AT, "command_line": "by name", "unit": "Sở Y tế (mẫu)"},
        {"time": AT, "command_line": "theirs", "unit": "xa-mau"},
        {"time": AT, "command_line": "of nobody", "unit": None},
    )
    path = f"/alerts/{alert.pk}/neighbours/"
    text = signed_in(province.health).get(path).content.decode()
    assert "ours" in text
    assert "by name" in text
    assert "theirs" not in text
    assert "of nobody" not in text
    assert "theirs" in signed_in(province.analyst).get(path).content.decode()
    system = InformationSystem.objects.create(code="e", name="E", unit=province.units["so-y-te"], hostnames="syt-pc-*")
    register_changed()
    assert "of nobody" in signed_in(province.health).get(path).content.decode()
    system.unit = province.units["xa-mau"]
    system.save()
    register_changed()
    assert "ours" not in signed_in(province.health).get(path).content.decode()


def test_a_lake_that_is_not_there_or_broken_is_said(
    folders: Path, alert: Alert, province: Any, signed_in: SignedIn
) -> None:
    path = f"/alerts/{alert.pk}/neighbours/"
    assert "no lake here" in signed_in(province.analyst).get(path).content.decode()
    put(folders, {"time": AT, "command_line": "ours"})
    for file in (folders / "lake" / "events").rglob("*.parquet"):
        file.write_bytes(b"broken")
    text = signed_in(province.analyst).get(path).content.decode()
    assert "could not be read" in text
    assert "Try again" in text


def test_an_alert_is_taken_commented_closed_and_opened_again(alert: Alert, province: Any, signed_in: SignedIn) -> None:
    client = signed_in(province.health)
    path = f"/alerts/{alert.pk}/act/"
    response = client.post(path, {"action": "take", "version": 1}, headers={"HX-Request": "true"})
    assert response.status_code == 200
    assert "It is yours now" in response.content.decode()
    assert "khien:alert" in response["HX-Trigger"]
    alert.refresh_from_db()
    assert (alert.owner, alert.status) == (province.health, Status.IN_PROGRESS)
    client.post(path, {"action": "comment", "text": "Looks <b>odd</b>"})
    wrong = client.post(path, {"action": "close", "version": alert.version, "verdict": "false_positive", "reason": ""})
    assert wrong.status_code == 422
    assert "Say why it is a false positive" in wrong.content.decode()
    done = client.post(
        path, {"action": "close", "version": alert.version, "verdict": "false_positive", "reason": "Own script"}
    )
    assert done.status_code == 302
    alert.refresh_from_db()
    assert (alert.status, alert.verdict, alert.reason) == (Status.CLOSED, "false_positive", "Own script")
    text = client.get(f"/alerts/{alert.pk}/").content.decode()
    assert "Looks &lt;b&gt;odd&lt;/b&gt;" in text
    client.post(path, {"action": "reopen", "version": alert.version, "reason": "New facts"})
    alert.refresh_from_db()
    assert alert.status == Status.IN_PROGRESS


def test_the_second_of_two_people_is_told_and_loses_nothing(alert: Alert, province: Any, signed_in: SignedIn) -> None:
    services.assign(province.analyst, alert, province.analyst)
    response = signed_in(province.analyst2).post(
        f"/alerts/{alert.pk}/act/",
        {"action": "close", "version": 1, "verdict": "benign", "reason": "What I wrote"},
        headers={"HX-Request": "true"},
    )
    text = response.content.decode()
    assert response.status_code == 409
    assert "Somebody else has changed this" in text
    assert "What I wrote" in text
    assert "Người mẫu analyst" in text
    alert.refresh_from_db()
    assert f'name="version" value="{alert.version}"' in text
    assert alert.status != Status.CLOSED


def test_an_alert_is_given_only_to_people_who_see_it(alert: Alert, province: Any, signed_in: SignedIn) -> None:
    client = signed_in(province.analyst)
    text = client.get(f"/alerts/{alert.pk}/").content.decode()
    assert "Người mẫu health" in text
    assert "Người mẫu commune" not in text
    response = client.post(
        f"/alerts/{alert.pk}/act/", {"action": "assign", "version": alert.version, "owner": province.commune.pk}
    )
    assert response.status_code == 422
    client.post(f"/alerts/{alert.pk}/act/", {"action": "assign", "version": 1, "owner": province.health.pk})
    alert.refresh_from_db()
    assert alert.owner == province.health


def test_an_alert_is_made_by_hand_for_a_unit_one_sees(province: Any, signed_in: SignedIn) -> None:
    client = signed_in(province.health)
    text = client.get("/alerts/new/").content.decode()
    assert "Bệnh viện tỉnh" in text
    assert "Xã Mẫu" not in text
    values = {
        "title": "A call from the hospital",
        "level": 3,
        "unit": province.units["benh-vien"].pk,
        "entity_kind": "host",
        "entity_value": "BV-01",
        "at": timezone.localtime().strftime("%Y-%m-%dT%H:%M"),
        "text": HOSTILE,
    }
    foreign = client.post("/alerts/new/", {**values, "unit": province.units["xa-mau"].pk})
    assert foreign.status_code == 422
    half = client.post("/alerts/new/", {**values, "entity_value": ""})
    assert "neither" in half.content.decode()
    response = client.post("/alerts/new/", values)
    made = Alert.objects.get()
    assert response.url == f"/alerts/{made.pk}/"
    assert (made.made_by, made.unit, made.entity_value) == (province.health, province.units["benh-vien"], "bv-01")
    text = client.get(response.url).content.decode()
    assert "made by hand" in text
    assert "<script>alert" not in text
    assert signed_in(province.chair).get("/alerts/new/").status_code == 403


def test_links_are_https_pages_alone() -> None:
    given = [
        "https://example.vn/x",
        "http://example.vn",
        "javascript:alert(1)",
        "https://u@evil.vn",
        "https://[",
        "text",
    ]
    assert web_links(given) == ["https://example.vn/x"]


def test_techniques_have_their_names_and_tactics() -> None:
    techniques, bare = attack(["attack.credential-access", "attack.t1003.001", "attack.impact", "cve.2024", 7])
    assert [(each.id, each.tactics) for each in techniques] == [("T1003.001", ("Credential Access",))]
    assert techniques[0].name == "OS Credential Dumping: LSASS Memory"
    assert bare == ("Impact",)
