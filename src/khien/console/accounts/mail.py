"""Mails about accounts: in the person's language, sent aside, so that no answer waits for the mail server or tells
by its length whether there is such an account."""

from __future__ import annotations

import logging
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from django.conf import settings
from django.core.mail import EmailMessage
from django.template.loader import render_to_string
from django.utils import translation

from khien.console.accounts.models import User

PREFIX = "[Khiên] "
_log = logging.getLogger("khien.accounts")
_sender = ThreadPoolExecutor(2, thread_name_prefix="account-mail")
_last: list[Future[None]] = []


def send(person: User | str, template: str, context: dict[str, Any], *, language: str = "") -> None:
    """Render `accounts/mail/<template>.txt`, whose first line is the subject, and send it."""
    if isinstance(person, User):
        language, address, name = person.language, person.email, person.name
    else:
        address, name = person, ""
    with translation.override(language or settings.LANGUAGE_CODE):
        text = render_to_string(
            f"accounts/mail/{template}.txt", {"name": name, "address": settings.ADDRESS, **context}
        ).strip()
    subject, _newline, body = text.partition("\n")
    dispatch(EmailMessage(PREFIX + " ".join(subject.split()), body.strip() + "\n", to=[address]))


def dispatch(message: EmailMessage) -> None:
    """Send a message aside; what goes wrong is logged, the person asks again."""
    _last[:] = [each for each in _last if not each.done()]
    _last.append(_sender.submit(_send, message))


def wait() -> None:
    """Until all that was dispatched is sent; for tests and the end of a process."""
    for each in _last[:]:
        each.result(timeout=30)


def _send(message: EmailMessage) -> None:
    try:
        message.send()
    except Exception:
        _log.exception("mail about an account could not be sent")
