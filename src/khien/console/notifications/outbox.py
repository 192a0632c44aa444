"""Mails on their way: kept in the database until the mail server has them, tried again when it does not take them.

A mail is sent once, and a second time only when the process died between the server's word and ours; its
Message-ID is then the same. What is in a mail is forgotten once it is sent.
"""

from __future__ import annotations

import contextlib
import re
import smtplib
from collections.abc import Sequence
from datetime import datetime, timedelta
from email.utils import format_datetime, make_msgid, parseaddr
from typing import Any

import structlog
from django.conf import settings
from django.core.mail import EmailMultiAlternatives, get_connection
from django.core.mail.backends.base import BaseEmailBackend
from django.core.mail.message import EmailMessage
from django.utils import timezone

from khien.console.accounts.models import User
from khien.console.notifications.models import Mail, MailState

MOST_TRIES = 80
"""Over three days, with waits of up to an hour between them."""
LONGEST_WAIT = timedelta(hours=1)
_PORTION = 100
_SPACE = re.compile(r"[\s\x00-\x1f\x7f\u202a-\u202e\u2066-\u2069]+")
_log = structlog.get_logger()


class Backend(BaseEmailBackend):
    """Django's way of sending mail, such as the accounts' own: into the outbox, in the transaction at hand."""

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        """Put messages in the outbox, one mail a recipient. Raises ValueError for attachments: it keeps none."""
        count = 0
        for message in email_messages:
            if message.attachments:
                raise ValueError("mails of the console carry no attachments")
            html = next((each[0] for each in getattr(message, "alternatives", []) if each[1] == "text/html"), "")
            sender = "" if message.from_email == settings.DEFAULT_FROM_EMAIL else message.from_email
            for to in message.recipients():
                post(to, message.subject, str(message.body), str(html), kind="account", sender=sender)
            count += 1
        return count


def post(
    to: str,
    subject: str,
    text: str,
    html: str = "",
    *,
    user: User | None = None,
    kind: str = "",
    notices: int = 0,
    sender: str = "",
    at: datetime | None = None,
) -> Mail:
    """Put a mail in the outbox. A subject is one line, whatever it was made of."""
    if user is None:
        user = User.objects.filter(email=parseaddr(to)[1].lower()).first()
    domain = parseaddr(settings.DEFAULT_FROM_EMAIL)[1].rpartition("@")[2] or "localhost"
    return Mail.objects.create(
        user=user,
        to=to[:320],
        sender=sender,
        subject=one_line(subject)[:300],
        text=text,
        html=html,
        kind=kind,
        notices=notices,
        message_id=make_msgid(domain=domain),
        created_at=at or timezone.now(),
    )


def one_line(text: str) -> str:
    """Text without line ends, control and direction-changing characters."""
    return _SPACE.sub(" ", text).strip()


def recover() -> int:
    """Put back what a worker that died was sending."""
    left = Mail.objects.filter(state=MailState.SENDING)
    return left.update(state=MailState.WAITING) if left.exists() else 0


def send_waiting() -> int:
    """Send what is due, over one connection; how many. Only the worker that holds the lease calls it."""
    recover()
    sent = 0
    while portion := list(_due(timezone.now())):
        connection = get_connection(settings.MAIL_TRANSPORT)
        try:
            connection.open()
        except (OSError, smtplib.SMTPException) as error:
            # The server is out of reach: one mail tells of it and waits, the others do not even try.
            _tried(portion[0], _reason(error), final=False)
            _log.warning("mail server out of reach", error=_reason(error))
            return sent
        try:
            for mail in portion:
                going = _send(connection, mail)
                sent += mail.state == MailState.SENT
                if not going:
                    return sent
        finally:
            with contextlib.suppress(OSError, smtplib.SMTPException):
                connection.close()
    return sent


def _due(now: datetime):
    return Mail.objects.filter(state=MailState.WAITING, next_try_at__lte=now).order_by("next_try_at", "pk")[:_PORTION]


def _send(connection: Any, mail: Mail) -> bool:
    """Send one; False when the connection is no good any more."""
    mail.state = MailState.SENDING
    mail.save(update_fields=["state"])
    message = EmailMultiAlternatives(
        mail.subject,
        mail.text,
        mail.sender or settings.DEFAULT_FROM_EMAIL,
        [mail.to],
        connection=connection,
        headers={
            "Message-ID": mail.message_id,
            "Date": format_date(mail.created_at),
            "Auto-Submitted": "auto-generated",
            "X-Auto-Response-Suppress": "All",
        },
    )
    if mail.html:
        message.attach_alternative(mail.html, "text/html")
    try:
        connection.send_messages([message])
    except smtplib.SMTPRecipientsRefused as error:
        code, answer = next(iter(error.recipients.values()), (550, b""))
        _tried(mail, _answer(code, answer), final=code >= 500)
        return True
    except smtplib.SMTPResponseException as error:
        # 5xx to one message is about that message; to signing in, it is about us and all would fail.
        about_us = isinstance(error, smtplib.SMTPAuthenticationError) or error.smtp_code == 421
        _tried(mail, _answer(error.smtp_code, error.smtp_error), final=error.smtp_code >= 500 and not about_us)
        return not about_us
    except (OSError, smtplib.SMTPException) as error:
        _tried(mail, _reason(error), final=False)
        return False
    except (ValueError, UnicodeError) as error:  # an address or header that cannot be written
        _tried(mail, _reason(error), final=True)
        return True
    mail.state, mail.sent_at, mail.error = MailState.SENT, timezone.now(), ""
    mail.tries += 1
    mail.text = mail.html = ""
    mail.save(update_fields=["state", "sent_at", "error", "tries", "text", "html"])
    return True


def _tried(mail: Mail, reason: str, *, final: bool) -> None:
    now = timezone.now()
    mail.tries += 1
    mail.error = reason[:500]
    if final or mail.tries >= MOST_TRIES:
        mail.state = MailState.FAILED
        _log.error("mail given up", mail=mail.pk, tries=mail.tries, error=mail.error)
    else:
        mail.state = MailState.WAITING
        mail.next_try_at = now + min(timedelta(minutes=2 ** min(mail.tries - 1, 10)) / 2, LONGEST_WAIT)
    mail.save(update_fields=["tries", "error", "state", "next_try_at"])


def format_date(value: datetime) -> str:
    """A time as mail headers have it."""
    return format_datetime(timezone.localtime(value))


def _answer(code: int, answer: bytes | str) -> str:
    text = answer.decode("utf-8", "replace") if isinstance(answer, bytes) else str(answer)
    return one_line(f"{code} {text}")


def _reason(error: Exception) -> str:
    return one_line(f"{type(error).__name__}: {error}")
