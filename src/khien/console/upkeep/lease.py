"""One worker at a time, whatever the number of processes and machines: a row in the database says which.

All times are the database's own, so clocks of machines need not agree.
"""

from __future__ import annotations

import socket
import uuid
from datetime import timedelta
from os import getpid
from pathlib import Path

from django.db import transaction
from django.db.models import DateTimeField, DurationField, ExpressionWrapper, Q, Value
from django.db.models.functions import Now

from khien.console.upkeep.models import Lease

NAME = "worker"
LASTS = timedelta(seconds=60)


def holder() -> str:
    """A name for this process that no other ever has: machine, number, start and a random part."""
    return f"{_machine()} {getpid()} {_started(getpid())} {uuid.uuid4().hex[:12]}"


def acquire(me: str, *, lasts: timedelta = LASTS) -> bool:
    """Take the lease, or hold it for longer. True while it is ours.

    A lease whose process died on this machine is free at once; another is free when it has run out.
    """
    until = _now_plus(lasts)
    if Lease.objects.filter(name=NAME, holder=me, until__gt=Now()).update(until=until):
        return True
    with transaction.atomic():
        Lease.objects.bulk_create(
            [Lease(name=NAME, holder="", until=Now(), taken_at=Now())],  # type: ignore[misc]
            ignore_conflicts=True,
        )
        held = Lease.objects.select_for_update().get(name=NAME)
        free = Q(until__lte=Now()) | Q(holder__in=["", me])
        if _is_dead(held.holder):
            free |= Q(holder=held.holder)
        return bool(Lease.objects.filter(free, name=NAME).update(holder=me, until=until, taken_at=Now()))


def release(me: str) -> None:
    """Let another worker begin at once."""
    Lease.objects.filter(name=NAME, holder=me).update(holder="", until=Now())


def _now_plus(lasts: timedelta) -> ExpressionWrapper:
    return ExpressionWrapper(Now() + Value(lasts, output_field=DurationField()), output_field=DateTimeField())


def _machine() -> str:
    try:
        return Path("/etc/machine-id").read_text(encoding="ascii").strip() + "/" + socket.gethostname()
    except OSError:
        return socket.gethostname()


def _started(pid: int) -> str:
    """When a process started, in ticks since the machine did; "" where there is no such process."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in ("Z", "X") else fields[19]


def _is_dead(name: str) -> bool:
    parts = name.split(" ")
    if len(parts) != 4 or parts[0] != _machine() or not Path("/proc/self/stat").exists():
        return False
    return _started(int(parts[1])) != parts[2]
