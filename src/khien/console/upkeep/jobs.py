"""Jobs that pages leave for later: `django_tasks`' own table, worked through by the worker's threads.

A job that a worker did not end, since it was killed or its machine died, is done again by the next worker:
a job must bear being done twice. One that ended several workers is given up as failed.
"""

from __future__ import annotations

from datetime import timedelta

import structlog
from django.db import transaction
from django.utils import timezone
from django_tasks_db.management.commands.db_worker import Worker
from django_tasks_db.models import DBTaskResult
from django_tasks_db.utils import exclusive_transaction

BACKEND = "default"
MOST_CLAIMS = 5
KEPT = timedelta(days=14)
_log = structlog.get_logger()


def recover() -> int:
    """Put back the jobs of workers that are no more; only who holds the lease may. How many there were."""
    count = 0
    with transaction.atomic():
        for job in DBTaskResult.objects.running().filter(backend_name=BACKEND).select_for_update():
            count += 1
            if len(job.worker_ids) >= MOST_CLAIMS:
                job.set_failed(RuntimeError(f"{len(job.worker_ids)} workers ended while they did this job"))
                _log.error("job given up", job=str(job.id), task=job.task_path)
            else:
                job.status = "READY"
                job.save(update_fields=["status"])
    return count


def work(worker_id: str) -> bool:
    """Do the next job that is ready; False where there is none. What a job raises is kept with it and logged."""
    ready = DBTaskResult.objects.ready().filter(backend_name=BACKEND)
    if not ready.exists():  # no write lock while there is nothing to do
        return False
    with exclusive_transaction(ready.db):
        job = ready.get_locked()
        if job is None:
            return False
        job.claim(worker_id)
    Worker(
        queue_names=["*"],
        interval=0,
        batch=True,
        backend_name=BACKEND,
        startup_delay=False,
        max_tasks=None,
        worker_id=worker_id,
        excluded_queue_names=[],
    ).run_task(job)
    if job.status == "FAILED":
        _log.error("job failed", job=str(job.id), task=job.task_path, error=job.exception_class_path)
    return True


def forget_old() -> int:
    """Delete the results of jobs that ended long ago."""
    old = timezone.now() - KEPT
    return DBTaskResult.objects.finished().filter(finished_at__lt=old).delete()[0]
