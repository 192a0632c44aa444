"""What a filter asks for, with names looked up: conditions on the columns of alerts, within what a person may see."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from django.db import connection
from django.db.models import Model, Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from khien.console.accounts.models import User
from khien.console.alerts.language import Query, Term
from khien.console.alerts.models import Level, SeenRule, Status, Verdict
from khien.console.incidents.models import Incident
from khien.console.systems.models import InformationSystem
from khien.console.units.folding import saying
from khien.console.units.models import Unit
from khien.console.units.naming import fold
from khien.console.units.scoping import scope_ids

STATUSES = {"new": Status.NEW, "in_progress": Status.IN_PROGRESS, "closed": Status.CLOSED}
OPEN = frozenset((Status.NEW, Status.IN_PROGRESS))
VERDICTS = {"none": "", **{value: value for value in Verdict.values if value}}
MOST_RULES = 2_000
MOST_NAMES = 300
NOTHING: frozenset[Any] = frozenset()
M = TypeVar("M", bound=Model)
_SPAN = re.compile(r"(\d{1,5})(m|h|d|w)")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_KINDS = ("host", "user", "ip", "domain", "hash")


@dataclass(frozen=True, slots=True)
class Criteria:
    """Conditions that all hold. `among`: column to the values it may have, `without`: those it may not; None is null.

    `since` (included) and `until` (not included) are of the last finding. `prefix`: how the entity begins.
    `upto`: no alert beyond this id, so that what arrives later is not meant. `texts`: to be found in the content.
    """

    among: dict[str, frozenset[Any]] = field(default_factory=dict)
    without: tuple[tuple[str, frozenset[Any]], ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    prefix: str = ""
    upto: int | None = None
    texts: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether nothing can match."""
        return any(not values for values in self.among.values())

    def within(self, column: str, values: Iterable[Any]) -> Criteria:
        """With a column's values narrowed."""
        values = frozenset(values)
        known = self.among.get(column)
        return replace(self, among={**self.among, column: values if known is None else known & values})

    def matches(self, row: dict[str, Any]) -> bool:
        """Whether a row of columns fits; the texts are not looked at."""
        if any(row[column] not in values for column, values in self.among.items()):
            return False
        if any(row[column] in values for column, values in self.without):
            return False
        if self.prefix and not row["entity_value"].startswith(self.prefix):
            return False
        return (self.since is None or row["last_at"] >= self.since) and (
            self.until is None or row["last_at"] < self.until
        )


def seen_by(user: User) -> Criteria:
    """Every alert a person may see."""
    ids = scope_ids(user)
    return Criteria() if ids is None else Criteria({"unit_id": frozenset(ids)})


def criteria(query: Query, user: User, *, now: datetime | None = None) -> Criteria:
    """What a filter asks for, within what a person may see. Raises FilterError for what there is not."""
    found = seen_by(user)
    for term in query.terms:
        found = _READERS[term.key](found, term, user, now or timezone.now())
    return replace(found, texts=query.texts)


def _narrow(found: Criteria, term: Term, column: str, values: Iterable[Any]) -> Criteria:
    values = frozenset(values)
    if term.negated:
        return replace(found, without=(*found.without, (column, values)))
    return found.within(column, values)


def _chosen(column: str, words: dict[str, Any]) -> Callable[[Criteria, Term, User, datetime], Criteria]:
    def read(found: Criteria, term: Term, user: User, now: datetime) -> Criteria:
        for value in term.values:
            if value.lower() not in words:
                raise term.error(
                    _("“%(value)s” is no %(key)s. There are: %(words)s.")
                    % {"value": value, "key": term.key, "words": ", ".join(words)}
                )
        return _narrow(found, term, column, (words[value.lower()] for value in term.values))

    return read


def _called(rows: QuerySet[M], value: str, *names: str) -> list[M]:
    """The rows (at most 50) one of whose fields is the value, marks and case aside."""
    wanted = fold(value)
    return [row for row in rows.filter(saying(value)) if wanted in {fold(getattr(row, name)) for name in names}][:50]


