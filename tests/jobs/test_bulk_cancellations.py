"""Cancelling many appointments at work: what the preview says happens, on Cal.com too; stopping,
rights, and what was changed meanwhile."""

from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import Engine, select, text

from tests.desk import Desk, in_days
from tests.factories import Person, make_person
from webapp import clock
from webapp.extensions import db
from webapp.jobs.inline import run_job
from webapp.models.appointment import Appointment, AppointmentStatus
from webapp.models.bulk import BulkAction, BulkStatus, ItemStatus, count_items
from webapp.models.tenancy import as_company
from webapp.models.user import Role
from webapp.sandbox.server import RunningSandbox
from webapp.sync.bulk_cancellations import preview_cancellations, start_cancellations


@pytest.fixture
def desk(engine: Flask, sandbox: RunningSandbox) -> Desk:
    return Desk(sandbox)


@pytest.fixture
def anna(desk: Desk) -> Person:
    return make_person(desk.company, Role.MANAGER)


@pytest.fixture
def booked(desk: Desk) -> list[int]:
    """Three that are on Cal.com."""
    ids = [desk.book(in_days(2, hour)) for hour in (9, 10, 11)]
    desk.work()
    return ids


def start(desk: Desk, by: Person, *, most: int = 100) -> int:
    with as_company(desk.company.id):
        bulk_id = start_cancellations(
            db.session(),
            select(Appointment).where(Appointment.company_id == desk.company.id),
            now=clock.now(),
            most=most,
            user_id=by.id,
            reason="The studio is flooded",
            scope={},
        )
        db.session.commit()
    assert bulk_id is not None
    return bulk_id


def outcome(desk: Desk, bulk_id: int) -> tuple[BulkStatus, dict[str, int]]:
    with as_company(desk.company.id):
        bulk = db.session.get_one(BulkAction, (desk.company.id, bulk_id))
        counts = count_items(db.session(), bulk_id)
        return bulk.status, {each.value: number for each, number in counts.items() if number}


def test_all_are_cancelled_on_both_sides_and_each_is_mailed_once(
    desk: Desk, anna: Person, booked: list[int]
) -> None:
    bulk_id = start(desk, anna)
    desk.work_through(5)
    assert outcome(desk, bulk_id) == (BulkStatus.DONE, {"settled": 3})
    assert [desk.appointment(each).status for each in booked] == [AppointmentStatus.CANCELLED] * 3
    assert desk.cal.live_bookings() == []
    assert desk.cal.mails().count("cancelled") == 3
    assert {each["cancellationReason"] for each in desk.cal.bookings()} == {"The studio is flooded"}
    assert ("bulk_finished", True) in desk.inbox(anna.id)


def test_the_preview_counts_what_happens(
    desk: Desk, anna: Person, booked: list[int], owner_engine: Engine
) -> None:
    """Two on Cal.com, one never sent, one past, one cancelled, one beyond what one takes on."""
    desk.pause()
    unsent = desk.book(in_days(1))
    gone = desk.book(in_days(3))
    with owner_engine.begin() as connection:
        back = "UPDATE appointments SET starts_at = now() - interval '1 day', ends_at = now()"
        connection.execute(text(f"{back} WHERE id = :id"), {"id": gone})
    desk.cancel(booked[0])
    with as_company(desk.company.id):
        seen = preview_cancellations(
            db.session(),
            select(Appointment).where(Appointment.company_id == desk.company.id),
            now=clock.now(),
            most=2,
        )
    assert unsent
    assert (seen.matching, seen.cancellable, seen.taken) == (5, 3, 2)
    assert (seen.mails, seen.mailed_customers, seen.unsent, seen.unreachable) == (1, 1, 1, 0)


def test_what_was_never_sent_ends_without_a_call(desk: Desk, anna: Person) -> None:
    desk.pause()
    desk.book()
    bulk_id = start(desk, anna)
    run_job("bulk", desk.company.id, bulk_id)
    clock.advance(timedelta(seconds=2))
    run_job("bulk", desk.company.id, bulk_id)
    assert outcome(desk, bulk_id) == (BulkStatus.DONE, {"settled": 1})
    assert desk.cal.mails() == []


def test_what_was_cancelled_meanwhile_is_left_alone(
    desk: Desk, anna: Person, booked: list[int]
) -> None:
    bulk_id = start(desk, anna)
    desk.cancel(booked[1], "Ill")
    desk.work_through(5)
    assert outcome(desk, bulk_id) == (BulkStatus.DONE, {"settled": 2, "refused": 1})
    assert desk.appointment(booked[1]).cancellation_reason == "Ill"
    assert desk.cal.mails().count("cancelled") == 3


def test_who_may_no_longer_act_cancels_nothing(
    desk: Desk, anna: Person, booked: list[int], owner_engine: Engine
) -> None:
    bulk_id = start(desk, anna)
    with owner_engine.begin() as connection:
        connection.execute(text("UPDATE users SET role = 'staff'"))
    desk.work_through(3)
    assert outcome(desk, bulk_id) == (BulkStatus.DONE, {"refused": 3})
    assert len(desk.cal.live_bookings()) == 3


def test_a_manager_cancels_although_settling_was_taken_away(
    desk: Desk, anna: Person, booked: list[int], owner_engine: Engine
) -> None:
    with owner_engine.begin() as connection:
        connection.execute(text("UPDATE companies SET managers_settle = false"))
    bulk_id = start(desk, anna)
    desk.work_through(5)
    assert outcome(desk, bulk_id) == (BulkStatus.DONE, {"settled": 3})


def test_what_cal_com_refuses_stays_open_with_its_code(
    desk: Desk, anna: Person, booked: list[int]
) -> None:
    desk.cal.fail({"kind": "status", "status": 422, "operation": "bookings.cancel"})
    bulk_id = start(desk, anna)
    desk.work_through(5)
    status, counts = outcome(desk, bulk_id)
    assert status is BulkStatus.DONE
    assert counts == {ItemStatus.STILL_OPEN.value: 3}
