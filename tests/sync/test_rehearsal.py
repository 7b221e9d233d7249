"""The rehearsal promises what healing then does: for every pair of policies and every event."""

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from itertools import product

import pytest
from sqlalchemy import select

from tests.desk import Desk, in_days
from webapp import clock
from webapp.extensions import db
from webapp.jobs.connection import open_client
from webapp.jobs.verification import patience
from webapp.models.appointment import AppointmentStatus
from webapp.models.company import Company, FieldPolicy
from webapp.models.discrepancy import Discrepancy, DiscrepancyType, Resolution
from webapp.models.history import EventKind, HistoryEvent
from webapp.models.tenancy import as_company
from webapp.sync.judge import record_verification
from webapp.sync.policies import HeldBack, Policies, Remedy
from webapp.sync.rehearsal import LOOKS_BACK, Rehearsal, rehearse
from webapp.sync.verify import Look, Observation, observe, plan_verification

PAIRS = [Policies(start, status) for start, status in product(FieldPolicy, FieldPolicy)]
Seen = list[tuple[Look, Observation]]


def move_there(desk: Desk, appointment_id: int, hour: int = 15) -> None:
    row = desk.appointment(appointment_id)
    start = row.starts_at.replace(hour=hour)
    desk.cal.change(row.calcom_v2_booking_id, "reschedule", start=start.isoformat())


def cancel_there(desk: Desk, appointment_id: int) -> None:
    desk.cal.change(desk.appointment(appointment_id).calcom_v2_booking_id, "cancel", reason="…")


def move_and_cancel_there(desk: Desk, appointment_id: int) -> None:
    row = desk.appointment(appointment_id)
    start = row.starts_at.replace(hour=15)
    moved = desk.cal.change(row.calcom_v2_booking_id, "reschedule", start=start.isoformat())
    desk.cal.change(moved["uid"], "cancel", reason="…")


def fail_to_cancel_here(desk: Desk, appointment_id: int) -> None:
    desk.cal.fail({"kind": "status", "status": 400, "operation": "bookings.cancel"})
    desk.cancel(appointment_id)
    desk.work()
    desk.cal.heal()


def confirm_there_alone(desk: Desk, appointment_id: int) -> None:
    desk.set_status(appointment_id, AppointmentStatus.PENDING)


def move_there_what_is_over(desk: Desk, appointment_id: int) -> None:
    desk.set_status(appointment_id, AppointmentStatus.COMPLETED)
    move_there(desk, appointment_id)


def be_pushed_lately_and_moved_again(desk: Desk, appointment_id: int) -> None:
    desk._write_company(start_policy=FieldPolicy.OURS_WINS)
    move_there(desk, appointment_id)
    desk.verify_automatically(appointment_id)
    desk.work()
    desk._write_company(start_policy=FieldPolicy.FLAG)
    clock.advance(timedelta(minutes=10))
    move_there(desk, appointment_id, hour=16)


EVENTS: list[Callable[[Desk, int], None]] = [
    move_there,
    cancel_there,
    move_and_cancel_there,
    fail_to_cancel_here,
    confirm_there_alone,
    move_there_what_is_over,
    be_pushed_lately_and_moved_again,
]


@pytest.fixture
def flagged(desk: Desk) -> list[int]:
    """One appointment per event, each flagged because nothing else was decided yet."""
    found = []
    for number, cause in enumerate(EVENTS):
        appointment_id = desk.book(in_days(5 + number))
        desk.work()
        clock.advance(timedelta(minutes=10))
        cause(desk, appointment_id)
        desk.verify_automatically(appointment_id)
        found.append(appointment_id)
    assert [each[0] for each in desk.open_findings()] == found
    return found


def look_at(appointment_ids: list[int]) -> Seen:
    """What the next verification of each would see, without writing down what it comes to."""
    clock.advance(timedelta(minutes=10))
    looks = [
        plan_verification(db.session(), each, now=clock.now(), patience=patience())
        for each in appointment_ids
    ]
    db.session.commit()
    with open_client() as client:
        return [(look, observe(look, client)) for look in looks if look is not None]


