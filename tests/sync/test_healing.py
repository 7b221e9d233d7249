"""What the company's policies put right by themselves, against the sandbox: rows, calls, mails."""

from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from tests.desk import Desk, in_days
from tests.factories import make_person
from webapp import clock
from webapp.extensions import db
from webapp.models.appointment import AppointmentStatus
from webapp.models.company import FieldPolicy
from webapp.models.discrepancy import Discrepancy
from webapp.models.history import EventKind, HistoryEvent
from webapp.models.sync_state import SyncState
from webapp.models.tenancy import as_company
from webapp.models.user import Role

THEIRS, OURS = FieldPolicy.CALCOM_WINS, FieldPolicy.OURS_WINS


@pytest.fixture
def booked(desk: Desk) -> int:
    """An appointment that stands on both sides, past its grace period."""
    appointment_id = desk.book(in_days(5))
    desk.work()
    clock.advance(timedelta(minutes=10))
    return appointment_id


def decide(desk: Desk, **policies: FieldPolicy) -> None:
    desk._write_company(**policies)


def uid_of(desk: Desk, appointment_id: int) -> Any:
    return desk.appointment(appointment_id).calcom_v2_booking_id


def move_there(desk: Desk, appointment_id: int, days: int) -> str:
    moved = desk.cal.change(
        uid_of(desk, appointment_id), "reschedule", start=in_days(days).isoformat()
    )
    return str(moved["uid"])


def discrepancies(desk: Desk, appointment_id: int) -> list[tuple[str, str | None]]:
    with as_company(desk.company.id):
        rows = db.session.scalars(
            select(Discrepancy)
            .where(Discrepancy.appointment_id == appointment_id)
            .order_by(Discrepancy.id)
        )
        return [(row.type.value, row.resolution and row.resolution.value) for row in rows]


def healed(desk: Desk, appointment_id: int) -> list[dict[str, Any]]:
    with as_company(desk.company.id):
        rows = db.session.scalars(
            select(HistoryEvent)
            .where(
                HistoryEvent.appointment_id == appointment_id,
                HistoryEvent.kind == EventKind.HEALED,
            )
            .order_by(HistoryEvent.id)
        )
        return [row.data for row in rows]


def test_where_cal_com_wins_its_time_is_taken_and_nothing_is_pushed(
    desk: Desk, booked: int, engine: Flask
) -> None:
    admin = make_person(desk.company, Role.ADMIN)
    decide(desk, start_policy=THEIRS)
    moved = move_there(desk, booked, 6)
    mails = len(desk.cal.mails())

    desk.verify_automatically(booked)
    desk.work()

    row = desk.appointment(booked)
    assert (row.starts_at, row.calcom_v2_booking_id) == (in_days(6), moved)
    assert row.calcom_sync_status is SyncState.SYNCED
    assert not row.requires_manual_review
    assert discrepancies(desk, booked) == [("data_mismatch", "by_policy")]
    assert len(desk.cal.mails()) == mails
    assert len(desk.intents(booked)) == 1
    assert desk.inbox(admin.id) == []
    [event] = healed(desk, booked)
    assert (event["remedy"], event["mails"]) == ("follow", False)
    assert event["fields"]["starts_at"]["moved"] == "theirs"


def test_where_cal_com_wins_its_cancellation_is_taken(desk: Desk, booked: int) -> None:
    decide(desk, status_policy=THEIRS)
    desk.cal.change(uid_of(desk, booked), "cancel", reason="Ill")
    desk.verify_automatically(booked)
    desk.work()
    row = desk.appointment(booked)
    assert row.status is AppointmentStatus.CANCELLED
    assert row.calcom_sync_status is SyncState.SYNCED


