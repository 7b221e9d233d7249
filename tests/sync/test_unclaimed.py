"""What was found only on Cal.com stays flagged until a person says what it is."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from tests.desk import Desk, in_days
from tests.factories import make_person
from tests.filled import fill_calendar
from tests.sync.test_runs import begin, read, run
from webapp import clock
from webapp.extensions import db
from webapp.jobs.inline import run_job
from webapp.models.appointment import AppointmentStatus
from webapp.models.company import UnclaimedPolicy
from webapp.models.discrepancy import Action, Discrepancy
from webapp.models.run import RunScope
from webapp.models.sync_state import SyncState
from webapp.models.tenancy import as_company
from webapp.models.user import Role
from webapp.sync.carry import METADATA_KEY
from webapp.sync.settlement import settle_finding


@pytest.fixture
def stranger(desk: Desk) -> str:
    """The uid of a booking that a run found only on Cal.com."""
    made = desk.cal.book(
        eventTypeId=desk.company.event_type_id, start=in_days(9).isoformat(), silent=True
    )
    clock.advance(timedelta(minutes=20))
    run(desk)
    return str(made["uid"])


def is_flagged(desk: Desk, appointment_id: int) -> bool:
    row = desk.appointment(appointment_id)
    types = [type_ for _, type_, _ in desk.open_findings()]
    return (row.calcom_sync_status, row.requires_manual_review, types) == (
        SyncState.ORPHANED_CALCOM,
        True,
        ["orphaned_calcom"],
    )


@pytest.mark.usefixtures("stranger")
def test_looks_at_changes_never_take_it_over(desk: Desk) -> None:
    [found] = desk.appointments()
    for _ in range(4):
        clock.advance(timedelta(minutes=10))
        done = run(desk, RunScope.DELTA)

    assert (done.agreed_count, done.disagreed_count, done.flagged_count) == (0, 1, 0)
    assert is_flagged(desk, found)
    assert desk.appointment(found).next_verification_at is None
    assert desk.events(found) == ["found_there"]


@pytest.mark.usefixtures("stranger")
def test_nor_does_a_person_who_only_looks(desk: Desk) -> None:
    [found] = desk.appointments()
    desk.ask_to_verify(found)
    desk.work()

    assert is_flagged(desk, found)
    assert desk.appointment(found).verification_requested_at is None


@pytest.mark.usefixtures("stranger")
def test_a_retry_looks_and_a_run_meanwhile_leaves_it_to_that_look(desk: Desk) -> None:
    [found] = desk.appointments()
    assert desk.retry(found)

    done = run(desk)
    assert done.skipped == {"being_looked_at": 1}
    desk.work()

    assert is_flagged(desk, found)
    assert desk.events(found) == ["found_there", "retry_requested"]


@pytest.mark.usefixtures("stranger")
def test_an_adoption_that_cannot_be_read_is_not_made_later(desk: Desk) -> None:
    [found] = desk.appointments()
    boss = make_person(desk.company, Role.ADMIN)
    adopt(desk, boss.id)
    desk.cal.fail({"kind": "status", "status": 503})
    desk.work()
    desk.cal.heal()
    desk.work_through(1000, step=100)

    assert is_flagged(desk, found)
    assert desk.events(found)[-1] == "verification_failed"
    adopt(desk, boss.id)
    desk.work()
    assert desk.appointment(found).calcom_sync_status is SyncState.SYNCED
    assert desk.open_findings() == []


def adopt(desk: Desk, user_id: int) -> None:
    with as_company(desk.company.id):
        finding = db.session.scalars(select(Discrepancy.id)).one()
        settle_finding(db.session(), finding, Action.ADOPT, now=clock.now(), user_id=user_id)
        db.session.commit()


@pytest.mark.usefixtures("stranger")
def test_an_adoption_of_what_has_vanished_ends_it(desk: Desk, stranger: str) -> None:
    [found] = desk.appointments()
    adopt(desk, make_person(desk.company, Role.ADMIN).id)
    desk.cal.vanish(stranger)
    desk.work()

    row = desk.appointment(found)
    assert (row.status, row.calcom_sync_status) == (AppointmentStatus.CANCELLED, SyncState.SYNCED)
    assert desk.open_findings() == []


def test_it_follows_its_booking_where_that_is_moved_and_no_webhook_tells(
    desk: Desk, stranger: str
) -> None:
    [found] = desk.appointments()
    moved = desk.cal.change(stranger, "reschedule", start=in_days(12).isoformat())
    desk.verify_automatically(found)

    row = desk.appointment(found)
    assert (row.starts_at, row.calcom_v2_booking_id) == (in_days(12), moved["uid"])
    assert is_flagged(desk, found)


def test_it_closes_by_itself_where_its_booking_is_cancelled_and_no_webhook_tells(
    desk: Desk, stranger: str
) -> None:
    [found] = desk.appointments()
    desk.cal.change(stranger, "cancel", reason="x")
    desk.verify_automatically(found)

    row = desk.appointment(found)
    assert (row.status, row.calcom_sync_status) == (AppointmentStatus.CANCELLED, SyncState.SYNCED)
    assert desk.open_findings() == []


def book_a_second(desk: Desk, **more: Any) -> int:
    """A booking with the key of an appointment that has one; returns that appointment."""
    [pair] = fill_calendar(desk.company, desk.cal, 1)
    desk.cal.book(
        eventTypeId=desk.company.event_type_id,
        start=in_days(30).isoformat(),
        metadata={METADATA_KEY: str(desk.appointment(pair.id).sync_key)},
        **more,
    )
    return pair.id


@pytest.mark.usefixtures("door")
def test_a_second_booking_for_an_appointment_is_found_whose_webhook_came(desk: Desk) -> None:
    first = book_a_second(desk)
    desk.settle()
    desk.work_through(60, step=10)
    clock.advance(timedelta(minutes=10))

    done = run(desk, RunScope.DELTA)

    [_, second] = desk.appointments()
    assert (done.only_there_count, done.flagged_count) == (1, 1)
    assert is_flagged(desk, second)
    assert desk.evidence(second)["second_of"] == first
    assert desk.appointment(first).calcom_sync_status is SyncState.SYNCED


def test_no_policy_takes_a_second_booking_over(desk: Desk) -> None:
    desk._write_company(unclaimed_policy=UnclaimedPolicy.ADOPT)
    book_a_second(desk, silent=True)
    clock.advance(timedelta(minutes=20))

    run(desk)

    [_, second] = desk.appointments()
    assert is_flagged(desk, second)
    assert len(desk.cal.live_bookings()) == 2, "a person has to cancel one"


def test_a_second_booking_is_found_though_the_look_at_it_has_to_wait(desk: Desk) -> None:
    """Or though its job dies: nothing of the page counts before."""
    first = book_a_second(desk, silent=True)
    clock.advance(timedelta(minutes=20))
    desk.cal.fail({"kind": "rate_limited", "reset_seconds": 5, "operation": "bookings.get"})
    run_id = begin(desk, RunScope.FULL)
    run_job("run", desk.company.id, run_id)
    assert (read(desk, run_id).status.value, read(desk, run_id).listing_count) == ("running", 0)
    desk.cal.heal()

    desk.work_through(120, step=30)

    done = read(desk, run_id)
    assert (done.status.value, done.only_there_count, done.flagged_count) == ("done", 1, 1)
    [_, second] = desk.appointments()
    assert desk.evidence(second)["second_of"] == first


def test_one_that_cannot_be_read_holds_up_no_run(desk: Desk) -> None:
    book_a_second(desk, silent=True)
    clock.advance(timedelta(minutes=20))
    desk.cal.fail({"kind": "status", "status": 503, "operation": "bookings.get"})

    done = run(desk)

    assert (done.status.value, done.error_count, done.only_there_count) == ("done", 2, 0)
    desk.cal.heal()
    assert run(desk).only_there_count == 1, "the next listing shows it again"
