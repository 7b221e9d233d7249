"""A refused key is asked for again every few minutes, also where no push waits for it."""

from datetime import timedelta

import pytest
from flask import Flask
from redis import Redis
from sqlalchemy import select

from tests.desk import Desk, in_days
from tests.factories import make_person
from webapp import clock
from webapp.application import settings, vault
from webapp.extensions import db
from webapp.jobs import schedule
from webapp.jobs.inline import run_job
from webapp.jobs.queues import NAMES, queue
from webapp.models.company import Company, ConnectionState
from webapp.models.notification import Notification
from webapp.models.sync_state import SyncState
from webapp.models.tenancy import as_company
from webapp.models.user import Role
from webapp.sandbox.server import RunningSandbox
from webapp.sync.onboarding import connect_company

REFUSED = {"kind": "status", "status": 401}


@pytest.fixture
def desk(engine: Flask, sandbox: RunningSandbox) -> Desk:
    return Desk(sandbox)


def connection(desk: Desk) -> str:
    with as_company(desk.company.id):
        return db.session.get_one(Company, desk.company.id).connection_state.value


def tick(desk: Desk, redis: Redis) -> int:
    """The periodic check, and the job it hands over; returns how many were."""
    schedule.tick("reconnection")
    jobs = [job for name in NAMES for job in queue(name, redis).jobs]
    redis.flushall()
    for _ in jobs:
        run_job("reconnection", desk.company.id, desk.company.id)
    return len(jobs)


def break_connection(desk: Desk) -> None:
    """A run finds the key refused; no push waits."""
    desk.cal.fail(REFUSED)
    desk.run()
    assert connection(desk) == "broken"


def test_a_refused_key_is_asked_for_again_and_closes_its_item(desk: Desk, redis: Redis) -> None:
    admin = make_person(desk.company, Role.ADMIN)
    break_connection(desk)
    assert tick(desk, redis) == 1
    assert (connection(desk), desk.inbox(admin.id)) == ("broken", [("connection_broken", True)])

    desk.cal.heal()
    clock.advance(timedelta(seconds=settings().reconnect_seconds))
    assert tick(desk, redis) == 1

    assert (connection(desk), desk.inbox(admin.id)) == ("ok", [("connection_broken", False)])


def test_it_is_asked_for_once_in_its_pause_and_not_at_all_once_it_is_well(
    desk: Desk, redis: Redis
) -> None:
    assert tick(desk, redis) == 0
    break_connection(desk)
    calls = desk.cal.operations().count("me")

    assert [tick(desk, redis) for _ in range(3)] == [1, 0, 0]
    assert desk.cal.operations().count("me") == calls + 1


def test_it_is_told_once_however_often_the_key_is_refused(desk: Desk, redis: Redis) -> None:
    make_person(desk.company, Role.ADMIN)
    break_connection(desk)

    for _ in range(2):
        clock.advance(timedelta(seconds=settings().reconnect_seconds))
        assert tick(desk, redis) == 1

    with as_company(desk.company.id):
        assert list(db.session.scalars(select(Notification.repeat_count))) == [1]


def test_where_a_push_waits_that_push_asks(desk: Desk, redis: Redis) -> None:
    break_connection(desk)
    desk.book(in_days(2))

    assert tick(desk, redis) == 0


def test_where_a_paused_push_waits_the_check_asks(desk: Desk, redis: Redis) -> None:
    break_connection(desk)
    desk.book(in_days(2))
    desk.pause()
    desk.cal.heal()

    assert tick(desk, redis) == 1

    assert connection(desk) == "ok"


def test_cal_com_in_trouble_says_nothing_about_the_key(desk: Desk, redis: Redis) -> None:
    break_connection(desk)
    desk.cal.fail({"kind": "status", "status": 503})

    tick(desk, redis)

    assert connection(desk) == "broken"


def test_after_a_new_key_everything_goes_on_and_the_flags_close(desk: Desk) -> None:
    admin = make_person(desk.company, Role.ADMIN)
    desk.cal.fail(REFUSED)
    appointments = [desk.book(in_days(2, hour)) for hour in (8, 9, 10)]
    desk.work_through(10)
    assert len(desk.open_findings()) == 1
    desk.cal.heal()

    with as_company(desk.company.id):
        connect_company(
            db.session(),
            vault(),
            base_url=f"{desk.url}/v2",
            api_key="cal_sonnenschein",
            webhook_secret=None,
            allow_private_networks=True,
            now=clock.now(),
        )
        db.session.commit()
    desk.work()

    states = {desk.appointment(each).calcom_sync_status for each in appointments}
    assert states == {SyncState.SYNCED}
    assert desk.open_findings() == []
    assert {is_open for _, is_open in desk.inbox(admin.id)} == {False}


def test_one_change_that_is_not_allowed_does_not_hold_up_the_others(desk: Desk) -> None:
    """`/me` takes the key, and Cal.com still refuses this booking: then it isn't the key."""
    admin = make_person(desk.company, Role.ADMIN)
    desk.cal.fail({"kind": "status", "status": 403, "operation": "bookings.create"})
    refused = desk.book(in_days(2))
    desk.work()
    assert connection(desk) == "broken"

    clock.advance(timedelta(seconds=settings().reconnect_seconds + 1))
    desk.work()

    assert connection(desk) == "ok"
    assert desk.open_findings() == [(refused, "sync_failed", "HTTP_403")]
    assert desk.inbox(admin.id).count(("connection_broken", False)) == 1
    desk.cal.heal()
    free = desk.book(in_days(3))
    desk.work()
    assert desk.appointment(free).calcom_sync_status is SyncState.SYNCED


def test_a_booking_that_is_read_without_a_key_says_nothing_of_it(desk: Desk, redis: Redis) -> None:
    admin = make_person(desk.company, Role.ADMIN)
    booked = desk.book()
    desk.work()
    desk.cal.put("accounts", {"email": desk.cal.account, "key": "cal_another"})
    desk.run()
    assert connection(desk) == "broken"

    desk.ask_to_verify(booked)
    desk.work()

    assert (connection(desk), desk.inbox(admin.id)) == ("broken", [("connection_broken", True)])
    assert desk.appointment(booked).calcom_sync_status is SyncState.SYNCED, "it could be read"


def test_the_first_push_with_a_new_key_asks_whose_it_is(desk: Desk) -> None:
    desk.cal.put("accounts", {"email": desk.cal.account, "key": "cal_another"})
    desk._write_company(connection_state=ConnectionState.UNKNOWN)
    booked = desk.book()
    desk.work()

    assert connection(desk) == "broken"
    assert desk.cal.bookings() == [], "though Cal.com would have made it"
    assert desk.open_findings() == [(booked, "sync_failed", "UNAUTHORIZED")]
