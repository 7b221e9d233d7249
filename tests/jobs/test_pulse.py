"""The row is the truth, the queue is transport: what is due reaches the workers, whatever Redis
forgot, and nothing waits for it twice."""

import time
from datetime import timedelta

import pytest
from flask import Flask
from redis import Redis

from tests.desk import Desk, in_days
from webapp import clock
from webapp.application import settings
from webapp.extensions import db
from webapp.jobs import pulse
from webapp.jobs.queues import (
    PEOPLE,
    VERIFICATION,
    connect_for_web,
    enqueue_push,
    enqueue_verification,
    hand_over,
    queue,
    waiting_job_ids,
)
from webapp.models.company import Company
from webapp.models.tenancy import as_company
from webapp.sandbox.server import RunningSandbox


@pytest.fixture
def desk(engine: Flask, sandbox: RunningSandbox) -> Desk:
    return Desk(sandbox)


def test_a_due_intent_without_a_job_is_handed_over_once(desk: Desk, redis: Redis) -> None:
    desk.book()

    assert pulse.beat(redis) == 1
    assert pulse.beat(redis) == 0
    assert len(queue(PEOPLE, redis)) == 1


def test_after_a_flushed_redis_what_is_due_is_handed_over_again(desk: Desk, redis: Redis) -> None:
    desk.book()
    pulse.beat(redis)
    redis.flushall()

    assert pulse.beat(redis) == 1


def test_what_a_dead_worker_held_goes_ahead_of_what_waits(desk: Desk, redis: Redis) -> None:
    """Else a takeover would wait behind the whole queue."""
    held = desk.intents(desk.book(in_days(2)))[0].id
    desk.die_with_claim(held)
    later = [desk.intents(desk.book(in_days(3, hour)))[0].id for hour in (8, 9)]
    for intent_id in later:
        enqueue_push(desk.company.id, intent_id)
    clock.advance(timedelta(seconds=settings().push_lease_seconds + 1))

    pulse.beat(redis)

    assert [job.args[1] for job in queue(PEOPLE, redis).jobs] == [held, *later]


def test_it_does_so_too_where_a_second_job_of_it_stands_further_back(
    desk: Desk, redis: Redis
) -> None:
    """A beat that came by while the row was being claimed has left one there."""
    held = desk.intents(desk.book(in_days(2)))[0].id
    later = desk.intents(desk.book(in_days(3)))[0].id
    enqueue_push(desk.company.id, later)
    enqueue_push(desk.company.id, held)
    desk.die_with_claim(held)
    clock.advance(timedelta(seconds=settings().push_lease_seconds + 1))

    pulse.beat(redis)

    assert [job.args[1] for job in queue(PEOPLE, redis).jobs] == [held, later]


def test_what_waits_for_its_retry_queues_up_behind_what_came_before(
    desk: Desk, redis: Redis
) -> None:
    """Else a company whose Cal.com is away would keep the workers from everybody else."""
    desk.cal.fail({"kind": "status", "status": 503, "operation": "bookings.create"})
    tried = desk.intents(desk.book(in_days(2)))[0].id
    desk.work()
    fresh = desk.intents(desk.book(in_days(3)))[0].id
    enqueue_push(desk.company.id, fresh)
    clock.advance(timedelta(seconds=10))

    pulse.beat(redis)

    assert [job.args[1] for job in queue(PEOPLE, redis).jobs] == [fresh, tried]


def test_after_a_flushed_redis_what_waits_keeps_its_order(desk: Desk, redis: Redis) -> None:
    booked = [desk.intents(desk.book(in_days(2, hour)))[0].id for hour in (8, 9, 10)]

    pulse.beat(redis)

    assert [job.args[1] for job in queue(PEOPLE, redis).jobs] == booked


def test_a_job_carries_the_company_and_the_row_and_nothing_else(desk: Desk, redis: Redis) -> None:
    desk.book()
    pulse.beat(redis)

    [job] = queue(PEOPLE, redis).jobs
    assert job.args == [desk.company.id, 1]
    assert job.kwargs == {}
    assert job.data.startswith(b'["webapp.jobs.push.push"'), "JSON, not pickle"


def test_what_the_view_queued_is_not_queued_again_by_the_pulse(desk: Desk, redis: Redis) -> None:
    appointment_id = desk.book()
    [intent] = desk.intents(appointment_id)
    enqueue_push(desk.company.id, intent.id)

    assert pulse.beat(redis) == 0


def test_a_paused_companys_pushes_wait(desk: Desk, redis: Redis) -> None:
    desk.book()
    with as_company(desk.company.id):
        company = db.session.get_one(Company, desk.company.id)
        company.paused_at, company.paused_by = company.created_at, "An admin"
        db.session.commit()

    assert pulse.beat(redis) == 0
    desk.work()
    assert desk.cal.bookings() == []


def test_verifications_nobody_waits_for_queue_behind_people(desk: Desk, redis: Redis) -> None:
    quiet, asked = desk.book(in_days(2)), desk.book(in_days(3))
    desk.work()
    with as_company(desk.company.id):
        desk._row(quiet).next_verification_at = clock.now()
        db.session.commit()
    desk.ask_to_verify(asked)

    assert pulse.beat(redis) == 2
    assert pulse.beat(redis) == 0

    people, others = queue(PEOPLE, redis), queue(VERIFICATION, redis)
    assert [job.args[1] for job in people.jobs] == [asked]
    assert [job.args[1] for job in others.jobs] == [quiet]
    desk.ask_to_verify(quiet)
    enqueue_verification(desk.company.id, quiet)
    assert [job.args[1] for job in people.jobs] == [asked, quiet], "a click needn't wait there"


def test_only_one_process_leads_and_another_takes_over(engine: Flask) -> None:
    first, second = pulse.Leadership(), pulse.Leadership()
    try:
        assert first.is_held()
        assert not second.is_held()
        assert first.is_held(), "it goes on leading"
        first.release()
        assert second.is_held()
    finally:
        first.release()
        second.release()


def test_a_leader_whose_connection_was_cut_knows_that_it_leads_no_more(
    engine: Flask, owner_engine: object
) -> None:
    leader = pulse.Leadership()
    try:
        assert leader.is_held()
        assert leader._connection is not None
        leader._connection.connection.dbapi_connection.close()  # type: ignore[union-attr]
        assert not leader.is_held()
    finally:
        leader.release()


def test_a_redis_that_is_not_there_costs_the_web_less_than_a_second(engine: Flask) -> None:
    gone = connect_for_web("redis://127.0.0.1:1/0")
    began = time.monotonic()

    assert hand_over("push", 1, 1, connection=gone) is False

    assert time.monotonic() - began < 1.0


def test_waiting_ids_are_read_from_all_queues(engine: Flask, redis: Redis) -> None:
    for kind in ("push", "delivery", "run"):
        hand_over(kind, 1, 2, connection=redis)

    assert waiting_job_ids(redis) == {"push-1-2", "delivery-1-2", "run-1-2"}
