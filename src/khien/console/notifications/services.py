"""Telling people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from khien.console.accounts.models import User
from khien.console.notifications.models import Notice


def notify(
    people: Iterable[User],
    kind: str,
    text: str,
    params: Mapping[str, str] | None = None,
    *,
    url: str = "",
    urgent: bool = False,
) -> None:
    """Tell people something, each once, in the transaction of what happened.

    `kind`: `thing.event`, what settings go by. `text`: a message id marked with `gettext_noop`, with
    `%(name)s` for each of `params`; it is translated for each reader. `urgent`: not held back by quiet hours.
    """
    chosen = {person.pk: person for person in people if person.is_active}
    Notice.objects.bulk_create(
        Notice(user=person, kind=kind, text=text, params=dict(params or {}), url=url, urgent=urgent)
        for person in chosen.values()
    )
