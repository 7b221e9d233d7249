"""While a company is paused its changes wait and lose nothing; everything else goes on."""

from datetime import datetime

from sqlalchemy import select

from tests.desk import Desk, in_days
from tests.factories import make_company
from webapp import clock
from webapp.extensions import db
from webapp.jobs.inline import run_job
from webapp.models.audit import Actor, AuditEntry
from webapp.models.company import Company
from webapp.models.sync_state import SyncState
from webapp.models.tenancy import as_company
from webapp.sync.pausing import pause_pushing, resume_pushing, waiting_changes

PAULA = 7


def pause(desk: Desk, by: str = "Paula") -> bool:
    with as_company(desk.company.id):
        is_paused = pause_pushing(
            db.session(), by=by, actor=Actor.USER, user_id=PAULA, now=clock.now()
        )
        db.session.commit()
    return is_paused


def resume(desk: Desk) -> bool:
    with as_company(desk.company.id):
        is_resumed = resume_pushing(
            db.session(), actor=Actor.OPERATOR, user_id=None, now=clock.now()
        )
        db.session.commit()
    return is_resumed


def waiting(company_id: int) -> int:
    with as_company(company_id):
        return waiting_changes(db.session())


def pause_of(company_id: int) -> tuple[datetime | None, str | None]:
    with as_company(company_id):
        company = db.session.get_one(Company, company_id)
        return company.paused_at, company.paused_by


def audit_of(company_id: int) -> list[tuple[str, str, str, int | None]]:
    with as_company(company_id):
        rows = db.session.scalars(select(AuditEntry).order_by(AuditEntry.id))
        return [(row.action, row.subject, row.actor.value, row.user_id) for row in rows]


def test_what_is_booked_while_paused_waits_and_reaches_calcom_after_resuming(desk: Desk) -> None:
    pause(desk)
    appointment_id = desk.book()
    desk.work_through(120, step=20)
    assert desk.cal.bookings() == []
    assert desk.appointment(appointment_id).calcom_sync_status is SyncState.PENDING

    resume(desk)
    desk.work()

    assert desk.appointment(appointment_id).calcom_sync_status is SyncState.SYNCED
    assert len(desk.cal.live_bookings()) == 1
    assert desk.cal.mails() == ["created"]


def test_waiting_for_a_pause_costs_no_attempt(desk: Desk) -> None:
    pause(desk)
    appointment_id = desk.book()
    desk.work_through(60, step=20)

    [intent] = desk.intents(appointment_id)

    assert intent.attempt_count == 0
    assert desk.open_findings() == []


def test_changes_made_while_paused_collapse_into_the_newest(desk: Desk) -> None:
    appointment_id = desk.book(in_days(2))
    desk.work()
    pause(desk)
    desk.move(appointment_id, in_days(3))
    desk.move(appointment_id, in_days(4))
    assert waiting(desk.company.id) == 1

    resume(desk)
    desk.work()

    assert desk.appointment(appointment_id).base_starts_at == in_days(4)
    assert desk.cal.mails() == ["created", "rescheduled"]


def test_verification_goes_on_while_paused(desk: Desk) -> None:
    appointment_id = desk.book()
    desk.work()
    verified_at = desk.appointment(appointment_id).sync_verified_at
    pause(desk)

    desk.verify_automatically(appointment_id)
    run = desk.run()

    row = desk.appointment(appointment_id)
    assert row.calcom_sync_status is SyncState.SYNCED
    assert verified_at is not None
    assert row.sync_verified_at is not None
    assert row.sync_verified_at > verified_at
    assert run.error_code is None


def test_a_second_pause_keeps_the_first_ones_author_and_time(desk: Desk) -> None:
    assert pause(desk, by="Paula")
    first = pause_of(desk.company.id)
    desk.work_through(10, step=10)

    assert not pause(desk, by="Paul")

    assert pause_of(desk.company.id) == first
    assert first[1] == "Paula"
    assert len(audit_of(desk.company.id)) == 1


def test_resuming_twice_is_resuming_once(desk: Desk) -> None:
    pause(desk)

    assert resume(desk)
    assert not resume(desk)

    assert pause_of(desk.company.id) == (None, None)


def test_pausing_and_resuming_are_audited_with_their_doer(desk: Desk) -> None:
    pause(desk)
    resume(desk)

    subject = f"company:{desk.company.id}"
    assert audit_of(desk.company.id) == [
        ("company.paused", subject, "user", PAULA),
        ("company.resumed", subject, "operator", None),
    ]


def test_a_pause_that_is_not_committed_leaves_no_audit_entry(desk: Desk) -> None:
    with as_company(desk.company.id):
        pause_pushing(db.session(), by="Paula", actor=Actor.USER, user_id=PAULA, now=clock.now())
        db.session.rollback()

    assert pause_of(desk.company.id) == (None, None)
    assert audit_of(desk.company.id) == []


def test_what_waits_and_what_is_in_flight_is_counted_and_nothing_else(desk: Desk) -> None:
    done = desk.book(in_days(2))
    desk.work()
    in_flight = desk.book(in_days(3))
    [intent] = desk.intents(in_flight)
    desk.claim(intent.id)
    desk.book(in_days(4))

    assert desk.appointment(done).calcom_sync_status is SyncState.SYNCED
    assert waiting(desk.company.id) == 2


def test_another_companys_changes_are_neither_counted_nor_paused(desk: Desk) -> None:
    other = make_company("blau")
    desk.book()

    pause(desk)

    assert waiting(other.id) == 0
    assert pause_of(other.id) == (None, None)
    assert audit_of(other.id) == []


def test_a_job_that_was_queued_before_the_pause_sends_nothing(desk: Desk) -> None:
    [intent] = desk.intents(desk.book())
    pause(desk)

    run_job("push", desk.company.id, intent.id)

    assert desk.cal.operations() == []
    [row] = desk.intents(intent.appointment_id)
    assert (row.status.value, row.attempt_count) == ("waiting", 0)
