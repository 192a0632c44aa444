"""What people do with alerts: one, several, all that match; told of, undone, and only what is theirs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone, translation

from khien.console.accounts.access import Forbidden
from khien.console.alerts import services
from khien.console.alerts.criteria import Criteria, seen_by
from khien.console.alerts.models import Alert, AlertActivity, BulkAction, Handback, Status, Tally
from khien.console.alerts.scanning import find
from khien.console.audit.models import Entry
from khien.console.concurrency import Changed
from khien.console.incidents.models import Incident
from khien.console.notifications.models import Notice

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _english() -> Iterator[None]:
    with translation.override("en"):
        yield


@pytest.fixture
def incident(province: Any) -> Incident:
    return Incident.objects.create(
        number="SC-2026-0001", title="Sự cố mẫu", unit=province.units["so-y-te"], detected_at=timezone.now()
    )


def by_status() -> dict[int, int]:
    sums: dict[int, int] = {}
    for each in Tally.objects.filter(hour=-1):
        sums[each.status] = sums.get(each.status, 0) + each.n
    return {status: n for status, n in sums.items() if n}


class TestAssigning:
    def test_who_takes_a_new_alert_on_begins_to_work_on_it(self, province: Any, make_alert: Any) -> None:
        alert = make_alert()
        done = services.assign(province.health, alert, province.health)
        alert.refresh_from_db()
        assert (done.ids, alert.owner, alert.status, alert.version) == (
            [alert.pk],
            province.health,
            Status.IN_PROGRESS,
            2,
        )
        assert by_status() == {Status.IN_PROGRESS: 1}
        assert Entry.objects.get().action == "alert.assign"
        assert alert.activities.get().kind == "assign"
        assert Notice.objects.count() == 0

    def test_somebody_given_alerts_is_told_once(self, province: Any, make_alert: Any) -> None:
        services.assign(province.analyst, [make_alert(), make_alert()], province.health)
        notice = Notice.objects.get()
        assert notice.user == province.health
        assert "2" in str(notice)
        assert set(Alert.objects.values_list("status", flat=True)) == {Status.NEW}

    def test_only_people_who_may_work_on_them_and_see_them(self, province: Any, make_alert: Any) -> None:
        alert = make_alert()
        with pytest.raises(ValidationError, match="does not work on alerts"):
            services.assign(province.analyst, alert, province.chair)
        with pytest.raises(ValidationError, match="does not see"):
            services.assign(province.analyst, alert, province.commune)
        with pytest.raises(ValidationError, match="does not see"):
            services.assign(province.analyst, make_alert(unit=None), province.health)

    def test_an_alert_can_be_given_back(self, province: Any, make_alert: Any) -> None:
        alert = make_alert(owner=province.health)
        services.assign(province.health, alert, None)
        alert.refresh_from_db()
        assert alert.owner is None


class TestClosing:
    def test_an_alert_is_closed_with_a_verdict_and_the_live_service_hears_of_it(
        self, province: Any, make_alert: Any
    ) -> None:
        alert = make_alert()
        services.close(province.health, alert, verdict="benign", reason="backup job")
        alert.refresh_from_db()
        assert (alert.status, alert.verdict, alert.reason) == (Status.CLOSED, "benign", "backup job")
        assert Handback.objects.get().live_key == alert.live_key
        entry = Entry.objects.get()
        assert (entry.target_id, entry.before["verdict"], entry.after["verdict"]) == (str(alert.pk), "", "benign")
        activity = alert.activities.get()
        assert (activity.kind, activity.data["verdict"], activity.text) == ("close", "benign", "backup job")

    def test_a_false_positive_needs_a_reason(self, province: Any, make_alert: Any) -> None:
        with pytest.raises(ValidationError) as caught:
            services.close(province.health, make_alert(), verdict="false_positive", reason="  ")
        assert list(caught.value.message_dict) == ["reason"]

    @pytest.mark.parametrize(
        ("given", "field"),
        [
            ({"verdict": ""}, "verdict"),
            ({"verdict": "perhaps"}, "verdict"),
            ({"verdict": "benign", "classification": "no-such"}, "classification"),
            ({"verdict": "benign", "reason": "x" * 501}, "reason"),
        ],
    )
    def test_what_is_not_known_is_refused(
        self, province: Any, make_alert: Any, given: dict[str, str], field: str
    ) -> None:
        with pytest.raises(ValidationError) as caught:
            services.close(province.health, make_alert(), **given)
        assert list(caught.value.message_dict) == [field]
        assert by_status() == {Status.NEW: 1}

    def test_a_class_of_the_catalogue_is_kept(self, province: Any, make_alert: Any) -> None:
        from khien.console.incidents.catalogue import classes

        code = classes()[0][0]
        alert = make_alert()
        services.close(province.health, alert, verdict="true_positive", classification=code)
        alert.refresh_from_db()
        assert alert.classification == code

    def test_closing_needs_its_own_way(self, province: Any, make_alert: Any) -> None:
        with pytest.raises(ValidationError):
            services.set_status(province.health, make_alert(), Status.CLOSED)

    def test_reopening_takes_the_verdict_away(self, province: Any, make_alert: Any) -> None:
        alert = make_alert()
        services.close(province.health, alert, verdict="benign")
        services.reopen(province.health, alert, "seen again")
        alert.refresh_from_db()
        assert (alert.status, alert.verdict) == (Status.IN_PROGRESS, "")
        assert [each.status for each in Handback.objects.all()] == ["closed", "acknowledged"]
        assert services.reopen(province.health, alert).ids == []


class TestManyAtOnce:
    def test_all_that_match_are_closed_with_one_entry_in_the_audit_trail(self, province: Any, make_alert: Any) -> None:
        wanted = [make_alert(level=1) for _ in range(5)]
        other = make_alert(level=4)
        done = services.close(
            province.analyst, seen_by(province.analyst).within("level", [1]), verdict="false_positive", reason="noise"
        )
        assert sorted(done.ids) == [alert.pk for alert in wanted]
        entry = Entry.objects.get()
        assert (entry.after["count"], sorted(entry.after["ids"])) == (5, sorted(done.ids))
        assert AlertActivity.objects.filter(kind="close").count() == 5
        assert by_status() == {Status.NEW: 1, Status.CLOSED: 5}
        other.refresh_from_db()
        assert other.status == Status.NEW

    def test_what_arrived_after_the_page_was_made_is_not_meant(self, province: Any, make_alert: Any) -> None:
        seen = make_alert()
        late = make_alert()
        services.close(province.analyst, Criteria(upto=seen.pk), verdict="benign")
        late.refresh_from_db()
        assert late.status == Status.NEW

    def test_a_duty_officer_changes_only_what_is_of_their_units(self, province: Any, make_alert: Any) -> None:
        own, below = make_alert(), make_alert(unit="benh-vien")
        foreign, nobody = make_alert(unit="xa-mau"), make_alert(unit=None)
        done = services.close(province.health, [own, below, foreign, nobody], verdict="benign")
        assert sorted(done.ids) == [own.pk, below.pk]
        with pytest.raises(Alert.DoesNotExist):
            services.close(province.health, foreign, verdict="benign")
        assert services.close(province.health, Criteria(), verdict="true_positive").ids == [own.pk, below.pk]
        foreign.refresh_from_db()
        assert foreign.status == Status.NEW

    def test_what_somebody_changed_in_the_meantime_is_left_alone_and_named(
        self, province: Any, make_alert: Any
    ) -> None:
        one, two = make_alert(), make_alert()
        services.assign(province.analyst2, one, province.analyst2)
        done = services.close(province.analyst, {one.pk: 1, two.pk: 1}, verdict="benign")
        assert (done.ids, done.skipped) == ([two.pk], [one.pk])
        with pytest.raises(Changed):
            services.close(province.analyst, {one.pk: 1}, verdict="benign")

    def test_statements_do_not_grow_with_the_alerts(
        self, province: Any, make_alert: Any, django_assert_max_num_queries: Any
    ) -> None:
        for _ in range(60):
            make_alert()
        with django_assert_max_num_queries(30):
            assert len(services.close(province.analyst, Criteria(), verdict="benign").ids) == 60


class TestUndoing:
    def test_a_closing_is_taken_back_whole(self, province: Any, make_alert: Any) -> None:
        one = make_alert(owner=province.health, status=Status.IN_PROGRESS)
        two = make_alert()
        done = services.close(province.health, [one, two], verdict="benign", reason="x")
        back = services.undo(province.health, done.undo)
        assert sorted(back.ids) == [one.pk, two.pk]
        one.refresh_from_db()
        two.refresh_from_db()
        assert (one.status, one.verdict, one.reason, one.owner) == (Status.IN_PROGRESS, "", "", province.health)
        assert two.status == Status.NEW
        assert by_status() == {Status.NEW: 1, Status.IN_PROGRESS: 1}
        assert [each.status for each in Handback.objects.all()] == ["closed"] * 2 + ["acknowledged"] * 2
        assert Entry.objects.order_by("-number").first().action == "alert.undo"

    def test_what_somebody_did_since_then_stays(self, province: Any, make_alert: Any) -> None:
        one, two = make_alert(), make_alert()
        done = services.close(province.health, [one, two], verdict="benign")
        services.reopen(province.analyst, one)
        back = services.undo(province.health, done.undo)
        assert (back.ids, back.skipped) == ([two.pk], [one.pk])

    def test_once_in_time_and_only_one_s_own(self, province: Any, make_alert: Any) -> None:
        done = services.close(province.health, make_alert(), verdict="benign")
        with pytest.raises(BulkAction.DoesNotExist):
            services.undo(province.analyst, done.undo)
        services.undo(province.health, done.undo)
        with pytest.raises(ValidationError, match="too late"):
            services.undo(province.health, done.undo)
        late = services.close(province.health, make_alert(), verdict="benign")
        BulkAction.objects.filter(pk=late.undo).update(at=timezone.now() - timedelta(minutes=2))
        with pytest.raises(ValidationError, match="too late"):
            services.undo(province.health, late.undo)


class TestIncidents:
    def test_alerts_become_those_of_an_incident_and_leave_it(
        self, province: Any, make_alert: Any, incident: Incident
    ) -> None:
        one = make_alert()
        services.link_to_incident(province.health, [one], incident)
        one.refresh_from_db()
        assert (one.incident, one.status) == (incident, Status.IN_PROGRESS)
        services.unlink_from_incident(province.health, one)
        one.refresh_from_db()
        assert one.incident is None

    def test_an_incident_one_does_not_see_is_not_there(
        self, province: Any, make_alert: Any, incident: Incident
    ) -> None:
        with pytest.raises(Incident.DoesNotExist):
            services.link_to_incident(province.commune, make_alert(unit="xa-mau"), incident)

    def test_alerts_are_not_taken_from_an_incident_one_does_not_see(
        self, province: Any, make_alert: Any, incident: Incident
    ) -> None:
        foreign = Incident.objects.create(
            number="SC-2026-0002", title="Khác", unit=province.units["xa-mau"], detected_at=timezone.now()
        )
        alert = make_alert(incident=foreign)
        with pytest.raises(ValidationError, match="another incident"):
            services.link_to_incident(province.health, alert, incident)
        with pytest.raises(ValidationError, match="another incident"):
            services.unlink_from_incident(province.health, alert)
        services.link_to_incident(province.analyst, alert, incident)

    def test_a_closed_incident_takes_nothing(self, province: Any, make_alert: Any, incident: Incident) -> None:
        Incident.objects.update(status="closed")
        with pytest.raises(ValidationError, match="closed"):
            services.link_to_incident(province.health, make_alert(), incident)


class TestMaking:
    def test_what_somebody_saw_is_an_alert_that_is_found(self, province: Any) -> None:
        alert = services.create_alert(
            province.health,
            title="Email lừa đảo gửi cả phòng",
            level=2,
            unit=province.units["so-y-te"],
            entity_kind="host",
            entity_value="SYT-PC-007",
            text="Người gửi giả danh kho bạc",
        )
        assert (alert.status, alert.made_by, alert.entity_value) == (Status.NEW, province.health, "syt-pc-007")
        assert find(Criteria(texts=("gia danh kho bac", "lua dao"))).ids == [alert.pk]
        assert by_status() == {Status.NEW: 1}
        services.close(province.health, alert, verdict="true_positive")
        assert Handback.objects.count() == 0

    @pytest.mark.parametrize(("given", "field"), [({"title": " "}, "title"), ({"level": 9}, "level")])
    def test_what_is_missing_is_told(self, province: Any, given: dict[str, Any], field: str) -> None:
        values = {"title": "x", "level": 1, "unit": province.units["so-y-te"], **given}
        with pytest.raises(ValidationError) as caught:
            services.create_alert(province.health, **values)
        assert list(caught.value.message_dict) == [field]

    def test_a_foreign_unit_is_refused(self, province: Any) -> None:
        with pytest.raises(ValidationError):
            services.create_alert(province.health, title="x", level=1, unit=province.units["xa-mau"])


class TestCommenting:
    def test_a_comment_is_kept_with_who_and_when(self, province: Any, make_alert: Any) -> None:
        alert = make_alert()
        services.comment(province.health, alert, "  Đã gọi đơn vị  ")
        activity = alert.activities.get()
        assert (activity.kind, activity.text, activity.by) == ("comment", "Đã gọi đơn vị", province.health)
        alert.refresh_from_db()
        assert alert.version == 1

    def test_nothing_is_no_comment(self, province: Any, make_alert: Any) -> None:
        with pytest.raises(ValidationError):
            services.comment(province.health, make_alert(), " ")
        with pytest.raises(Alert.DoesNotExist):
            services.comment(province.commune, make_alert(), "x")


@pytest.mark.parametrize("who", ["chair", "auditor", "admin", "press", "telecom"])
def test_other_roles_change_nothing(province: Any, make_alert: Any, who: str, incident: Incident) -> None:
    alert, by = make_alert(), province.people[who]
    for call in (
        lambda: services.assign(by, alert, None),
        lambda: services.close(by, alert, verdict="benign"),
        lambda: services.set_status(by, alert, Status.IN_PROGRESS),
        lambda: services.set_verdict(by, alert, verdict="benign"),
        lambda: services.reopen(by, alert),
        lambda: services.comment(by, alert, "x"),
        lambda: services.link_to_incident(by, alert, incident),
        lambda: services.unlink_from_incident(by, alert),
        lambda: services.create_alert(by, title="x", level=1, unit=province.units["so-y-te"]),
        lambda: services.undo(by, 1),
    ):
        with pytest.raises(Forbidden):
            call()
