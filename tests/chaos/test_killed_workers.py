"""A worker dies at every point of a push, or wakes too late: somebody takes over, once."""

import threading
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask

from tests.chaos.acts import ACTS, OPERATIONS, assert_they_agree, perform, prepare
from tests.chaos.deaths import PUSH_POINTS, Killed, dying_at
from tests.desk import Desk, in_days
from webapp import clock
from webapp.calcom.errors import Rejected, Unavailable
from webapp.jobs import push
from webapp.jobs.inline import run_job
from webapp.models.appointment import Appointment
from webapp.models.base import Owned
from webapp.models.tenancy import as_company
from webapp.settings import Settings
from webapp.sync.carry import Carried

HELD_BY_THE_DEAD = ("before the call", "after the call", "settled, not committed")


def die(desk: Desk, point: str) -> None:
    """A worker takes what is due and is killed at that point."""
    with dying_at(point) as death, pytest.raises(Killed):
        desk.work()
    assert death.has_struck


@pytest.mark.parametrize("deaths", [1, 2])
@pytest.mark.parametrize("point", PUSH_POINTS)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_push_whose_worker_dies_is_taken_over_and_done_once(
    desk: Desk, settings: Settings, operation: str, point: str, deaths: int
) -> None:
    act = ACTS[operation]
    appointment_id = perform(desk, act, prepare(desk, act))
    lease = timedelta(seconds=settings.push_lease_seconds + 1)
    for number in range(deaths):
        if number:
            clock.advance(lease)
        if number and point == "committed, not enqueued":
            break
        die(desk, point)

    if point in HELD_BY_THE_DEAD:
        assert_nothing_is_done_before_the_lease_is_over(desk, appointment_id)
    clock.advance(lease)
    desk.work()

    assert_they_agree(desk, appointment_id)
    assert desk.cal.mails() == list(act.mails)
    assert [each.status.value for each in desk.intents(appointment_id)][-1] == "done"
    takeovers = ["lease_lost"] * deaths if point in HELD_BY_THE_DEAD else []
    assert desk.events(appointment_id) == [*act.events_before, act.event, *takeovers, "pushed"]


def assert_nothing_is_done_before_the_lease_is_over(desk: Desk, appointment_id: int) -> None:
    mails, intent = desk.cal.mails(), desk.intents(appointment_id)[-1]
    clock.advance(timedelta(seconds=30))
    desk.work()
    assert desk.cal.mails() == mails
    assert desk.intents(appointment_id)[-1].lease_token == intent.lease_token
    assert desk.appointment(appointment_id).calcom_sync_status.value == "pending"


@pytest.mark.parametrize("then", ["move", "cancel", "move and cancel", "there and back"])
@pytest.mark.parametrize("point", HELD_BY_THE_DEAD)
@pytest.mark.parametrize("operation", ["create", "reschedule"])
def test_a_new_wish_while_a_dead_worker_holds_the_old_one(
    desk: Desk, operation: str, point: str, then: str
) -> None:
    act = ACTS[operation]
    appointment_id = perform(desk, act, prepare(desk, act))
    wished = desk.appointment(appointment_id).starts_at
    die(desk, point)

    if then.startswith("move"):
        desk.move(appointment_id, in_days(6))
    if then.endswith("cancel"):
        desk.cancel(appointment_id)
    if then == "there and back":
        desk.move(appointment_id, in_days(6))
        desk.move(appointment_id, wished)
    desk.work_through(60, step=10)

    assert_they_agree(desk, appointment_id)
    warranted = Counter(act.mails)
    warranted["rescheduled"] += int("move" in then) + 2 * int(then == "there and back")
    warranted["cancelled"] += int("cancel" in then)
    assert not Counter(desk.cal.mails()) - warranted


LATE_NEWS = {
    "success": None,
    "final": Rejected("HTTP_422", "late", 422),
    "unknown": Unavailable("TIMEOUT", "late"),
}


