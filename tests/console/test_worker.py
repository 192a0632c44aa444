"""The worker: chores at their intervals, one worker at a time, jobs that survive a crash."""

import threading
import time
from dataclasses import replace
from datetime import timedelta

import pytest
from django.db import OperationalError, connections
from django.utils import timezone
from django_tasks import task
from django_tasks_db.models import DBTaskResult

from khien.console import worker
from khien.console.chores import Chore, all_chores
from khien.console.upkeep import health, jobs, lease, running
from khien.console.upkeep.models import ChoreRun, Lease

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.alone]
DONE: list[str] = []


@task()
def say(word: str) -> str:
    DONE.append(word)
    return word


@task()
def break_down() -> None:
    raise ValueError("broken on purpose")


def _work(chores: list[Chore], seconds: float = 0.0, until=lambda: False, **options) -> bool:
    """Run a worker in this thread until `until()`, for at most 20 s."""
    end = time.monotonic() + (seconds or 20)
    return worker.run(lambda: until() or time.monotonic() > end, chores=chores, renews=0.2, **options)


def _in_thread(call) -> threading.Thread:
    def run() -> None:
        try:
            call()
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def test_chores_run_at_their_intervals_even_below_a_second_and_a_slow_one_holds_up_no_other():
    quick: list[float] = []
    slow: list[float] = []

    def crawl() -> None:
        slow.append(time.monotonic())
        time.sleep(1.5)

    chores = [
        Chore("test.quick", timedelta(milliseconds=100), lambda: quick.append(time.monotonic())),
        Chore("test.slow", timedelta(milliseconds=100), crawl),
    ]
    assert _work(chores, seconds=2.0)
    assert 10 <= len(quick) <= 22
    assert 1 <= len(slow) <= 2
    run = ChoreRun.objects.get(name="test.quick")
    assert run.runs == len(quick)
    assert run.failures == 0
    assert run.ended_at >= run.started_at


def test_a_chore_that_fails_waits_longer_each_time_is_written_down_and_the_others_go_on():
    tries: list[float] = []
    fine: list[int] = []

    def fail() -> None:
        tries.append(time.monotonic())
        raise RuntimeError("no connection to the lake")

    chores = [
        Chore("test.fails", timedelta(milliseconds=50), fail),
        Chore("test.fine", timedelta(milliseconds=50), lambda: fine.append(1)),
    ]
    _work(chores, seconds=3.6)
    assert 2 <= len(tries) <= 3  # at 0, 1 and 3 s
    assert len(fine) > 20
    run = ChoreRun.objects.get(name="test.fails")
    assert (run.failures, run.error) == (len(tries), "RuntimeError: no connection to the lake")
    worst = health.chores()[0]
    assert (worst.run.name, worst.problem) == ("test.fails", "failing")
    assert running.waits(0.05, 40, 300) == 300
    assert running.waits(3600, 5, 300) == 3600


def test_alerts_come_in_soon_after_an_error_that_lasted_long():
    feed = next(chore for chore in all_chores() if chore.name == "alerts.feed")
    tries: list[float] = []

    def fail() -> None:
        tries.append(time.monotonic())
        raise OperationalError("database is locked")

    thread = running.ChoreThread(replace(feed, run=fail), threading.Event())
    thread.record.failures = 500
    thread.start()
    time.sleep(4.5)
    thread.stopping.set()
    thread.thread.join()
    assert len(tries) == 2
    assert tries[1] - tries[0] < 4


def test_a_chore_not_run_for_long_is_late():
    ChoreRun.objects.create(name="test.late", every=1, ended_at=timezone.now() - timedelta(minutes=10))
    assert health.chores()[0].problem == "late"


def test_of_two_workers_one_works_and_the_other_follows_when_it_stops():
    first: list[float] = []
    second: list[float] = []
    ending = threading.Event()
    thread = _in_thread(
        lambda: worker.run(
            ending.is_set,
            chores=[Chore("test.a", timedelta(milliseconds=20), lambda: first.append(time.monotonic()))],
            renews=0.2,
        )
    )
    while not first:
        time.sleep(0.02)
    stopper = threading.Timer(1.0, ending.set)
    stopper.start()
    chore = Chore("test.a", timedelta(milliseconds=20), lambda: second.append(time.monotonic()))
    _work([chore], until=lambda: len(second) > 3)
    thread.join()
    assert second
    assert max(first) < min(second)


def test_a_worker_that_lost_its_lease_stops_working():
    ran: list[float] = []
    chore = Chore("test.lost", timedelta(milliseconds=20), lambda: ran.append(time.monotonic()))
    ending = threading.Event()
    thread = _in_thread(lambda: worker.run(ending.is_set, chores=[chore], renews=0.2))
    while not ran:
        time.sleep(0.02)
    Lease.objects.update(holder="another-machine 1 1 x", until=timezone.now() + timedelta(minutes=5))
    time.sleep(1.0)
    count = len(ran)
    time.sleep(0.5)
    assert len(ran) == count
    ending.set()
    thread.join()
    assert Lease.objects.get().holder == "another-machine 1 1 x"


def test_the_lease_of_a_process_that_died_on_this_machine_is_free_at_once():
    me = lease.holder()
    machine, pid, started, _ = me.split(" ")
    assert lease.acquire(f"{machine} {pid} {started} alive")
    assert not lease.acquire(me)
    Lease.objects.update(holder=f"{machine} 999999 12345 dead")
    assert lease.acquire(me)
    assert lease.acquire(me)
    lease.release(me)
    assert health.worker() is None


def test_a_lease_that_ran_out_is_free():
    assert lease.acquire("elsewhere 1 1 a", lasts=timedelta(seconds=-1))
    assert lease.acquire("elsewhere 2 2 b")
    assert health.worker().holder == "elsewhere 2 2 b"


def test_jobs_are_done_once_and_failures_are_kept():
    DONE.clear()
    for number in range(10):
        say.enqueue(f"word {number}")
    broken = break_down.enqueue()
    _work([], until=lambda: not DBTaskResult.objects.ready().exists() and not DBTaskResult.objects.running().exists())
    assert sorted(DONE) == [f"word {number}" for number in range(10)]
    kept = DBTaskResult.objects.get(id=broken.id)
    assert kept.status == "FAILED"
    assert "broken on purpose" in kept.traceback


def test_a_job_whose_worker_was_killed_is_done_by_the_next_and_a_poisonous_one_is_given_up():
    DONE.clear()
    left, poison = say.enqueue("left"), say.enqueue("poison")
    DBTaskResult.objects.filter(id=left.id).update(status="RUNNING", worker_ids=["gone"])
    DBTaskResult.objects.filter(id=poison.id).update(status="RUNNING", worker_ids=["gone"] * jobs.MOST_CLAIMS)
    _work([], until=lambda: DONE == ["left"] and not DBTaskResult.objects.running().exists())
    assert DONE == ["left"]
    assert DBTaskResult.objects.get(id=poison.id).status == "FAILED"


def test_old_results_are_forgotten():
    old = say.enqueue("old")
    DBTaskResult.objects.filter(id=old.id).update(status="SUCCESSFUL", finished_at=timezone.now() - timedelta(days=30))
    say.enqueue("new")
    jobs.forget_old()
    assert DBTaskResult.objects.count() == 1


def test_every_chore_of_the_console_has_a_name_of_its_own():
    names = [chore.name for chore in all_chores()]
    assert len(names) == len(set(names))
    assert all(chore.every > timedelta(0) for chore in all_chores())
