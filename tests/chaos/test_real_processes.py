"""Two hundred pushes by real workers, and what they stand on pulled away in the middle: all arrive,
none twice, and nobody has to lend a hand.

What was measured is printed; `pytest -s` shows it.
"""

import itertools
import os
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import psutil
import pytest
from flask import Flask
from redis import Redis

from tests.chaos.machine import Machine, Rush, Visitor, children_of, kill_9, running_machine
from tests.processes.conftest import eventually, is_alive
from webapp.extensions import limiter
from webapp.sandbox.server import RunningSandbox

pytestmark = [
    pytest.mark.long,
    pytest.mark.processes,
    pytest.mark.timeout(400),
    pytest.mark.xdist_group("real processes"),
]
# Where nobody waits for a dead worker's lease to end, a shorter one spares the test half a minute.
SHORT_LEASE = {
    "CALCOM_CALL_SECONDS": "4",
    "PUSH_BUDGET_SECONDS": "8",
    "PUSH_LEASE_SECONDS": "10",
}
A_BEGINNING = 40
# Within the ten seconds that a call may take, and long enough that a child which has just begun,
# is stopped, resumed and stopped again is still waiting for it.
LONG_ANSWER = 8.0
JUST_BEGUN = 3.0
_names = (f"rush-{number}" for number in itertools.count(1))


@pytest.fixture(scope="module")
def own_machine() -> Iterator[Machine]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lockstep chaos ")))
        yield stack.enter_context(running_machine(folder))


@pytest.fixture
def machine(own_machine: Machine) -> Iterator[Machine]:
    own_machine.postgres.start()
    own_machine.redis.start()
    yield own_machine
    own_machine.end_all()
    own_machine.postgres.start()
    # What a failed test left undone must not keep the next one's workers busy.
    own_machine.change("UPDATE companies SET paused_at = now(), paused_by = 'the end'")


@pytest.fixture
def application(machine: Machine) -> Iterator[Flask]:
    # The limiter is one for all apps of a process: the other tests' must not lose their Redis.
    before = dict(vars(limiter))
    app = machine.make_app()
    with app.app_context():
        yield app
    vars(limiter).update(before)


@pytest.fixture
def rush(machine: Machine, application: Flask, sandbox: RunningSandbox) -> Rush:
    return Rush(machine, sandbox, next(_names))


def start_workers(machine: Machine, **settings: str) -> list[psutil.Process]:
    workers = [machine.start("worker.py", **settings) for _ in range(2)]
    machine.start("worker.py", "scheduler", **settings)
    return workers


def tell(what: str) -> None:
    print(f"\n{what}")  # noqa: T201 - a figure for whoever asked for it


def stop_in_the_middle(rush: Rush, workers: list[psutil.Process]) -> list[psutil.Process]:
    """Suspend all workers while each has begun a push; returns the children, suspended too."""
    for _ in range(200):
        for worker in workers:
            worker.suspend()
        children = children_of(*workers)
        for child in children:
            with suppress(psutil.NoSuchProcess):
                child.suspend()
        if len(children) == len(workers) == rush.in_flight() == rush.begun_within(JUST_BEGUN):
            return children
        for process in [*workers, *children]:
            with suppress(psutil.NoSuchProcess):
                process.resume()
        time.sleep(0.05)
    raise AssertionError("the workers never carried a push both at once")


@pytest.mark.parametrize("child", ["dies too", "lives on", "sleeps beyond its lease"])
def test_a_worker_killed_in_the_middle_of_two_hundred_pushes(
    machine: Machine, rush: Rush, child: str
) -> None:
    workers = start_workers(machine)
    rush.begin()
    rush.wait_until_done(A_BEGINNING)
    rush.desk.cal.fail({"kind": "latency", "seconds": LONG_ANSWER, "operation": "bookings.create"})
    # What was already with Cal.com is answered at once, and would be over when it is resumed.
    time.sleep(1.5)
    [its_child, other_child] = stop_in_the_middle(rush, workers)
    held = rush.ids_in_flight()
    if child != "dies too":
        # Before its parent dies: Linux sends SIGHUP to what is left suspended.
        its_child.resume()
    kill_9(workers[0])
    killed_at = time.monotonic()
    if child == "sleeps beyond its lease":
        # A zombie isn't enough: its other threads may still be ending, and SIGHUP comes with the
        # last of them.
        assert eventually(lambda: its_child.ppid() != workers[0].pid, 5)
        its_child.suspend()
        assert eventually(lambda: its_child.status() == psutil.STATUS_STOPPED, 5)
    elif child == "dies too":
        kill_9(its_child)
    rush.desk.cal.heal()
    other_child.resume()
    workers[1].resume()

    rush.wait(lambda: rush.held_longest(held) == 0, 60)
    recovery = time.monotonic() - killed_at
    rush.wait_until_done()
    tell(f"child {child}: taken over after {recovery:.1f} s, all of them after {total(rush)}")

    if child == "sleeps beyond its lease":
        its_child.resume()
    assert eventually(lambda: not is_alive(its_child), 30)
    rush.assert_each_arrived_once()
    assert rush.lost_leases() == (0 if child == "lives on" else 1)
    assert recovery < 60