def _unit(found: Criteria, term: Term, user: User, now: datetime) -> Criteria:
    """A unit with those below it, after `=` the unit alone; by code, name or short name."""
    ids: set[int | None] = set()
    for value in term.values:
        if value.lower() == "none":
            ids.add(None)
            continue
        alone, value = value.startswith("="), value.removeprefix("=")
        units = _called(Unit.objects.visible_to(user), value, "code", "name", "short_name")
        if not units:
            raise term.error(_("There is no unit “%(value)s”.") % {"value": value})
        for unit in units:
            if alone:
                ids.add(unit.pk)
                continue
            ids.update(Unit.objects.visible_to(user).filter(path__startswith=unit.path).values_list("id", flat=True))
    return _narrow(found, term, "unit_id", ids)


def _system(found: Criteria, term: Term, user: User, now: datetime) -> Criteria:
    ids: set[int | None] = set()
    for value in term.values:
        if value.lower() == "none":
            ids.add(None)
            continue
        known = _called(InformationSystem.objects.visible_to(user), value, "code", "name")
        if not known:
            raise term.error(_("There is no system “%(value)s”.") % {"value": value})
        ids.update(each.pk for each in known)
    return _narrow(found, term, "system_id", ids)


def _owner(found: Criteria, term: Term, user: User, now: datetime) -> Criteria:
    ids: set[int | None] = set()
    for value in term.values:
        if value.lower() in ("me", "none"):
            ids.add(user.pk if value.lower() == "me" else None)
            continue
        people = _called(User.objects.visible_to(user), value, "email", "name")
        if not people:
            raise term.error(_("There is nobody “%(value)s”; write me, none, a name or an e-mail.") % {"value": value})
        ids.update(each.pk for each in people)
    return _narrow(found, term, "owner_id", ids)


def _incident(found: Criteria, term: Term, user: User, now: datetime) -> Criteria:
    ids: set[int | None] = set()
    for value in term.values:
        if value.lower() == "any":
            return _narrow(found, replace(term, negated=not term.negated), "incident_id", [None])
        if value.lower() == "none":
            ids.add(None)
            continue
        known = Incident.objects.visible_to(user).filter(number__iexact=value).values_list("id", flat=True)[:1]
        if not known:
            raise term.error(_("There is no incident “%(value)s”; write its number, any or none.") % {"value": value})
        ids.update(known)
    return _narrow(found, term, "incident_id", ids)


def _rule(found: Criteria, term: Term, user: User, now: datetime) -> Criteria:
    """By the rule's id, or by a part of its title, marks and case aside."""
    ids: set[str] = set()
    for value in term.values:
        known = SeenRule.objects.filter(Q(rule_id=value) | Q(folded__contains=fold(value)))
        ids.add(value)
        ids.update(known.values_list("rule_id", flat=True)[:MOST_RULES])
    return _narrow(found, term, "rule_id", ids)


def _tag(found: Criteria, term: Term, user: User, now: datetime) -> Criteria:
    """By a tag of the rule: `attack.t1003.001`, or short `t1003` with what lies below it."""
    wanted = [value.lower().removeprefix("attack.") for value in term.values]
    ids = set()
    for rule_id, tags in SeenRule.objects.values_list("rule_id", "tags"):
        short = [tag.lower().removeprefix("attack.") for tag in tags]
        if any(tag == want or tag.startswith(f"{want}.") for tag in short for want in wanted):
            ids.add(rule_id)
    return _narrow(found, term, "rule_id", ids)


def _entity(kind: str) -> Callable[[Criteria, Term, User, datetime], Criteria]:
    def read(found: Criteria, term: Term, user: User, now: datetime) -> Criteria:
        values = [value.lower() for value in term.values]
        if any(value.endswith("*") for value in values):
            if len(values) > 1 or term.negated or found.prefix:
                raise term.error(_("Only one name with * can be asked for at once."))
            prefix = values[0].rstrip("*")
            known = entities_beginning(prefix)
            # Few names are looked up one by one; many are compared.
            found = replace(found, prefix=prefix) if known is None else found.within("entity_value", known)
        else:
            found = _narrow(found, term, "entity_value", values)
        return found if kind == "" or term.negated else found.within("entity_kind", [kind])

    return read


