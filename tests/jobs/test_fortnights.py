"""A fortnight over each change of the clocks: ticks come twice, some never, runs are still running
when a slot begins; and each slot runs once, none is missed."""

import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from flask import Flask
from sqlalchemy import select

from tests.factories import Tenant, make_appointment, make_company
from webapp import clock
from webapp.extensions import db
from webapp.jobs import schedule
from webapp.models.run import Run, RunStatus
from webapp.models.tenancy import as_company
from webapp.settings import Settings
from webapp.sync.runs import finish_run

STEP = timedelta(minutes=20)
DELTA_MINUTES = 120
TASK_OF_SCOPE = {"full": "sweep", "scheduled": "verification", "delta": "delta"}


RUNS = ("sweep", "verification", "delta")
"""The tasks whose every slot is a run; the others begin something only where it is needed."""


class Ticks:
    """Every tick twice, some lost, never two of a task in a row."""

    def __init__(self, seed: int) -> None:
        self._dice = random.Random(seed)
        self._lost = set[str]()
        self.lost = 0

    def come(self) -> None:
        names = list(RUNS)
        self._dice.shuffle(names)
        for name in names:
            if name not in self._lost and self._dice.random() < 0.3:
                self._lost.add(name)
                self.lost += 1
                continue
            self._lost.discard(name)
            schedule.tick(name)
            schedule.tick(name)


@pytest.mark.long
@pytest.mark.timeout(1200)
@pytest.mark.parametrize(
    ("first", "zone", "nights", "missing", "twice"),
    [
        # Begins at 01:00 there: the night before is caught up.
        (datetime(2026, 3, 22, tzinfo=UTC), "Europe/Berlin", 15, "2026-03-29", None),
        (datetime(2026, 10, 18, tzinfo=UTC), "Europe/Berlin", 14, None, "2026-10-25"),
    ],
)
def test_each_slot_of_a_fortnight_runs_once_and_none_is_missed(
    engine: Flask,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    first: datetime,
    zone: str,
    nights: int,
    missing: str | None,
    twice: str | None,
) -> None:
    two_hourly = settings.model_copy(update={"delta_interval_minutes": DELTA_MINUTES})
    monkeypatch.setattr(schedule, "settings", lambda: two_hourly)
    clock.advance(first - clock.now())
    company = make_company("fortnight", time_zone=zone)
    make_appointment(company)
    ticks, dice = Ticks(first.month), random.Random(first.year)
    expected: dict[str, set[str]] = {name: set() for name in RUNS}

    for step in range(14 * 24 * 3):
        clock.advance(first + STEP * step + timedelta(seconds=1) - clock.now())
        finish(company)
        for name in RUNS:
            task = schedule.TASKS[name]
            expected[name].add(task.slot_at(clock.now(), ZoneInfo(zone)))
        ticks.come()
        if dice.random() < 0.5:
            finish(company)
    finish(company)
    ticks.come()
    finish(company)

    assert ticks.lost > 300
    counts = runs_by_slot(company)
    assert set(counts.values()) == {1}
    assert {name: {slot for task, slot in counts if task == name} for name in expected} == expected
    assert len(expected["sweep"]) == nights
    for night in filter(None, (missing, twice)):
        assert counts["sweep", night] == 1


def finish(company: Tenant) -> None:
    """Whatever run is running ends."""
    with as_company(company.id):
        for run_id in db.session.scalars(select(Run.id).where(Run.status == RunStatus.RUNNING)):
            finish_run(db.session(), run_id, now=clock.now())
        db.session.commit()


def runs_by_slot(company: Tenant) -> Counter[tuple[str, str]]:
    with as_company(company.id):
        rows = db.session.execute(select(Run.scope, Run.slot))
        return Counter((TASK_OF_SCOPE[scope.value], slot or "") for scope, slot in rows)