def heal_all(seen: Seen) -> dict[int, Remedy]:
    """Verify in earnest; appointment → what was done. The caller rolls back."""
    before = db.session.scalar(select(HistoryEvent.id).order_by(HistoryEvent.id.desc()).limit(1))
    for look, observation in seen:
        record_verification(db.session(), look, observation, now=clock.now(), patience=patience())
    db.session.flush()
    rows = db.session.scalars(
        select(HistoryEvent).where(HistoryEvent.id > before, HistoryEvent.kind == EventKind.HEALED)
    )
    done = {row.appointment_id: Remedy(row.data["remedy"]) for row in rows}
    return {look.appointment_id: done.get(look.appointment_id, Remedy.FLAG) for look, _ in seen}


def promised(session_policies: Policies) -> Rehearsal:
    return rehearse(db.session(), session_policies, now=clock.now())


def test_what_the_rehearsal_promises_is_what_healing_does(desk: Desk, flagged: list[int]) -> None:
    with as_company(desk.company.id):
        seen = look_at(flagged)
        assert len(seen) == len(flagged)
        remedies = set()
        for policies in PAIRS:
            company = db.session.get_one(Company, desk.company.id)
            company.start_policy, company.status_policy = policies.start, policies.status
            promise = promised(policies)

            done = heal_all(seen)

            assert promise.open_by_remedy == Counter(done.values()), policies
            open_ones = {
                each.found.appointment_id: each.choice.remedy
                for each in promise.samples
                if each.is_open
            }
            assert open_ones.items() <= done.items(), policies
            assert promise.open_mails == sum(remedy.mails for remedy in done.values())
            remedies |= set(done.values())
            db.session.rollback()
        assert remedies == {Remedy.FLAG, Remedy.FOLLOW, Remedy.PUSH}


def test_a_settled_one_is_judged_as_it_stood_when_it_was_found(desk: Desk) -> None:
    """By now it is completed and past; when it was found it was neither."""
    appointment_id = desk.book(in_days(2))
    desk.work()
    clock.advance(timedelta(minutes=10))
    move_there(desk, appointment_id)
    desk.verify_automatically(appointment_id)
    with as_company(desk.company.id):
        row = db.session.scalars(select(Discrepancy)).one()
        row.resolution, row.resolved_at = Resolution.DISMISSED, clock.now()
        db.session.commit()
    clock.advance(timedelta(days=20))
    desk.set_status(appointment_id, AppointmentStatus.COMPLETED)
    with as_company(desk.company.id):
        assert promised(Policies(start=FieldPolicy.OURS_WINS)).by_remedy == {Remedy.PUSH: 1}


def test_the_same_appointment_is_not_mailed_twice_a_day_in_the_rehearsal_either(
    desk: Desk,
) -> None:
    appointment_id = desk.book(in_days(5))
    with as_company(desk.company.id):
        for hours_ago in (50, 30, 10, 9):
            _add_settled(appointment_id, hours_ago)
        db.session.commit()
        promise = promised(Policies(start=FieldPolicy.OURS_WINS))
    assert promise.by_remedy == {Remedy.PUSH: 2, Remedy.FLAG: 2}
    assert promise.held_back == {HeldBack.REPEATED: 2}


def test_what_was_settled_longer_ago_is_left_out(desk: Desk) -> None:
    appointment_id = desk.book(in_days(5))
    days = LOOKS_BACK.days
    with as_company(desk.company.id):
        _add_settled(appointment_id, days * 24 + 1)
        _add_settled(appointment_id, days * 24 - 1)
        db.session.commit()
        assert promised(Policies()).total == 1


def _add_settled(appointment_id: int, hours_ago: float) -> None:
    at = clock.now() - timedelta(hours=hours_ago)
    fields = {"starts_at": {"base": "a", "ours": "a", "theirs": "b", "moved": "theirs"}}
    db.session.add(
        Discrepancy(
            appointment_id=appointment_id,
            type=DiscrepancyType.DATA_MISMATCH,
            code="DATA_MISMATCH",
            evidence={"fields": fields},
            opened_at=at,
            last_seen_at=at,
            resolution=Resolution.BY_ITSELF,
            resolved_at=at,
        )
    )
    db.session.flush()
