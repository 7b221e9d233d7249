"""What the breaker and the budget hold back waits, unspent, and goes on by itself."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from flask import Flask
from redis import Redis
from sqlalchemy import update

from tests.desk import Desk, in_days
from webapp import clock
from webapp.application import settings
from webapp.calcom.breaker import Circuit, breaker_state
from webapp.calcom.budget import Allowance, Budget, budget_name
from webapp.calcom.errors import BudgetSpent
from webapp.calcom.rate_limits import RateLimit
from webapp.extensions import db
from webapp.jobs import connection
from webapp.jobs.connection import open_client
from webapp.jobs.queues import connect_for_web
from webapp.models.intent import Intent
from webapp.models.run import Run
from webapp.models.sync_state import SyncState
from webapp.models.tenancy import as_company
from webapp.sandbox.server import RunningSandbox

TROUBLE = {"kind": "status", "status": 503}


@pytest.fixture
def desk(engine: Flask, sandbox: RunningSandbox) -> Desk:
    return Desk(sandbox)


@pytest.fixture
def other_desk(desk: Desk, sandbox: RunningSandbox) -> Desk:
    return Desk(sandbox, "blau")


@pytest.fixture
def gone_redis(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    gone = connect_for_web("redis://127.0.0.1:1/0")
    monkeypatch.setattr(connection, "connect_for_web", lambda _: gone)
    yield
    gone.close()


def test_a_push_that_meets_an_open_breaker_waits_unspent_and_goes_on_when_it_closes(
    desk: Desk, redis: Redis
) -> None:
    failed = open_breaker(desk, redis)
    calls = len(desk.cal.operations())
    met = desk.book(in_days(3))

    desk.work_through(20)

    [intent] = desk.intents(met)
    assert (intent.status.value, intent.attempt_count) == ("waiting", 0)
    assert (intent.error_code, intent.has_unknown_outcome) == ("CIRCUIT_OPEN", False)
    assert len(desk.cal.operations()) == calls, "nothing is sent meanwhile"
    desk.cal.heal()
    desk.work_through(45)
    assert states(desk, *failed, met) == {SyncState.SYNCED}
    assert desk.cal.mails() == ["created"] * 6
    assert desk.open_findings() == []


def test_after_its_minute_one_call_tries_for_all(desk: Desk, redis: Redis) -> None:
    open_breaker(desk, redis)
    calls = len(desk.cal.operations())

    desk.work_through(110, step=5)

    assert len(desk.cal.operations()) == calls + 1
    assert circuit(desk, redis) is Circuit.OPEN


def test_what_waits_in_quiet_retries_goes_on_when_the_breaker_closes(
    desk: Desk, redis: Redis
) -> None:
    desk.cal.fail({**TROUBLE, "operation": "bookings.create"})
    quiet = desk.book(in_days(9))
    desk.work_through(170, step=10)
    desk.cal.heal()
    open_breaker(desk, redis)
    [intent] = desk.intents(quiet)
    assert intent.due_at > clock.now() + timedelta(seconds=120)

    desk.cal.heal()
    desk.work_through(65, step=5)

    assert desk.appointment(quiet).calcom_sync_status is SyncState.SYNCED
    assert desk.open_findings() == []


def test_refusals_do_not_open_it(desk: Desk, redis: Redis) -> None:
    desk.cal.fail({"kind": "status", "status": 422, "operation": "bookings.create"})
    for hour in range(8, 15):
        desk.book(in_days(2, hour))

    desk.work()

    assert circuit(desk, redis) is Circuit.CLOSED
    assert desk.cal.operations().count("bookings.create") == 7


def test_another_companys_breaker_is_its_own(desk: Desk, other_desk: Desk, redis: Redis) -> None:
    open_breaker(desk, redis)
    desk.cal.heal()
    booked = other_desk.book()

    other_desk.work()

    assert other_desk.appointment(booked).calcom_sync_status is SyncState.SYNCED


def test_a_requested_verification_waits_and_is_still_the_persons(desk: Desk, redis: Redis) -> None:
    booked = desk.book(in_days(9))
    desk.work()
    desk.cal.vanish(desk.appointment(booked).calcom_v2_booking_id or "")
    clock.advance(timedelta(minutes=10))
    open_breaker(desk, redis)

    desk.ask_to_verify(booked)
    desk.work()

    row = desk.appointment(booked)
    assert row.verification_requested_at is not None
    assert row.sync_attempt_count in (None, 0)
    assert desk.open_findings() == []
    desk.cal.heal()
    desk.work_through(65, step=5)
    assert desk.appointment(booked).calcom_sync_status is SyncState.ORPHANED_LOCAL, "at once"


def test_a_run_waits_while_the_breaker_is_open_and_is_finished_later(
    desk: Desk, redis: Redis
) -> None:
    booked = desk.book(in_days(9))
    desk.work()
    clock.advance(timedelta(minutes=10))
    open_breaker(desk, redis)

    waiting = desk.run()

    assert (waiting.status.value, waiting.error_code) == ("running", None)
    assert waiting.lease_until > clock.now() + timedelta(seconds=50)
    desk.cal.heal()
    desk.work_through(80, step=5)
    assert finished(desk, waiting.id) == ("done", 6, 0)
    assert desk.appointment(booked).calcom_sync_status is SyncState.SYNCED


def test_a_run_that_meets_trouble_reads_again_and_gives_up_at_the_third_time(desk: Desk) -> None:
    for hour in range(6, 16):
        desk.book(in_days(9, hour))
    desk.work()
    clock.advance(timedelta(minutes=10))
    desk.cal.fail({**TROUBLE, "operation": "bookings.list"})

    run = desk.run()

    assert (run.status.value, run.error_streak, run.compared_count) == ("running", 1, 0)
    desk.work_through(70, step=5)
    with as_company(desk.company.id):
        over = db.session.get_one(Run, (desk.company.id, run.id))
        assert (over.status.value, over.error_streak) == ("failed", 3)
        assert (over.error_code, over.request_count) == ("HTTP_503", 6)
    assert desk.open_findings() == []


def test_a_429_pauses_its_key_for_all_workers_and_no_other_key(
    desk: Desk, other_desk: Desk
) -> None:
    desk.cal.fail(
        {"kind": "rate_limited", "reset_seconds": 30, "operation": "bookings.create", "times": 1}
    )
    held = [desk.book(in_days(2, hour)) for hour in (8, 9)]
    free = other_desk.book()

    desk.work_through(20)

    assert [desk.intents(each)[0].attempt_count for each in held] == [0, 0]
    assert {desk.intents(each)[0].error_code for each in held} == {"RATE_LIMITED"}
    assert desk.cal.operations() == ["bookings.create"], "the second was not even sent"
    assert other_desk.appointment(free).calcom_sync_status is SyncState.SYNCED
    desk.work_through(15)
    assert states(desk, *held) == {SyncState.SYNCED}


def test_a_quiet_push_waits_where_a_persons_still_goes(desk: Desk, redis: Redis) -> None:
    use_calls(desk, redis, 60)
    quiet = desk.book(in_days(2))
    make_quiet(desk, quiet)

    desk.work()

    [intent] = desk.intents(quiet)
    assert (intent.status.value, intent.attempt_count) == ("waiting", 0)
    assert intent.error_code == "RATE_LIMITED"
    assert desk.cal.operations() == []
    persons = desk.book(in_days(3))
    desk.work()
    assert desk.appointment(persons).calcom_sync_status is SyncState.SYNCED
    desk.work_through(65, step=5)
    assert desk.appointment(quiet).calcom_sync_status is SyncState.SYNCED


def test_a_run_without_budget_hands_over_and_is_finished_later(desk: Desk, redis: Redis) -> None:
    desk.book()
    use_calls(desk, redis, 60)

    waiting = desk.run()

    assert waiting.status.value == "running"
    assert "me" not in desk.cal.operations()
    desk.work_through(90, step=10)
    assert finished(desk, waiting.id)[0] == "done"


def test_a_trial_that_finds_no_budget_is_left_to_another(desk: Desk, redis: Redis) -> None:
    failed = open_breaker(desk, redis)
    desk.cal.heal()
    clock.advance(timedelta(seconds=61))
    budget(desk, redis).learn(RateLimit(), clock.now(), pause_seconds=5)
    with as_company(desk.company.id), open_client() as client, pytest.raises(BudgetSpent):
        client.me()
    clock.advance(timedelta(seconds=6))

    desk.work()

    assert states(desk, *failed) == {SyncState.SYNCED}


def test_without_redis_everything_is_let_through_and_said_once(
    desk: Desk, gone_redis: None, caplog: pytest.LogCaptureFixture
) -> None:
    desk.cal.fail({"kind": "reset_after", "operation": "bookings.create", "times": 1})
    booked = desk.book()
    desk.work()
    caplog.clear()

    clock.advance(timedelta(seconds=10))
    desk.work()

    assert desk.appointment(booked).calcom_sync_status is SyncState.SYNCED
    assert caplog.text.count("gate_without_redis") == 1


def test_no_key_is_in_redis(desk: Desk, redis: Redis) -> None:
    desk.book()
    desk.work()

    assert redis.keys("lockstep:budget:*")
    assert not [name for name in redis.keys("*") if b"cal_" in name]


def open_breaker(desk: Desk, redis: Redis) -> list[int]:
    """Five bookings that fail; Cal.com stays in trouble."""
    desk.cal.fail(TROUBLE)
    failed = [desk.book(in_days(2, hour)) for hour in range(8, 13)]
    desk.work()
    assert circuit(desk, redis) is Circuit.OPEN
    return failed


def circuit(desk: Desk, redis: Redis) -> Circuit:
    return breaker_state(redis, desk.company.id, clock.now()).circuit


def budget(desk: Desk, redis: Redis) -> Budget:
    host = desk.url.removeprefix("http://")
    allowance = Allowance(
        calls=settings().calcom_calls_per_minute, people_share=settings().calcom_people_share
    )
    return Budget(redis, budget_name(host, "cal_sonnenschein"), allowance)


def use_calls(desk: Desk, redis: Redis, calls: int) -> None:
    """As many calls as other workers have made just now."""
    for _ in range(calls):
        budget(desk, redis).take(clock.now(), is_sweep=False)


def make_quiet(desk: Desk, appointment_id: int) -> None:
    with as_company(desk.company.id):
        db.session.execute(
            update(Intent)
            .where(Intent.appointment_id == appointment_id)
            .values(is_interactive=False)
        )
        db.session.commit()


def finished(desk: Desk, run_id: int) -> tuple[str, int, int]:
    """`(status, compared, errors)`."""
    with as_company(desk.company.id):
        run = db.session.get_one(Run, (desk.company.id, run_id), populate_existing=True)
        return run.status.value, run.compared_count, run.error_count


def states(desk: Desk, *appointments: int) -> set[SyncState]:
    return {desk.appointment(each).calcom_sync_status for each in appointments}
