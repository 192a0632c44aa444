"""The queue's pages: both languages, filters in the address, groups, exports, views, actions, and who sees what."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from khien.console.alerts.models import Alert, SavedView, Status
from khien.console.audit.models import Entry
from khien.console.incidents.models import Incident
from khien.console.systems.models import InformationSystem

pytestmark = pytest.mark.django_db
QUEUE = "/alerts/"


def text_of(client: Client, address: str = QUEUE, **headers: str) -> str:
    answer = client.get(address, headers=headers)
    assert answer.status_code == 200
    return answer.content.decode()


def titles(page: str) -> list[str]:
    return [part.split('title="')[1].split('"')[0] for part in page.split('<a class="what"')[1:]]


class TestPage:
    def test_it_speaks_both_languages(self, province: Any, make_alert: Any, signed_in: Any) -> None:
        make_alert()
        assert "Unassigned" in text_of(signed_in(province.health))
        page = text_of(signed_in(province.health, "vi"))
        assert "Chưa ai nhận" in page
        assert "Unassigned" not in page

    def test_a_stranger_is_sent_to_sign_in_and_other_roles_are_told_who_may(
        self, province: Any, signed_in: Any
    ) -> None:
        assert Client().get(QUEUE).status_code == 302
        for who in ("admin", "auditor", "press", "telecom"):
            assert signed_in(province.people[who]).get(QUEUE).status_code == 403

    def test_the_chair_looks_and_cannot_act(self, province: Any, make_alert: Any, signed_in: Any) -> None:
        make_alert()
        page = text_of(signed_in(province.chair))
        assert "LSASS dump" in page
        assert "data-tick" not in page
        assert "bulk-bar" not in page

    def test_everybody_sees_their_own_units_alone(self, province: Any, make_alert: Any, signed_in: Any) -> None:
        make_alert(title="Own")
        make_alert(title="Below", unit="benh-vien")
        make_alert(title="Foreign", unit="xa-mau")
        assert sorted(titles(text_of(signed_in(province.health)))) == ["Below", "Own"]
        assert titles(text_of(signed_in(province.hospital))) == ["Below"]
        assert len(titles(text_of(signed_in(province.analyst)))) == 3

    def test_hostile_content_is_text(self, province: Any, make_alert: Any, signed_in: Any) -> None:
        evil = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"
        make_alert(title=evil, host=evil, rule=evil)
        for address in (
            QUEUE,
            f"{QUEUE}?cols=what,rule,entity,tags",
            f"{QUEUE}?group=rule",
            f"{QUEUE}?group=entity",
            f"{QUEUE}?q={evil}",
        ):
            page = text_of(signed_in(province.analyst), address)
            assert "<script>alert" not in page
            assert "<img src=x" not in page

    def test_an_empty_queue_says_what_it_is_for(self, province: Any, signed_in: Any) -> None:
        assert "No alerts yet" in text_of(signed_in(province.health))
        assert "You have no open alerts" in text_of(signed_in(province.health), f"{QUEUE}?tab=mine")
        assert "No alert matches" in text_of(signed_in(province.health), f"{QUEUE}?q=level:low")

    def test_numbers_in_addresses_have_no_separators(self, province: Any, make_alert: Any, signed_in: Any) -> None:
        make_alert(id=12_345_678, version=1_234)
        page = text_of(signed_in(province.health))
        assert 'data-id="12345678" data-version="1234"' in page
        assert 'data-upto="12345678"' in page

    def test_it_asks_the_database_a_bounded_number_of_times(
        self, province: Any, make_alert: Any, signed_in: Any, django_assert_max_num_queries: Any
    ) -> None:
        client = signed_in(province.analyst)
        for _ in range(5):
            make_alert(owner=province.health)
        client.get(QUEUE)
        with django_assert_max_num_queries(25):
            client.get(QUEUE)
        for number in range(45):
            make_alert(owner=province.analyst, rule=f"r{number}", host=f"h{number}")
        for address in (QUEUE, f"{QUEUE}?q=lsass+level:high", f"{QUEUE}?group=rule", f"{QUEUE}?q=owner:none"):
            with django_assert_max_num_queries(25):
                assert client.get(address).status_code == 200


class TestFiltering:
    def test_the_address_holds_the_filter_and_the_lists_change_it(
        self, province: Any, make_alert: Any, signed_in: Any
    ) -> None:
        make_alert(title="High")
        make_alert(title="Low", level=1)
        client = signed_in(province.health)
        assert titles(text_of(client, f"{QUEUE}?q=level:low")) == ["Low"]
        answer = client.get(
            QUEUE, {"q": "lsass", "set-level": "low", "was-level": "", "set-status": "", "was-status": ""}
        )
        assert answer["Location"] == f"{QUEUE}?q=level%3Alow+lsass"
        answer = client.get(QUEUE, {"q": "level:low", "set-level": "", "was-level": "low"})
        assert answer["Location"] == f"{QUEUE}?"

    def test_what_was_typed_counts_more_than_a_list_that_was_not_touched(self, province: Any, signed_in: Any) -> None:
        answer = signed_in(province.health).get(QUEUE, {"q": "level:high", "set-level": "", "was-level": ""})
        assert answer["Location"] == f"{QUEUE}?q=level%3Ahigh"

    def test_an_error_is_marked_at_its_place(self, province: Any, make_alert: Any, signed_in: Any) -> None:
        make_alert()
        page = text_of(signed_in(province.health), f"{QUEUE}?q=level:high+unit:nowhere+x")
        assert '<mark class="wrong-part">unit:nowhere</mark>' in page
        assert titles(page) == []

    def test_tabs(self, province: Any, make_alert: Any, signed_in: Any) -> None:
        make_alert(title="Mine", owner=province.health)
        make_alert(title="Nobody's")
        make_alert(title="Closed", status=Status.CLOSED)
        client = signed_in(province.health)
        assert titles(text_of(client, f"{QUEUE}?tab=mine")) == ["Mine"]
        assert titles(text_of(client, f"{QUEUE}?tab=unassigned")) == ["Nobody&#x27;s"]
        assert len(titles(text_of(client))) == 3

    def test_pages_follow_each_other(self, province: Any, make_alert: Any, signed_in: Any) -> None:
        for number in range(120):
            make_alert(title=f"Alert {number:03d}", ago=timedelta(minutes=number), level=number % 5)
        client = signed_in(province.health)
        for sort in ("last", "level", "count"):
            address, seen = f"{QUEUE}?sort={sort}", []
            while address:
                page = text_of(client, address)
                seen += titles(page)
                address = (
                    QUEUE + page.split('rel="next" href="')[1].split('"')[0].replace("&amp;", "&")
                    if 'rel="next"' in page
                    else ""
                )
            assert len(seen) == len(set(seen)) == 120
        assert "120 alerts" in text_of(client)

    @pytest.mark.parametrize(
        "query",
        [
            "after=x",
            "after=WzFd",
            "after=" + "A" * 300,
            "open=abc",
            "sort=evil",
            "group=evil",
            "cols=evil",
            "tab=evil",
            "q=" + "x" * 3000,
            "after=W251bGwsNSwwLDBd",
        ],
    )
    def test_nonsense_in_the_address_does_no_harm(
        self, province: Any, make_alert: Any, signed_in: Any, query: str
    ) -> None:
        make_alert()
        assert signed_in(province.health).get(f"{QUEUE}?{query}").status_code == 200

    def test_groups_lead_to_what_is_in_them(self, province: Any, make_alert: Any, signed_in: Any) -> None:
        for _ in range(3):
            make_alert(rule="r-one", title="One", host="web01")
        make_alert(rule="r-two", title="Two", host="web02", ago=timedelta(days=2), unit="benh-vien", level=4)
        client = signed_in(province.health)
        for group, first in (
            ("rule", "One"),
            ("entity", "web01"),
            ("unit", "Sở Y tế"),
            ("level", "High"),
            ("day", f">{timezone.localdate():%d/%m/%Y}</a>"),
        ):
            page = text_of(client, f"{QUEUE}?group={group}")
            assert first in page
            address = page.split('<tr data-href="')[1].split('"')[0].replace("&amp;", "&")
            assert titles(text_of(client, QUEUE + address)) == ["One"] * 3, group

    def test_columns_are_chosen(self, province: Any, make_alert: Any, signed_in: Any) -> None:
        make_alert(rule="rule-shown")
        client = signed_in(province.health)
        answer = client.get(QUEUE, {"col": ["what", "rule"]})
        assert answer["Location"] == f"{QUEUE}?cols=what%2Crule"
        page = text_of(client, answer["Location"])
        assert "rule-shown" in page
        assert "col-level" not in page

    def test_a_part_of_the_page_is_the_list_alone(self, province: Any, make_alert: Any, signed_in: Any) -> None:
        make_alert()
        page = text_of(signed_in(province.health), **{"HX-Request-Type": "partial"})
        assert page.lstrip().startswith('<div id="alert-list"')
        assert "<html" not in page

    def test_the_histogram_counts_what_matches(self, province: Any, make_alert: Any, signed_in: Any) -> None:
        for days in (0, 1, 1, 3, 30):
            make_alert(ago=timedelta(days=days, hours=1), owner=province.health)
        client = signed_in(province.health)
        assert "4 alerts between" in text_of(client)
        assert "3 alerts between" in text_of(client, f"{QUEUE}?q=since:2d")
        assert "5 alerts between" in text_of(client, f"{QUEUE}?q=owner:health@example.vn")


class TestExporting:
    def test_all_that_match_and_no_more(self, province: Any, make_alert: Any, signed_in: Any) -> None:
        make_alert(title="=cmd|evil", level=4)
        make_alert(title="Low", level=1)
        make_alert(title="Foreign", unit="xa-mau", level=4)
        answer = signed_in(province.health).get(f"{QUEUE}?q=level:critical&export=csv")
        lines = b"".join(answer.streaming_content).decode("utf-8-sig").splitlines()
        assert len(lines) == 2
        assert "'=cmd" in lines[1]
        assert Entry.objects.filter(action="export").count() == 1

    def test_a_filter_that_cannot_be_read_exports_nothing(self, province: Any, signed_in: Any) -> None:
        assert signed_in(province.health).get(f"{QUEUE}?q=level:x&export=csv").status_code == 302
        assert not Entry.objects.filter(action="export").exists()


class TestActing:
    def act(self, client: Client, **values: Any) -> tuple[int, dict[str, Any]]:
        answer = client.post(reverse("alerts:act"), values)
        return answer.status_code, json.loads(answer.content)

    def test_alerts_are_taken_on_closed_and_the_closing_undone(
        self, province: Any, make_alert: Any, signed_in: Any
    ) -> None:
        alert = make_alert()
        client = signed_in(province.health)
        assert self.act(client, action="assign", owner="me", ids=f"{alert.pk}:1")[1]["text"] == "1 alert assigned."
        status, told = self.act(client, action="close", verdict="benign", ids=f"{alert.pk}:2")
        assert (status, told["ids"]) == (200, [alert.pk])
        answer = client.post(reverse("alerts:undo", args=[told["undo"]]))
        assert answer.json()["text"] == "1 alert is as before."
        alert.refresh_from_db()
        assert (alert.status, alert.owner) == (Status.IN_PROGRESS, province.health)

    def test_all_that_match_are_those_one_saw(self, province: Any, make_alert: Any, signed_in: Any) -> None:
        seen = [make_alert(level=1), make_alert(level=1)]
        make_alert(level=4)
        late = make_alert(level=1)
        status, told = self.act(
            signed_in(province.health),
            action="close",
            verdict="benign",
            all="1",
            q="level:low",
            tab="unassigned",
            upto=str(seen[-1].pk),
        )
        assert (status, sorted(told["ids"])) == (200, [alert.pk for alert in seen])
        late.refresh_from_db()
        assert late.status == Status.NEW

    def test_a_change_in_between_is_told_with_409(self, province: Any, make_alert: Any, signed_in: Any) -> None:
        alert = make_alert()
        self.act(signed_in(province.analyst), action="assign", owner="me", ids=str(alert.pk))
        status, told = self.act(signed_in(province.health), action="close", verdict="benign", ids=f"{alert.pk}:1")
        assert (status, told["changed"]) == (409, [alert.pk])

    @pytest.mark.parametrize(
        ("values", "status"),
        [
            ({"action": "close", "verdict": "false_positive"}, 400),
            ({"action": "explode"}, 400),
            ({"action": "assign", "owner": "99999999"}, 400),
            ({"action": "assign", "owner": "²"}, 400),
            ({"action": "status", "status": "closed"}, 400),
            ({"action": "link", "incident": "SC-1"}, 404),
            ({"action": "comment", "text": ""}, 400),
            ({"action": "close", "verdict": "benign", "ids": ""}, 400),
            ({"action": "close", "verdict": "benign", "ids": "x,99999999:y,²"}, 404),
            ({"action": "close", "verdict": "benign", "all": "1", "q": "level:low"}, 400),
            ({"action": "close", "verdict": "benign", "all": "1", "q": "colour:red", "upto": "5"}, 400),
        ],
    )
    def test_what_cannot_be_done_is_told(
        self, province: Any, make_alert: Any, signed_in: Any, values: dict[str, str], status: int
    ) -> None:
        alert = make_alert()
        given = {"ids": str(alert.pk), **values}
        got, told = self.act(signed_in(province.health), **given)
        assert got == status
        assert told["error"]
        alert.refresh_from_db()
        assert (alert.status, alert.version) == (Status.NEW, 1)

    def test_a_foreign_alert_is_not_there(self, province: Any, make_alert: Any, signed_in: Any) -> None:
        alert = make_alert(unit="xa-mau")
        assert self.act(signed_in(province.health), action="close", verdict="benign", ids=str(alert.pk))[0] == 404

    def test_others_are_refused(self, province: Any, make_alert: Any, signed_in: Any) -> None:
        alert = make_alert()
        for who in ("chair", "auditor", "admin", "press"):
            answer = signed_in(province.people[who]).post(
                reverse("alerts:act"), {"action": "close", "ids": str(alert.pk)}
            )
            assert answer.status_code == 403
            assert signed_in(province.people[who]).post(reverse("alerts:undo", args=[1])).status_code == 403
        assert signed_in(province.health).get(reverse("alerts:act")).status_code == 405

    def test_a_forged_request_is_refused(self, province: Any, make_alert: Any) -> None:
        client = Client(enforce_csrf_checks=True)
        client.force_login(province.health)
        assert client.post(reverse("alerts:act"), {"action": "close", "ids": str(make_alert().pk)}).status_code == 403

    def test_alerts_are_added_to_an_incident_by_its_number(
        self, province: Any, make_alert: Any, signed_in: Any
    ) -> None:
        Incident.objects.create(
            number="SC-2026-0007", title="x", unit=province.units["so-y-te"], detected_at=timezone.now()
        )
        alert = make_alert()
        status, told = self.act(signed_in(province.health), action="link", incident="sc-2026-0007", ids=str(alert.pk))
        assert (status, told["text"]) == (200, "1 alert added to the incident.")

    def test_a_sensitive_incident_is_not_named_in_the_list(
        self, province: Any, make_alert: Any, signed_in: Any
    ) -> None:
        secret = Incident.objects.create(
            number="SC-2026-0008", title="x", unit=province.units["so-y-te"], tlp="RED", detected_at=timezone.now()
        )
        make_alert(incident=secret)
        address = f"{QUEUE}?cols=what,incident"
        assert "SC-2026-0008" not in text_of(signed_in(province.health), address)
        assert "SC-2026-0008" in text_of(signed_in(province.chair), address)

    def test_a_system_that_went_to_another_unit_is_not_named(
        self, province: Any, make_alert: Any, signed_in: Any
    ) -> None:
        moved = InformationSystem.objects.create(code="moved", name="Kho ảnh chụp", unit=province.units["xa-mau"])
        alert = make_alert(system=moved)
        for address in (f"{QUEUE}?cols=what,system", reverse("alerts:detail", args=[alert.pk])):
            assert "Kho ảnh chụp" not in text_of(signed_in(province.health), address)
            assert "Kho ảnh chụp" in text_of(signed_in(province.analyst), address)
        answer = signed_in(province.health).get(f"{QUEUE}?export=csv")
        assert "Kho ảnh chụp" not in b"".join(answer).decode()


class TestSavedViews:
    def test_a_view_is_kept_shown_and_forgotten(self, province: Any, signed_in: Any) -> None:
        client = signed_in(province.health)
        client.post(
            reverse("alerts:view_save"), {"name": "Night shift", "state": "?tab=unassigned&q=level%3Ahigh&evil=1"}
        )
        view = SavedView.objects.get()
        assert (view.query, view.owner, view.shared) == ("tab=unassigned&q=level%3Ahigh", province.health, False)
        assert "Night shift" in text_of(client)
        assert "Night shift" not in text_of(signed_in(province.analyst))
        client.post(reverse("alerts:view_save"), {"name": "Night shift", "state": "?q=level%3Alow", "shared": "on"})
        assert SavedView.objects.get().query == "q=level%3Alow"
        assert "Night shift" in text_of(signed_in(province.analyst))
        assert signed_in(province.analyst).post(reverse("alerts:view_delete", args=[view.pk])).status_code == 404
        client.post(reverse("alerts:view_delete", args=[view.pk]))
        assert SavedView.objects.count() == 0

    def test_a_view_needs_a_name(self, province: Any, signed_in: Any) -> None:
        signed_in(province.health).post(reverse("alerts:view_save"), {"name": " ", "state": "?"})
        assert SavedView.objects.count() == 0

    def test_only_those_who_see_alerts(self, province: Any, signed_in: Any) -> None:
        assert signed_in(province.press).post(reverse("alerts:view_save"), {"name": "x"}).status_code == 403


def test_a_conflict_loses_nothing(province: Any, make_alert: Any) -> None:
    """Two people close the same alert: the first one's verdict stays."""
    from khien.console.alerts import services
    from khien.console.concurrency import Changed

    alert = make_alert()
    services.close(province.analyst, {alert.pk: 1}, verdict="true_positive", reason="real")
    with pytest.raises(Changed):
        services.close(province.analyst2, {alert.pk: 1}, verdict="benign")
    assert Alert.objects.get().verdict == "true_positive"
