"""A night in which 430,000 notices come."""

import time
from datetime import UTC, datetime, timedelta

import pytest

from khien.console.notifications import bundles, outbox, selectors, services
from khien.console.notifications.models import Mail, Notice

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]
EVENING = datetime(2026, 11, 24, 11, 0, tzinfo=UTC)  # 18:00 in Vietnam


def test_a_storm_makes_a_few_mails_a_person_and_stays_fast(province, post):
    people = [province.health, province.hospital, province.commune, province.analyst]
    rounds, each_round = 120, 900  # 12 hours, 430,000 notices
    slowest = longest_count = 0.0
    for number in range(rounds):
        at = EVENING + timedelta(minutes=6 * number)
        Notice.objects.bulk_create(
            [
                Notice(
                    user=person,
                    kind="incident.changed" if person is province.health else "alert.new",
                    text="Alert %(title)s",
                    params={"title": f"{number} {count}"},
                    urgent=person is province.analyst,
                    mail_pending=True,
                    created_at=at,
                )
                for person in people
                for count in range(each_round)
            ],
            batch_size=2_000,
        )
        began = time.perf_counter()
        bundles.gather(at)
        bundles.release(at)
        slowest = max(slowest, time.perf_counter() - began)
        began = time.perf_counter()
        selectors.unread_count(province.health)
        list(selectors.notices(province.health)[:50])
        longest_count = max(longest_count, time.perf_counter() - began)
    assert Notice.objects.count() == 432_000
    bundles.release(EVENING + timedelta(hours=30))
    outbox.send_waiting()
    by_person = {person.pk: len([each for each in post.taken if each["To"] == person.email]) for person in people}
    told = {person.pk: sum(Mail.objects.filter(user=person).values_list("notices", flat=True)) for person in people}
    assert set(told.values()) == {rounds * each_round}  # none is left out of the counts
    assert max(by_person.values()) <= 30
    assert by_person[province.health.pk] <= 12
    assert by_person[province.hospital.pk] <= 14
    assert slowest < 4.0
    assert longest_count < 0.2
    began = time.perf_counter()
    services.forget_old()
    assert Notice.objects.count() == services.MOST_KEPT * len(people)
    assert time.perf_counter() - began < 120
