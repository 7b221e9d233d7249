"""Each act on a finding, carried through to the end against Cal.com, with its mails counted."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from tests.desk import Desk, in_days
from tests.factories import make_person
from webapp import clock
from webapp.extensions import db
from webapp.jobs.inline import run_job
from webapp.models.appointment import AppointmentStatus
from webapp.models.discrepancy import Action, Discrepancy, Resolution
from webapp.models.sync_state import SyncState
from webapp.models.tenancy import as_company
from webapp.models.user import Role
from webapp.sync.settlement import NotOffered, settle_finding


@pytest.fixture
def booked(desk: Desk) -> int:
    """An appointment that stands on both sides, past its grace period."""
    appointment_id = desk.book(in_days(5))
    desk.work()
    clock.advance(timedelta(minutes=10))
    return appointment_id


@pytest.fixture
def anna(desk: Desk, booked: int) -> int:
    return make_person(desk.company, Role.ADMIN).id


def uid_of(desk: Desk, appointment_id: int) -> str:
    return desk.appointment(appointment_id).calcom_v2_booking_id or ""


def findings(desk: Desk, appointment_id: int) -> list[Discrepancy]:
    with as_company(desk.company.id):
        rows = list(
            db.session.scalars(
                select(Discrepancy)
                .where(Discrepancy.appointment_id == appointment_id)
                .order_by(Discrepancy.id)
            )
        )
        for row in rows:
            db.session.expunge(row)
        return rows


def verify(desk: Desk, appointment_id: int) -> Discrepancy | None:
    """A person looks; returns what is open afterwards."""
    desk.ask_to_verify(appointment_id)
    desk.work()
    return next((each for each in findings(desk, appointment_id) if each.is_open), None)


def found(desk: Desk, appointment_id: int) -> int:
    finding = verify(desk, appointment_id)
    assert finding is not None
    return finding.id


def settle(desk: Desk, finding_id: int, action: Action, by: int, note: str | None = None) -> None:
    with as_company(desk.company.id):
        settle_finding(db.session(), finding_id, action, now=clock.now(), user_id=by, note=note)
        db.session.commit()


def is_settled(desk: Desk, finding_id: int, how: Resolution, by: int | None) -> bool:
    with as_company(desk.company.id):
        row = db.session.get_one(Discrepancy, (desk.company.id, finding_id))
        return (row.resolution, row.resolved_by_user_id) == (how, by)


def in_step(desk: Desk, appointment_id: int) -> bool:
    row = desk.appointment(appointment_id)
    return row.calcom_sync_status is SyncState.SYNCED and not row.requires_manual_review


def move_there(desk: Desk, appointment_id: int, days: int = 6) -> None:
    start = in_days(days).isoformat()
    desk.cal.change(uid_of(desk, appointment_id), "reschedule", start=start)


def test_a_retry_that_settles_it_is_the_persons_who_asked(
    desk: Desk, booked: int, anna: int
) -> None:
    move_there(desk, booked)
    finding = found(desk, booked)
    move_there(desk, booked, 5)
    settle(desk, finding, Action.RETRY, anna)
    desk.work()
    assert in_step(desk, booked)
    assert is_settled(desk, finding, Resolution.RETRIED, anna)


def test_taking_their_version_writes_what_is_read_now_and_mails_nobody(
    desk: Desk, booked: int, anna: int
) -> None:
    move_there(desk, booked)
    finding = found(desk, booked)
    move_there(desk, booked, 7)
    mails = desk.cal.mails()

    settle(desk, finding, Action.TAKE_REMOTE, anna)
    row = desk.appointment(booked)
    assert (row.starts_at, row.calcom_sync_status.value) == (in_days(5), "verification_pending")
    desk.work()

    row = desk.appointment(booked)
    assert (row.starts_at, row.ends_at - row.starts_at) == (in_days(7), timedelta(minutes=30))
    assert row.base_starts_at == in_days(7)
    assert in_step(desk, booked)
    assert desk.cal.mails() == mails
    assert is_settled(desk, finding, Resolution.TOOK_REMOTE, anna)
    assert "bookings.reschedule" not in desk.cal.operations()


def test_taking_a_cancellation_cancels_here(desk: Desk, booked: int, anna: int) -> None:
    desk.cal.change(uid_of(desk, booked), "cancel", reason="Ill")
    finding = found(desk, booked)
    mails = desk.cal.mails()
    settle(desk, finding, Action.TAKE_REMOTE, anna)
    desk.work()
    row = desk.appointment(booked)
    assert (row.status, row.cancellation_reason) == (AppointmentStatus.CANCELLED, "Ill")
    assert in_step(desk, booked)
    assert desk.cal.mails() == mails


def test_what_became_a_cancellation_meanwhile_is_shown_and_not_taken(
    desk: Desk, booked: int, anna: int
) -> None:
    move_there(desk, booked)
    finding = found(desk, booked)
    [live] = desk.cal.live_bookings()
    desk.cal.change(live["uid"], "cancel", reason="Ill")

    settle(desk, finding, Action.TAKE_REMOTE, anna)
    desk.work()

    row = desk.appointment(booked)
    assert (row.status, row.starts_at) == (AppointmentStatus.CONFIRMED, in_days(5))
    assert row.calcom_sync_status is SyncState.FAILED
    assert desk.evidence(booked)["fields"]["status"]["theirs"] == "cancelled"
    [still] = findings(desk, booked)
    assert (still.id, still.is_open, still.asked_resolution) == (finding, True, None)


def test_a_completed_appointment_stays_completed_when_their_time_is_taken(
    desk: Desk, booked: int, anna: int
) -> None:
    move_there(desk, booked)
    finding = found(desk, booked)
    desk.set_status(booked, AppointmentStatus.COMPLETED)
    settle(desk, finding, Action.TAKE_REMOTE, anna)
    desk.work()
    row = desk.appointment(booked)
    assert (row.status, row.starts_at) == (AppointmentStatus.COMPLETED, in_days(6))


def test_a_change_between_click_and_look_is_not_overwritten(
    desk: Desk, booked: int, anna: int
) -> None:
    move_there(desk, booked)
    finding = found(desk, booked)
    settle(desk, finding, Action.TAKE_REMOTE, anna)
    desk.move(booked, in_days(9))
    desk.work()
    assert desk.appointment(booked).starts_at == in_days(9)
    assert in_step(desk, booked)
    assert is_settled(desk, finding, Resolution.CHANGED, None)


def test_keeping_ours_moves_it_back_with_one_mail(desk: Desk, booked: int, anna: int) -> None:
    move_there(desk, booked)
    finding = found(desk, booked)
    before = len(desk.cal.mails())
    settle(desk, finding, Action.KEEP_OURS, anna)
    desk.work()
    [live] = desk.cal.live_bookings()
    assert live["start"].startswith(f"{in_days(5):%Y-%m-%dT%H:%M}")
    assert desk.cal.mails()[before:] == ["rescheduled"]
    assert in_step(desk, booked)
    assert is_settled(desk, finding, Resolution.KEPT_OURS, anna)


def test_keeping_ours_of_a_cancelled_one_books_it_anew(desk: Desk, booked: int, anna: int) -> None:
    desk.cal.change(uid_of(desk, booked), "cancel", reason="Ill")
    finding = found(desk, booked)
    before = len(desk.cal.mails())
    settle(desk, finding, Action.KEEP_OURS, anna)
    desk.work()
    assert len(desk.cal.live_bookings()) == 1
    assert desk.cal.mails()[before:] == ["created"]
    assert in_step(desk, booked)


def test_a_lost_booking_is_pushed_again_or_cancelled_here(
    desk: Desk, booked: int, anna: int
) -> None:
    other = desk.book(in_days(8))
    desk.work()
    clock.advance(timedelta(minutes=10))
    for each in (booked, other):
        desk.cal.vanish(uid_of(desk, each))
    mails = len(desk.cal.mails())

    first = found(desk, booked)
    settle(desk, first, Action.PUSH_AGAIN, anna)
    desk.work()
    assert in_step(desk, booked)
    assert desk.cal.mails()[mails:] == ["created"]
    assert is_settled(desk, first, Resolution.PUSHED_AGAIN, anna)

    second = found(desk, other)
    settle(desk, second, Action.TAKE_REMOTE, anna)
    desk.work()
    row = desk.appointment(other)
    assert (row.status, row.calcom_v2_booking_id) == (AppointmentStatus.CANCELLED, None)
    assert in_step(desk, other)
    assert desk.cal.mails()[mails:] == ["created"]
    assert is_settled(desk, second, Resolution.TOOK_REMOTE, anna)


def orphan(desk: Desk, appointment_id: int) -> int:
    """As a run leaves a booking that no appointment claimed."""
    with as_company(desk.company.id):
        row = desk._row(appointment_id)
        row.calcom_sync_status = SyncState.ORPHANED_CALCOM
        row.requires_manual_review, row.manual_review_flagged_at = True, clock.now()
        finding = Discrepancy(
            appointment_id=appointment_id,
            type="orphaned_calcom",
            code="ORPHANED_CALCOM",
            opened_at=clock.now(),
            last_seen_at=clock.now(),
        )
        db.session.add(finding)
        db.session.commit()
        return finding.id


def test_an_adopted_booking_is_ours_as_it_stands_now(desk: Desk, booked: int, anna: int) -> None:
    finding = orphan(desk, booked)
    move_there(desk, booked)
    mails = desk.cal.mails()
    settle(desk, finding, Action.ADOPT, anna)
    desk.work()
    assert in_step(desk, booked)
    assert desk.appointment(booked).starts_at == in_days(6)
    assert desk.cal.mails() == mails
    assert is_settled(desk, finding, Resolution.ADOPTED, anna)


def test_an_unchanged_booking_is_adopted_too(desk: Desk, booked: int, anna: int) -> None:
    finding = orphan(desk, booked)
    settle(desk, finding, Action.ADOPT, anna)
    desk.work()
    assert in_step(desk, booked)
    assert is_settled(desk, finding, Resolution.ADOPTED, anna)


def test_cancelling_on_calcom_ends_both_with_the_reason_in_one_mail(
    desk: Desk, booked: int, anna: int
) -> None:
    finding = orphan(desk, booked)
    before = len(desk.cal.mails())
    settle(desk, finding, Action.CANCEL_REMOTE, anna, "Booked by mistake")
    assert desk.cal.live_bookings(), "nothing is called while the person waits"
    desk.work()
    assert desk.cal.live_bookings() == []
    assert desk.cal.mails()[before:] == ["cancelled"]
    row = desk.appointment(booked)
    assert (row.status, row.cancellation_reason) == ("cancelled", "Booked by mistake")
    assert in_step(desk, booked)
    [settled] = findings(desk, booked)
    assert is_settled(desk, finding, Resolution.CANCELLED_REMOTE, anna)
    assert settled.resolution_note == "Booked by mistake"


def test_cancelled_here_and_live_there_is_cancelled_there(
    desk: Desk, booked: int, anna: int
) -> None:
    desk.set_status(booked, AppointmentStatus.CANCELLED)
    finding = found(desk, booked)
    settle(desk, finding, Action.CANCEL_REMOTE, anna, "Cancelled by telephone")
    desk.work()
    assert desk.cal.live_bookings() == []
    assert in_step(desk, booked)


def test_a_dismissed_finding_stays_away_until_the_facts_change(
    desk: Desk, booked: int, anna: int
) -> None:
    move_there(desk, booked)
    finding = found(desk, booked)
    settle(desk, finding, Action.DISMISS, anna, "Agreed on the telephone")
    assert desk.inbox(anna)[-1] == ("data_mismatch", False)
    row = desk.appointment(booked)
    assert (row.requires_manual_review, row.calcom_sync_status) == (False, SyncState.FAILED)

    clock.advance(timedelta(hours=6))
    desk.run()
    assert verify(desk, booked) is None
    assert desk.appointment(booked).requires_manual_review is False
    assert desk.inbox(anna) == [("data_mismatch", False)]

    move_there(desk, booked, 8)
    again = verify(desk, booked)
    assert again is not None
    assert (again.reopened_count, desk.appointment(booked).requires_manual_review) == (1, True)
    first = findings(desk, booked)[0]
    assert is_settled(desk, finding, Resolution.DISMISSED, anna)
    assert (first.resolution_note, first.time_to_resolution) == (
        "Agreed on the telephone",
        first.resolved_at - first.opened_at if first.resolved_at else None,
    )


def test_a_dismissal_ends_when_both_have_agreed_meanwhile(
    desk: Desk, booked: int, anna: int
) -> None:
    move_there(desk, booked)
    settle(desk, found(desk, booked), Action.DISMISS, anna, "Let it be")
    clock.advance(timedelta(minutes=1))
    move_there(desk, booked, 5)
    assert verify(desk, booked) is None
    assert in_step(desk, booked)
    clock.advance(timedelta(minutes=1))
    move_there(desk, booked, 6)
    assert verify(desk, booked) is not None


def test_what_clears_by_itself_is_closed_as_such_and_reopens_when_it_comes_back(
    desk: Desk, booked: int, anna: int
) -> None:
    move_there(desk, booked)
    first = found(desk, booked)
    move_there(desk, booked, 5)
    run_job("verification", desk.company.id, booked)
    assert is_settled(desk, first, Resolution.BY_ITSELF, None)
    assert desk.inbox(anna) == [("data_mismatch", False)]
    move_there(desk, booked)
    again = verify(desk, booked)
    assert again is not None
    assert (again.id == first, again.reopened_count) == (False, 1)
    assert desk.inbox(anna) == [("data_mismatch", False), ("data_mismatch", True)]


def test_a_failed_look_ends_the_wish_and_says_why(desk: Desk, booked: int, anna: int) -> None:
    move_there(desk, booked)
    finding = found(desk, booked)
    settle(desk, finding, Action.TAKE_REMOTE, anna)
    desk.cal.fail({"kind": "status", "status": 503})
    desk.work()
    desk.cal.heal()
    assert desk.open_findings() == [(booked, "verification_error", "VERIFICATION_ERROR")]
    clock.advance(timedelta(minutes=5))
    desk.work()
    assert desk.appointment(booked).starts_at == in_days(5), "an old wish is not carried out later"


def test_a_second_click_is_refused_and_what_is_settled_is_settled(
    desk: Desk, booked: int, anna: int
) -> None:
    move_there(desk, booked)
    finding = found(desk, booked)
    with pytest.raises(NotOffered, match="not_offered"):
        settle(desk, finding, Action.ADOPT, anna)
    settle(desk, finding, Action.KEEP_OURS, anna)
    with pytest.raises(NotOffered, match="busy"):
        settle(desk, finding, Action.KEEP_OURS, anna)
    desk.work()
    with pytest.raises(NotOffered, match="settled"):
        settle(desk, finding, Action.RETRY, anna)