def total(rush: Rush) -> str:
    return f"{time.monotonic() - rush.began:.0f} s"


def test_redis_flushed_in_the_middle(machine: Machine, rush: Rush, application: Flask) -> None:
    workers = start_workers(machine, **SHORT_LEASE)
    rush.begin()
    rush.wait_until_done(A_BEGINNING)

    flush(machine)

    rush.wait_until_done()
    tell(f"flushed: all after {total(rush)}")
    rush.assert_each_arrived_once()
    assert all(map(is_alive, workers))
    assert_periodic_checks_go_on(machine, rush)


@pytest.mark.parametrize("how", ["stopped", "frozen"])
def test_redis_away_in_the_middle_while_somebody_looks_at_pages(
    machine: Machine, rush: Rush, how: str
) -> None:
    workers = start_workers(machine, **SHORT_LEASE)
    visitor = Visitor(machine, rush.person)
    rush.begin()
    rush.wait_until_done(A_BEGINNING)
    assert visitor.look() == 200

    away = psutil.Process(machine.redis.pid)
    machine.redis.stop() if how == "stopped" else away.suspend()
    seen = look_around(visitor, seconds=8)
    machine.redis.start() if how == "stopped" else away.resume()
    seen |= look_around(visitor, seconds=4)

    rush.wait_until_done()
    tell(f"{how}: slowest page {visitor.slowest:.2f} s, all after {total(rush)}")
    rush.assert_each_arrived_once()
    assert seen == {200}
    assert visitor.slowest < 1.0
    assert all(map(is_alive, workers))
    assert_periodic_checks_go_on(machine, rush)


def test_postgresql_restarted_in_the_middle(machine: Machine, rush: Rush) -> None:
    workers = start_workers(machine, **SHORT_LEASE)
    visitor = Visitor(machine, rush.person)
    rush.begin()
    rush.wait_until_done(A_BEGINNING)

    machine.postgres.stop()
    time.sleep(3)
    machine.postgres.start()

    rush.wait_until_done()
    tell(f"PostgreSQL restarted: all after {total(rush)}")
    rush.assert_each_arrived_once()
    assert all(map(is_alive, workers))
    assert visitor.look() == 200
    assert_periodic_checks_go_on(machine, rush)


def test_a_worker_told_to_stop_while_redis_is_away_stops(machine: Machine) -> None:
    [worker, _] = start_workers(machine)
    assert eventually(lambda: "worker.py" in " ".join(worker.cmdline()), 20)
    time.sleep(3)
    machine.redis.stop()
    time.sleep(3)

    os.kill(worker.pid, signal.SIGTERM)

    assert eventually(lambda: not is_alive(worker), 15)


def look_around(visitor: Visitor, seconds: float) -> set[int]:
    """Pages asked for one after another, as statuses."""
    ends = time.monotonic() + seconds
    seen = set()
    for path in itertools.cycle(["/", "/appointments", "/reviews", "/notifications"]):
        if time.monotonic() > ends:
            return seen
        seen.add(visitor.look(path))
        time.sleep(0.1)
    return seen


def flush(machine: Machine) -> None:
    with Redis.from_url(machine.redis.url) as connection:
        connection.flushall()


def assert_periodic_checks_go_on(machine: Machine, rush: Rush) -> None:
    """The slot that is forgotten here is taken again by the next tick."""
    taken = "SELECT count(*) FROM periodic_slots WHERE company_id = %s"
    forget = "WITH gone AS (DELETE FROM periodic_slots WHERE company_id = %s RETURNING 1)"
    machine.ask(f"{forget} SELECT count(*) FROM gone", rush.company_id)
    rush.wait(lambda: machine.ask(taken, rush.company_id)[0] > 0, 60)
