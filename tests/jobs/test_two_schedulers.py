"""Two schedulers and three workers as real processes, with short periods, one scheduler and one
worker killed half way: each slot runs once, none is missed."""

import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from flask import Flask
from redis import Redis
from sqlalchemy import select

from tests.desk import Desk
from tests.filled import fill_calendar
from webapp import clock
from webapp.extensions import db
from webapp.insight.workers import living_workers, silent_workers
from webapp.models.run import PeriodicSlot, Run
from webapp.models.tenancy import as_company
from webapp.sandbox.server import RunningSandbox
from webapp.settings import Settings

ROOT = Path(__file__).parents[2]
SECONDS = 120
DELTA = timedelta(seconds=20)
VERIFICATION = timedelta(seconds=40)


@pytest.mark.long
@pytest.mark.processes
@pytest.mark.timeout(240)
def test_two_schedulers_and_three_workers_begin_each_slot_once(
    engine: Flask, settings: Settings, redis: Redis, sandbox: RunningSandbox
) -> None:
    desk = Desk(sandbox)
    fill_calendar(desk.company, desk.cal, 40)
    roles = [["scheduler"], ["scheduler"], [], [], []]
    ends = time.monotonic() + SECONDS

    with running(roles, settings) as processes:
        time.sleep(SECONDS / 2)
        processes[0].kill()
        processes[2].kill()
        while time.monotonic() < ends:
            assert all(each.poll() is None for each in processes[3:]), "a worker gave up"
            time.sleep(1)
        assert_signs_of_life(processes)

    assert living_workers(db.session(), clock.now()) == [], "a clean end leaves no sign"
    db.session.remove()
    assert_each_slot_once(desk, "delta", DELTA)
    assert_each_slot_once(desk, "verification", VERIFICATION)
    with as_company(desk.company.id):
        runs = db.session.scalars(select(Run).order_by(Run.id)).all()
        assert {run.error_code for run in runs} == {None}
        assert Counter(run.status.value for run in runs)["running"] <= 1


def assert_signs_of_life(processes: list["subprocess.Popen[bytes]"]) -> None:
    """The killed are missed, the others live, and one scheduler leads."""
    living, silent = (
        list(read(db.session(), clock.now())) for read in (living_workers, silent_workers)
    )
    assert {each.pid for each in living} == {processes[n].pid for n in (1, 3, 4)}
    assert {each.pid for each in silent} == {processes[n].pid for n in (0, 2)}
    assert [each.pid for each in living if each.is_leader] == [processes[1].pid]
    db.session.remove()


def assert_each_slot_once(desk: Desk, task: str, length: timedelta) -> None:
    """From the first to the last begun, one after the other."""
    scope = {"delta": "delta", "verification": "scheduled"}[task]
    with as_company(desk.company.id):
        taken = db.session.scalars(
            select(PeriodicSlot.slot).where(PeriodicSlot.task == task).order_by(PeriodicSlot.slot)
        ).all()
        ran = db.session.scalars(select(Run.slot).where(Run.scope == scope)).all()
    assert sorted(slot or "" for slot in ran) == list(taken)
    begun = [datetime.fromisoformat(slot) for slot in taken]
    assert [later - earlier for earlier, later in pairwise(begun)] == ([length] * (len(begun) - 1))
    assert len(begun) >= SECONDS // length.seconds - 1


@contextmanager
def running(
    roles: list[list[str]], settings: Settings
) -> Iterator[list["subprocess.Popen[bytes]"]]:
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": os.environ.get("HOME", "/"),
        "PYTHONPATH": str(ROOT),
        "DATABASE_URL": settings.database_url,
        "REDIS_URL": settings.redis_url,
        "SECRET_KEY": settings.secret_key,
        "ENCRYPTION_KEYS": settings.encryption_keys,
        "ALLOW_PRIVATE_NETWORKS": "true",
        "LOG_LEVEL": "WARNING",
        "TICK_SECONDS": "1",
        "SWEEP_HOUR": "0",
        "DELTA_INTERVAL_MINUTES": str(DELTA.total_seconds() / 60),
        "VERIFICATION_INTERVAL_HOURS": str(VERIFICATION.total_seconds() / 3600),
    }
    started = [
        subprocess.Popen(
            [sys.executable, "worker.py", *role], env=environment, cwd=ROOT, start_new_session=True
        )
        for role in roles
    ]
    try:
        yield started
    finally:
        for process in started:
            process.terminate()
        for process in started:
            process.wait(20)
