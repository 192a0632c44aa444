"""An exception that remembers what it would have silenced when it was made."""

from __future__ import annotations

from datetime import datetime

from khien.console.accounts.models import User
from khien.console.alerts.exception_drafts import check
from khien.console.alerts.exception_preview import preview_alerts
from khien.console.alerts.exceptions import demand_exceptions, make_exception
from khien.console.alerts.models import Alert, RuleException
from khien.console.alerts.rule_index import KnownRule, rule_index


def make_previewed(
    by: User,
    *,
    alert: Alert,
    known: KnownRule,
    title: str,
    text: str,
    reason: str,
    owner: User,
    expires_at: datetime,
) -> RuleException:
    """Make an exception from an alert, with its preview over the alerts kept here.

    Raises exception_drafts.Unusable, ValidationError.
    """
    demand_exceptions(by)
    text = text.replace("\r\n", "\n")
    found = preview_alerts(by, check(text, known, rule_index()), known)
    return make_exception(
        by,
        alert=alert,
        known=known,
        index=rule_index(),
        title=title,
        text=text,
        reason=reason,
        owner=owner,
        expires_at=expires_at,
        preview={"silenced": found.silenced, "partly": found.partly, "of": found.looked, "there": found.there},
    )
