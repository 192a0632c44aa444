"""Gathering notices into few mails: those of one kind within minutes into one, digests, quiet hours, a limit.

However many notices come, each person has one bundle a kind and three digests, so the work of a storm is
reading it once.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from khien.console.accounts.models import User
from khien.console.notifications import outbox
from khien.console.notifications.families import MailMode
from khien.console.notifications.models import Bundle, Mail, Notice
from khien.console.notifications.preferences import DEFAULT, Wishes, wishes_of
from khien.console.notifications.writing import write_digest, write_notices

WINDOW, URGENT_WINDOW = timedelta(minutes=2), timedelta(seconds=10)
"""How long a first notice waits for others of its kind."""
FIRST_GAP, LONGEST_GAP, LONGEST_URGENT_GAP = 120, 4 * 3600, 1800
"""Seconds between two mails of one kind while they keep coming: doubled each time up to the longest."""
HOURLY, DAILY, QUIET = "@hourly", "@daily", "@quiet"
SAMPLES = 10
_PORTION = 5_000


def gather(now: datetime | None = None) -> int:
    """Put new notices into bundles; how many."""
    total = 0
    while count := _gather_portion(now or timezone.now()):
        total += count
    return total


def _gather_portion(now: datetime) -> int:
    if not Notice.objects.filter(mail_pending=True).exists():  # no write lock while there is nothing to do
        return 0
    table = Notice._meta.db_table
    with transaction.atomic():
        with connection.cursor() as cursor:
            # In one statement, so that what is added meanwhile is neither missed nor marked unseen.
            cursor.execute(
                f"UPDATE {table} SET mail_pending = %s WHERE id IN"  # noqa: S608 - a table's name
                f" (SELECT id FROM {table} WHERE mail_pending ORDER BY id LIMIT %s)"
                " RETURNING id, user_id, kind, urgent",
                [False, _PORTION],
            )
            rows = cursor.fetchall()
        if not rows:
            return 0
        groups: dict[tuple[int, str, bool], list[int]] = defaultdict(list)
        for pk, user, kind, urgent in sorted(rows):
            groups[user, kind, bool(urgent)].append(pk)
        people = {user for user, _kind, _urgent in groups}
        wishes = wishes_of(people)
        held = {(each.user_id, each.slot): each for each in Bundle.objects.select_for_update().filter(user__in=people)}
        touched: dict[tuple[int, str], Bundle] = {}
        for (user, kind, urgent), ids in groups.items():
            slot = _slot(wishes[user], kind, now, urgent=urgent)
            bundle = held.get((user, slot))
            if bundle is None:
                bundle = held[user, slot] = Bundle(user_id=user, slot=slot)
            touched[user, slot] = bundle
            _add(bundle, kind, ids, len(ids))
            bundle.urgent |= urgent
            due = _due(bundle, wishes[user], now)
            bundle.due_at = due if bundle.due_at is None else min(bundle.due_at, due)
        _keep(touched.values())
    return len(rows)


def _slot(wishes: Wishes, kind: str, now: datetime, *, urgent: bool) -> str:
    mode = wishes.mail(kind)
    if urgent:
        return kind
    if mode == MailMode.DAILY:
        return DAILY
    if wishes.quiet_end(now):
        return QUIET
    return HOURLY if mode == MailMode.HOURLY else kind


def _add(bundle: Bundle, kind: str, ids: list[int], count: int) -> None:
    bundle.kinds[kind] = bundle.kinds.get(kind, 0) + count
    bundle.samples[kind] = [*bundle.samples.get(kind, []), *ids][-SAMPLES:]


def _due(bundle: Bundle, wishes: Wishes, now: datetime) -> datetime:
    if bundle.slot == HOURLY:
        return wishes.next_hour(now)
    if bundle.slot == DAILY:
        return wishes.next_day(now)
    if bundle.slot == QUIET:
        return wishes.quiet_end(now) or now
    window = URGENT_WINDOW if bundle.urgent else WINDOW
    if bundle.last_sent_at is None:
        return now + window
    longest = LONGEST_URGENT_GAP if bundle.urgent else LONGEST_GAP
    return max(now + window, bundle.last_sent_at + timedelta(seconds=min(bundle.gap, longest)))


def _keep(bundles) -> None:
    fields = ["kinds", "samples", "held", "urgent", "due_at", "last_sent_at", "gap"]
    every = list(bundles)
    Bundle.objects.bulk_create([each for each in every if each.pk is None])
    Bundle.objects.bulk_update([each for each in every if each.pk is not None], fields, batch_size=100)


def release(now: datetime | None = None) -> int:
    """Turn the bundles that are due into mails; how many mails."""
    now = now or timezone.now()
    due = list(Bundle.objects.filter(due_at__lte=now).values_list("user_id", flat=True).distinct())
    return sum(_release_of(user, now) for user in due)


def _release_of(pk: int, now: datetime) -> int:
    with transaction.atomic():
        bundles = list(Bundle.objects.select_for_update().filter(user=pk, due_at__lte=now))
        person = User.objects.get(pk=pk)
        wishes = wishes_of([pk]).get(pk, DEFAULT)
        digests = [each for each in bundles if each.slot.startswith("@")]
        singles = sorted(
            (each for each in bundles if not each.slot.startswith("@")), key=lambda each: (not each.urgent, each.due_at)
        )
        made, over = 0, []
        if person.is_active:
            allowed = max(settings.MAIL_PER_HOUR - _sent_last_hour(pk, now), 0)
            over = [(each.kinds, each.samples) for each in singles[allowed:]]
            for bundle in singles[:allowed]:
                made += _mail(person, [bundle], now)
            made += _mail(person, digests, now) if digests else 0
        for bundle in bundles:
            _empty(bundle, now)
        _keep(bundles)
        if over:
            _hold_back(pk, over, wishes, now)
    return made


def _sent_last_hour(pk: int, now: datetime) -> int:
    return Mail.objects.filter(user=pk, kind="notices", created_at__gt=now - timedelta(hours=1)).count()


def _hold_back(pk: int, over: list[tuple[dict[str, int], dict[str, list[int]]]], wishes: Wishes, now: datetime) -> None:
    """Put what is over the limit into the hourly digest, which says so."""
    digest = Bundle.objects.select_for_update().filter(user=pk, slot=HOURLY).first()
    digest = digest or Bundle(user_id=pk, slot=HOURLY)
    for kinds, samples in over:
        for kind, count in kinds.items():
            _add(digest, kind, samples.get(kind, []), count)
            digest.held += count
    digest.due_at = digest.due_at or wishes.next_hour(now)
    digest.save()


def _mail(person: User, bundles: list[Bundle], now: datetime) -> int:
    """Make the one mail of these bundles."""
    kinds: dict[str, int] = defaultdict(int)
    samples: dict[str, list[int]] = {}
    for bundle in bundles:
        for kind, count in bundle.kinds.items():
            kinds[kind] += count
            samples[kind] = [*samples.get(kind, []), *bundle.samples.get(kind, [])][-SAMPLES:]
    if not kinds:
        return 0
    notices = list(Notice.objects.filter(pk__in=[pk for ids in samples.values() for pk in ids]).order_by("-pk"))
    digest = bundles[0].slot.startswith("@")
    if digest:
        written = write_digest(person, kinds, notices, held=sum(each.held for each in bundles))
    else:
        written = write_notices(person, sum(kinds.values()), notices, bundles[0].slot)
    outbox.post(
        person.email,
        written.subject,
        written.text,
        written.html,
        user=person,
        kind="digest" if digest else "notices",
        notices=sum(kinds.values()),
        at=now,
    )
    return 1


def _empty(bundle: Bundle, now: datetime) -> None:
    """Begin anew after a mail; the next of the kind waits twice as long as this did, unless calm came between."""
    longest = LONGEST_URGENT_GAP if bundle.urgent else LONGEST_GAP
    calm = bundle.last_sent_at is None or now - bundle.last_sent_at > timedelta(seconds=2 * max(bundle.gap, 900))
    bundle.gap = FIRST_GAP if calm else min(max(bundle.gap, FIRST_GAP) * 2, longest)
    bundle.kinds, bundle.samples, bundle.held = {}, {}, 0
    bundle.urgent, bundle.due_at, bundle.last_sent_at = False, None, now
