"""A list of the console that is as long as a test wants."""

from __future__ import annotations

from khien.console.notifications.models import Mail, MailState

LONG = "/notifications/deliveries?export=csv"


def write_mails(count: int) -> None:
    """So many mails in the delivery log."""
    Mail.objects.bulk_create(
        [
            Mail(to=f"p{number}@example.vn", subject=f"Thư {number}", message_id=f"<{number}@x>", state=MailState.SENT)
            for number in range(count)
        ],
        batch_size=2_000,
    )
