"""The periodic checks: each slot once, none missed for good, and rq-scheduler's traps fenced in."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from flask import Flask
from redis import Redis
from rq_scheduler import Scheduler
from sqlalchemy import select
from sqlalchemy.orm import Session

from tests.factories import Tenant, make_appointment
from webapp import clock
from webapp.application import settings
from webapp.extensions import db
from webapp.jobs import schedule
from webapp.jobs.queues import PERIODIC, JsonJob, queue
from webapp.models.run import PeriodicSlot, Run
from webapp.models.tenancy import as_company, require_company_id

pytestmark = pytest.mark.usefixtures("engine")
TICKS = sorted(f"tick-{name}" for name in schedule.TASKS)


def runs_of(company: Tenant) -> int:
    with as_company(company.id):
        return len(db.session.scalars(select(Run)).all())


def finish_runs(company: Tenant) -> None:
    with as_company(company.id):
        for run in db.session.scalars(select(Run)):
            run.status, run.finished_at = "done", clock.now()  # type: ignore[assignment]
        db.session.commit()


@pytest.mark.parametrize(
    ("hour", "slot"), [(0, "00:00"), (5, "00:00"), (6, "06:00"), (17, "12:00"), (23, "18:00")]
)
def test_a_slot_begins_every_six_hours(engine: Flask, hour: int, slot: str) -> None:
    at = datetime(2026, 3, 29, hour, 59, tzinfo=UTC)
    assert schedule.verification_slot(at, ZoneInfo("Europe/Berlin")) == f"2026-03-29T{slot}Z"


def test_every_company_gets_a_slot_once_however_often_the_tick_comes(
    redis: Redis, company: Tenant, other_company: Tenant
) -> None:
    for each in (company, other_company):
        make_appointment(each)
    for _ in range(3):
        schedule.tick("verification")

    assert (runs_of(company), runs_of(other_company)) == (1, 1)
    assert len(queue("verification", redis)) == 2


def test_a_company_that_has_not_begun_has_nothing_to_compare(company: Tenant) -> None:
    schedule.tick("verification")
    assert runs_of(company) == 0
    make_appointment(company)
    schedule.tick("verification")
    assert runs_of(company) == 1


def test_the_next_slot_brings_the_next_run_and_a_missed_one_is_caught_up_once(
    company: Tenant,
) -> None:
    make_appointment(company)
    schedule.tick("verification")
    finish_runs(company)
    clock.advance(timedelta(hours=18))

    schedule.tick("verification")
    schedule.tick("verification")

    assert runs_of(company) == 2
    with as_company(company.id):
        assert len(db.session.scalars(select(PeriodicSlot)).all()) == 2


def test_the_list_is_asserted_again_after_a_flushed_redis(redis: Redis) -> None:
    schedule.assert_list(redis)
    redis.flushall()

    schedule.assert_list(redis)

    assert redis.zcard(Scheduler.scheduled_jobs_key) == len(schedule.TASKS)
    assert JsonJob.fetch("tick-verification", connection=redis).args == ["verification"]


def test_asserting_the_list_again_changes_nothing(redis: Redis) -> None:
    schedule.assert_list(redis)
    before = redis.zrange(Scheduler.scheduled_jobs_key, 0, -1, withscores=True)

    schedule.assert_list(redis)

    assert redis.zrange(Scheduler.scheduled_jobs_key, 0, -1, withscores=True) == before


def test_an_entry_whose_job_is_gone_is_put_back(redis: Redis) -> None:
    schedule.assert_list(redis)
    redis.delete("rq:job:tick-verification")

    schedule.assert_list(redis)
    schedule.hand_over_due(redis)

    assert sorted(queue(PERIODIC, redis).job_ids) == TICKS


def test_an_unreadable_entry_does_not_stop_the_others(redis: Redis) -> None:
    redis.zadd(Scheduler.scheduled_jobs_key, {"aaa-broken": 1, b"\xff\xfe": 1})
    redis.hset("rq:job:aaa-broken", mapping={"data": b"\x80not json", "created_at": "never"})
    schedule.assert_list(redis)

    schedule.hand_over_due(redis)

    assert sorted(queue(PERIODIC, redis).job_ids) == TICKS
    assert redis.zcard(Scheduler.scheduled_jobs_key) == len(TICKS)


def test_a_handed_over_entry_comes_again_and_is_json(redis: Redis) -> None:
    schedule.assert_list(redis)

    schedule.hand_over_due(redis)

    job = JsonJob.fetch("tick-verification", connection=redis)
    assert job.data.startswith(b'["webapp.jobs.schedule.tick"')
    for _, next_at in redis.zrange(Scheduler.scheduled_jobs_key, 0, -1, withscores=True):
        pause = next_at - datetime.now(UTC).timestamp()
        assert 0 < pause <= settings().tick_seconds


def test_ticks_that_wait_for_a_worker_are_not_queued_again(redis: Redis) -> None:
    schedule.assert_list(redis)
    for _ in range(5):
        # Half a minute later each time.
        redis.zadd(Scheduler.scheduled_jobs_key, dict.fromkeys(TICKS, 1), xx=True)
        schedule.hand_over_due(redis)

    assert sorted(queue(PERIODIC, redis).job_ids) == TICKS
    queue(PERIODIC, redis).empty()
    schedule.assert_list(redis)
    redis.zadd(Scheduler.scheduled_jobs_key, dict.fromkeys(TICKS, 1), xx=True)
    schedule.hand_over_due(redis)
    assert sorted(queue(PERIODIC, redis).job_ids) == TICKS, "they come again"


def test_a_company_that_breaks_a_tick_costs_no_other_its_slot(
    company: Tenant, other_company: Tenant, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin_if_due = schedule.begin_if_due

    def break_off(session: Session, task: schedule.Task, now: datetime) -> int | None:
        if require_company_id() == company.id:
            raise LookupError("nobody foresaw this")
        return begin_if_due(session, task, now)

    assert company.id < other_company.id
    make_appointment(other_company)
    monkeypatch.setattr(schedule, "begin_if_due", break_off)

    schedule.tick("verification")

    assert (runs_of(company), runs_of(other_company)) == (0, 1)