@pytest.mark.parametrize("news", LATE_NEWS)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_worker_that_settles_after_its_lease_changes_nothing(
    desk: Desk, settings: Settings, operation: str, news: str
) -> None:
    act = ACTS[operation]
    appointment_id = perform(desk, act, prepare(desk, act))
    slow = desk.claim(desk.intents(appointment_id)[-1].id)
    with as_company(desk.company.id):
        carried = push._call(slow)
    clock.advance(timedelta(seconds=settings.push_lease_seconds + 1))
    desk.work()
    assert_they_agree(desk, appointment_id)
    before = everything(desk, appointment_id)

    error = LATE_NEWS[news]
    late = carried if error is None else Carried(error=error, operations=[operation])
    settled = desk.settle_claim(slow, late)

    assert settled.was_lost
    assert everything(desk, appointment_id) == before
    assert desk.events(appointment_id)[-2:] == ["lease_lost", "pushed"]
    assert_they_agree(desk, appointment_id)
    assert desk.cal.mails() == list(act.mails)


@pytest.mark.parametrize("news", LATE_NEWS)
def test_a_worker_that_settles_while_another_carries_on_changes_nothing(
    desk: Desk, settings: Settings, news: str
) -> None:
    appointment_id = desk.book(in_days(2))
    slow = desk.claim(desk.intents(appointment_id)[0].id)
    clock.advance(timedelta(seconds=settings.push_lease_seconds + 1))
    quick = desk.claim(slow.intent_id)
    before = everything(desk, appointment_id)

    late = Carried(error=LATE_NEWS[news], operations=["create"])
    assert desk.settle_claim(slow, late).was_lost

    assert everything(desk, appointment_id) == before
    assert not desk.carry_and_settle(quick).was_lost
    assert_they_agree(desk, appointment_id)
    assert desk.cal.mails() == ["created"]


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_worker_that_calls_after_its_lease_mails_nobody_twice(
    desk: Desk, settings: Settings, operation: str
) -> None:
    act = ACTS[operation]
    appointment_id = perform(desk, act, prepare(desk, act))
    slow = desk.claim(desk.intents(appointment_id)[-1].id)
    clock.advance(timedelta(seconds=settings.push_lease_seconds + 1))
    desk.work()

    with as_company(desk.company.id):
        late = push._call(slow)
    assert desk.settle_claim(slow, late).was_lost

    assert_they_agree(desk, appointment_id)
    assert desk.cal.mails() == list(act.mails)


def test_a_worker_that_wakes_after_its_lease_does_not_carry_a_wish_of_old(
    desk: Desk, settings: Settings
) -> None:
    """A machine that slept between claim and call; meanwhile the appointment moved on."""
    appointment_id = desk.book(in_days(2))
    slow = desk.claim(desk.intents(appointment_id)[-1].id)
    clock.advance(timedelta(seconds=settings.push_lease_seconds + 1))
    desk.work()
    desk.move(appointment_id, in_days(5))
    desk.work()

    with as_company(desk.company.id):
        late = push._call(slow)
    desk.settle_claim(slow, late)

    assert len(desk.cal.live_bookings()) == 1
    assert desk.cal.mails() == ["created", "rescheduled"]


@pytest.mark.parametrize("operation", OPERATIONS)
def test_workers_that_get_the_same_job_at_once_do_it_once(
    desk: Desk, engine: Flask, operation: str
) -> None:
    act = ACTS[operation]
    appointment_id = perform(desk, act, prepare(desk, act))
    intent_id = desk.intents(appointment_id)[-1].id
    start = threading.Barrier(4)

    def work() -> None:
        start.wait()
        with engine.app_context():
            run_job("push", desk.company.id, intent_id)

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(20)

    assert desk.cal.operations().count(act.at_calcom) == 1
    assert desk.cal.mails() == list(act.mails)
    assert_they_agree(desk, appointment_id)


def everything(desk: Desk, appointment_id: int) -> list[dict[str, Any]]:
    """Every column of the appointment and its intents."""
    rows: list[Appointment | Owned] = [desk.appointment(appointment_id)]
    rows += desk.intents(appointment_id)
    return [{each.name: getattr(row, each.name) for each in row.__table__.columns} for row in rows]