def test_where_ours_wins_it_is_moved_back_with_one_mail(desk: Desk, booked: int) -> None:
    decide(desk, start_policy=OURS)
    move_there(desk, booked, 6)
    mails = desk.cal.mails()

    desk.verify_automatically(booked)
    desk.work()

    [booking] = desk.cal.live_bookings()
    row = desk.appointment(booked)
    assert row.starts_at == in_days(5)
    assert booking["start"].startswith(f"{in_days(5):%Y-%m-%dT%H:%M}")
    assert row.calcom_v2_booking_id == booking["uid"]
    assert row.calcom_sync_status is SyncState.SYNCED
    assert discrepancies(desk, booked) == [("data_mismatch", "by_policy")]
    assert desk.cal.mails()[len(mails) :] == ["rescheduled"]
    assert desk.intents(booked)[-1].is_interactive is False
    [event] = healed(desk, booked)
    assert (event["remedy"], event["mails"]) == ("push", True)


def test_a_whole_calendar_moved_there_does_not_mail_everybody(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("webapp.sync.policies.MOST_MAILS_IN_WINDOW", 2)
    moved = [desk.book(in_days(5, hour)) for hour in (9, 11, 13, 15)]
    desk.work()
    clock.advance(timedelta(minutes=10))
    decide(desk, start_policy=OURS)
    for appointment_id in moved:
        move_there(desk, appointment_id, 6 + appointment_id)
    mails = len(desk.cal.mails())

    for appointment_id in moved:
        desk.verify_automatically(appointment_id)
    desk.work()

    assert len(desk.cal.mails()) == mails + 2
    assert [each[0] for each in desk.open_findings()] == moved[2:]
    assert {each.evidence["held_back"] for each in findings(desk)} == {"too_many_mails"}

    clock.advance(timedelta(hours=1, minutes=1))
    for appointment_id in moved:
        desk.verify_automatically(appointment_id)
    desk.work()
    assert len(desk.cal.mails()) == mails + 4
    assert desk.open_findings() == []


def findings(desk: Desk) -> list[Discrepancy]:
    with as_company(desk.company.id):
        query = select(Discrepancy).where(Discrepancy.resolved_at.is_(None))
        return list(db.session.scalars(query))


def test_where_ours_wins_a_cancelled_booking_is_made_anew(desk: Desk, booked: int) -> None:
    decide(desk, status_policy=OURS)
    old = uid_of(desk, booked)
    desk.cal.change(old, "cancel", reason="By mistake")
    desk.verify_automatically(booked)
    desk.work()
    [booking] = desk.cal.live_bookings()
    assert booking["uid"] != old
    assert desk.appointment(booked).calcom_sync_status is SyncState.SYNCED


def test_what_was_flagged_before_the_policy_changed_is_healed_then(
    desk: Desk, booked: int, engine: Flask
) -> None:
    admin = make_person(desk.company, Role.ADMIN)
    move_there(desk, booked, 6)
    desk.verify_automatically(booked)
    assert desk.open_findings() == [(booked, "data_mismatch", "DATA_MISMATCH")]
    assert desk.inbox(admin.id) == [("data_mismatch", True)]

    decide(desk, start_policy=THEIRS)
    desk.verify_automatically(booked)

    assert discrepancies(desk, booked) == [("data_mismatch", "by_policy")]
    assert desk.inbox(admin.id) == [("data_mismatch", False)]
    assert not desk.appointment(booked).requires_manual_review


def test_contradicting_policies_leave_it_to_a_person_who_reads_why(desk: Desk, booked: int) -> None:
    decide(desk, start_policy=THEIRS, status_policy=OURS)
    desk.set_status(booked, AppointmentStatus.PENDING)
    move_there(desk, booked, 6)
    desk.verify_automatically(booked)
    assert desk.open_findings() == [(booked, "data_mismatch", "DATA_MISMATCH")]
    assert desk.evidence(booked)["held_back"] == "conflict"
    assert healed(desk, booked) == []


def test_two_sides_that_keep_moving_it_do_not_play_ping_pong(desk: Desk, booked: int) -> None:
    """Somebody on Cal.com insists: one push a day, then a person decides."""
    decide(desk, start_policy=OURS)
    for day in (6, 7, 8):
        move_there(desk, booked, day)
        desk.verify_automatically(booked)
        desk.work()
        clock.advance(timedelta(minutes=10))
    assert [event["remedy"] for event in healed(desk, booked)] == ["push"]
    assert desk.open_findings() == [(booked, "data_mismatch", "DATA_MISMATCH")]
    assert desk.evidence(booked)["held_back"] == "repeated"
    assert desk.cal.mails().count("rescheduled") == 4, "three there, one of ours"


def test_a_push_by_policy_that_fails_is_flagged_and_told_like_any(
    desk: Desk, booked: int, engine: Flask
) -> None:
    admin = make_person(desk.company, Role.ADMIN)
    decide(desk, start_policy=OURS)
    move_there(desk, booked, 6)
    desk.cal.fail({"kind": "status", "status": 400, "operation": "bookings.reschedule"})

    desk.verify_automatically(booked)
    desk.work()

    row = desk.appointment(booked)
    assert row.requires_manual_review
    assert discrepancies(desk, booked) == [
        ("data_mismatch", "by_policy"),
        ("sync_failed", None),
    ]
    assert ("sync_failed", True) in desk.inbox(admin.id)
    clock.advance(timedelta(hours=25))
    desk.cal.heal()
    desk.verify_automatically(booked)
    assert len(healed(desk, booked)) == 1, "what could not be carried is a person's"


@pytest.mark.parametrize(
    ("policy", "remedy", "intents"), [(THEIRS, "follow", 1), (OURS, "push", 2)]
)
def test_a_run_heals_what_its_page_shows(
    desk: Desk, policy: FieldPolicy, remedy: str, intents: int
) -> None:
    found = [desk.book(in_days(day)) for day in (3, 4, 5)]
    desk.work()
    clock.advance(timedelta(minutes=10))
    decide(desk, start_policy=policy)
    for appointment_id in found[:2]:
        row = desk.appointment(appointment_id)
        start = row.starts_at.replace(hour=15).isoformat()
        desk.cal.change(row.calcom_v2_booking_id, "reschedule", start=start)

    run = desk.run()
    desk.work()

    assert (run.compared_count, run.disagreed_count, run.flagged_count) == (3, 2, 0)
    for appointment_id in found[:2]:
        assert [event["remedy"] for event in healed(desk, appointment_id)] == [remedy]
        assert len(desk.intents(appointment_id)) == intents
        assert desk.appointment(appointment_id).calcom_sync_status is SyncState.SYNCED
        assert discrepancies(desk, appointment_id) == [("data_mismatch", "by_policy")]
    assert healed(desk, found[2]) == []


def test_a_run_flags_what_the_policies_cannot_settle_and_counts_both(desk: Desk) -> None:
    moved, cancelled = (desk.book(in_days(day)) for day in (3, 4))
    desk.work()
    clock.advance(timedelta(minutes=10))
    decide(desk, start_policy=THEIRS)
    move_there(desk, moved, 6)
    desk.cal.change(uid_of(desk, cancelled), "cancel", reason="Ill")

    run = desk.run()

    assert (run.disagreed_count, run.flagged_count) == (2, 1)
    assert desk.open_findings() == [(cancelled, "data_mismatch", "DATA_MISMATCH")]
    assert "held_back" not in desk.evidence(cancelled)


def test_a_runs_healing_closes_flags_and_counts_them(desk: Desk, booked: int) -> None:
    move_there(desk, booked, 6)
    desk.run()
    assert desk.open_findings() == [(booked, "data_mismatch", "DATA_MISMATCH")]
    decide(desk, start_policy=THEIRS)
    clock.advance(timedelta(minutes=10))
    run = desk.run()
    assert (run.healed_count, run.flagged_count) == (1, 0)
    assert desk.open_findings() == []


class TestNeverCreated:
    """A missing booking whose create never succeeded is pushed again by itself (S5.8)."""

    @pytest.fixture
    def refused(self, desk: Desk) -> int:
        """Booked while Cal.com was down for longer than all retries take."""
        desk.cal.fail({"kind": "status", "status": 400, "operation": "bookings.create"})
        appointment_id = desk.book(in_days(9))
        desk.work()
        desk.cal.heal()
        assert desk.open_findings() == [(appointment_id, "sync_failed", "HTTP_400")]
        return appointment_id

    def test_it_arrives_by_itself_and_its_flag_closes(self, desk: Desk, refused: int) -> None:
        desk.verify_automatically(refused)
        desk.work()
        [booking] = desk.cal.live_bookings()
        row = desk.appointment(refused)
        assert row.calcom_v2_booking_id == booking["uid"]
        assert row.calcom_sync_status is SyncState.SYNCED
        assert desk.open_findings() == []
        assert desk.cal.mails() == ["created"]
        assert [event["remedy"] for event in healed(desk, refused)] == ["create"]

    def test_a_run_creates_it_again_too(self, desk: Desk, refused: int) -> None:
        clock.advance(timedelta(minutes=10))
        run = desk.run()
        desk.work()
        assert run.flagged_count == 0
        assert desk.appointment(refused).calcom_sync_status is SyncState.SYNCED
        assert [event["remedy"] for event in healed(desk, refused)] == ["create"]

    def test_it_is_not_tried_for_ever_nor_told_again(
        self, desk: Desk, refused: int, engine: Flask
    ) -> None:
        admin = make_person(desk.company, Role.ADMIN)
        desk.cal.fail({"kind": "status", "status": 400, "operation": "bookings.create"})
        for _ in range(6):
            desk.verify_automatically(refused)
            desk.work()
            desk.verify_automatically(refused)
            desk.work()
            clock.advance(timedelta(hours=24))
        assert len(healed(desk, refused)) == 3
        assert desk.cal.operations().count("bookings.create") == 4
        assert desk.appointment(refused).requires_manual_review
        assert desk.inbox(admin.id).count(("sync_failed", True)) <= 1

    def test_that_it_is_refused_again_on_later_days_is_told_to_nobody(
        self, desk: Desk, engine: Flask
    ) -> None:
        admin = make_person(desk.company, Role.ADMIN)
        desk.cal.fail({"kind": "status", "status": 400, "operation": "bookings.create"})
        refused = desk.book(in_days(9))
        desk.work()
        assert desk.inbox(admin.id) == [("sync_failed", True)]

        for _ in range(3):
            self.pass_a_day(desk, refused)

        assert desk.cal.operations().count("bookings.create") == 4
        assert desk.inbox(admin.id) == [("sync_failed", True)], "the first item, still open"

    def test_that_it_is_refused_for_another_reason_is_told(self, desk: Desk, engine: Flask) -> None:
        admin = make_person(desk.company, Role.ADMIN)
        desk.cal.fail({"kind": "status", "status": 400, "operation": "bookings.create"})
        refused = desk.book(in_days(9))
        desk.work()
        self.pass_a_day(desk, refused)

        desk.cal.fail({"kind": "status", "status": 404, "operation": "bookings.create"})
        self.pass_a_day(desk, refused)

        assert desk.inbox(admin.id) == [("sync_failed", False), ("sync_failed", True)]

    def pass_a_day(self, desk: Desk, appointment_id: int) -> None:
        """The night's run pushes it again, the next run finds nothing there."""
        for _ in range(2):
            desk.verify_automatically(appointment_id)
            desk.work()
        clock.advance(timedelta(hours=24))

    def test_a_person_who_verifies_is_told_and_mails_nobody(self, desk: Desk, refused: int) -> None:
        desk.ask_to_verify(refused)
        desk.work()
        assert desk.open_findings() == [(refused, "orphaned_local", "ORPHANED_LOCAL")]
        assert healed(desk, refused) == []

    def test_what_was_once_there_and_is_gone_is_never_made_anew_by_itself(
        self, desk: Desk, booked: int
    ) -> None:
        desk.cal.vanish(uid_of(desk, booked))
        desk.verify_automatically(booked)
        desk.work_through(120, step=20)
        assert desk.appointment(booked).calcom_sync_status is SyncState.ORPHANED_LOCAL
        assert healed(desk, booked) == []

    def test_nor_is_what_was_cancelled_here_meanwhile(self, desk: Desk, refused: int) -> None:
        desk.cancel(refused)
        desk.work()
        desk.verify_automatically(refused)
        desk.work()
        assert desk.cal.live_bookings() == []
        assert healed(desk, refused) == []