def entities_beginning(prefix: str) -> list[str] | None:
    """The names of entities that begin so, each found in one step of the index; None when they are too many."""
    if connection.vendor == "sqlite":
        first = "SELECT min(entity_value) FROM alerts_alert WHERE entity_value >= %s AND entity_value < %s"
        after = "SELECT min(entity_value) FROM alerts_alert WHERE entity_value > name AND entity_value < %s"
        end = prefix + "\U0010ffff"
        values = [prefix, end, end]
    else:
        one = (
            "SELECT entity_value FROM alerts_alert WHERE entity_value LIKE %s{} ORDER BY entity_value USING ~<~ LIMIT 1"
        )
        first, after = one.format(""), one.format(" AND entity_value ~>~ name")
        like = prefix.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
        values = [like, like]
    sql = (
        f"WITH RECURSIVE names(name) AS (SELECT ({first}) UNION ALL SELECT ({after}) FROM names WHERE name IS NOT NULL)"  # noqa: S608
        " SELECT name FROM names WHERE name IS NOT NULL LIMIT %s"
    )
    with connection.cursor() as cursor:
        cursor.execute(sql, [*values, MOST_NAMES + 1])
        found = [row[0] for row in cursor.fetchall()]
    return found if len(found) <= MOST_NAMES else None


def _class(found: Criteria, term: Term, user: User, now: datetime) -> Criteria:
    return _narrow(found, term, "classification", ("" if value == "none" else value for value in term.values))


def _made(found: Criteria, term: Term, user: User, now: datetime) -> Criteria:
    if term.values != ("hand",):
        raise term.error(_("“made:” knows only “hand”: alerts made by people."))
    return _narrow(found, replace(term, negated=not term.negated), "made_by_id", [None])


def _time(found: Criteria, term: Term, user: User, now: datetime) -> Criteria:
    if len(term.values) != 1 or term.negated:
        raise term.error(_("A time is asked for once, without “-”."))
    at = moment(term.values[0], now)
    if at is None:
        raise term.error(
            _("“%(value)s” is no time. Write 24h, 7d, 2026-11-24 or 2026-11-24T09:41.") % {"value": term.values[0]}
        )
    if term.key == "since":
        return replace(found, since=at if found.since is None else max(at, found.since))
    return replace(found, until=at if found.until is None else min(at, found.until))


def moment(text: str, now: datetime) -> datetime | None:
    """A time as it is written: so long ago (24h), a day or a minute in local time, or with an offset. None: no time."""
    if span := _SPAN.fullmatch(text.lower()):
        try:
            return now - timedelta(**{_UNITS[span[2]]: int(span[1])})
        except OverflowError:
            return None
    for form in ("%d/%m/%Y", "%d/%m/%YT%H:%M"):
        try:
            return timezone.make_aware(datetime.strptime(text, form))
        except ValueError:
            continue
    try:
        at = datetime.fromisoformat(text)
        at = timezone.make_aware(at) if timezone.is_naive(at) else at
        return at.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


_READERS: dict[str, Callable[[Criteria, Term, User, datetime], Criteria]] = {
    "level": _chosen("level", {level.word: level.value for level in reversed(Level)}),
    "status": _chosen("status", {word: status.value for word, status in STATUSES.items()}),
    "verdict": _chosen("verdict", VERDICTS),
    "unit": _unit,
    "system": _system,
    "owner": _owner,
    "incident": _incident,
    "rule": _rule,
    "tag": _tag,
    "technique": _tag,
    "entity": _entity(""),
    **{kind: _entity(kind) for kind in _KINDS},
    "class": _class,
    "made": _made,
    "since": _time,
    "until": _time,
}
