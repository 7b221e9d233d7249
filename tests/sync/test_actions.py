"""What may be done about a finding: the table, and its twin in SQL over every combination."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from tests.factories import Tenant, make_appointment, make_discrepancy
from webapp import clock
from webapp.extensions import db
from webapp.models.appointment import Appointment, AppointmentStatus
from webapp.models.discrepancy import Action, Discrepancy, DiscrepancyType
from webapp.models.sync_state import SyncState
from webapp.models.tenancy import as_company
from webapp.sync.actions import actions_for, ends_appointment, ends_many, offers, suggest

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
TO_COME, PAST = NOW + timedelta(days=2), NOW - timedelta(days=2)
RETRY, PUSH, TAKE, KEEP = Action.RETRY, Action.PUSH_AGAIN, Action.TAKE_REMOTE, Action.KEEP_OURS
ADOPT, CANCEL, DISMISS = Action.ADOPT, Action.CANCEL_REMOTE, Action.DISMISS


def field(ours: str, theirs: str, moved: str) -> dict[str, str]:
    return {"base": ours, "ours": ours, "theirs": theirs, "moved": moved}


MOVED_THERE = {"starts_at": field(TO_COME.isoformat(), NOW.isoformat(), "theirs")}
MOVED_HERE = {"starts_at": field(TO_COME.isoformat(), NOW.isoformat(), "ours")}
MOVED_ON_BOTH = {"starts_at": field(TO_COME.isoformat(), NOW.isoformat(), "both")}
CANCELLED_THERE = {"status": field("accepted", "cancelled", "theirs")}
LIVE_THERE = {"status": field("cancelled", "accepted", "ours")}
LIVE_THERE_LATER = {**LIVE_THERE, "starts_at": field("x", TO_COME.isoformat(), "both")}


@dataclass(frozen=True)
class Case:
    name: str
    type: DiscrepancyType
    offered: tuple[Action, ...]
    suggested: Action | None
    code: str = "X"
    status: AppointmentStatus = AppointmentStatus.CONFIRMED
    state: SyncState = SyncState.FAILED
    starts_at: datetime = TO_COME
    fields: dict[str, Any] | None = None
    is_verifying: bool = False
    ends: tuple[Action, ...] = ()


MISMATCH, LOST = DiscrepancyType.DATA_MISMATCH, DiscrepancyType.ORPHANED_LOCAL
THERE, ERROR = DiscrepancyType.ORPHANED_CALCOM, DiscrepancyType.VERIFICATION_ERROR
UNSENT = DiscrepancyType.SYNC_FAILED
CANCELLED, DONE = AppointmentStatus.CANCELLED, AppointmentStatus.COMPLETED
LOCAL, REMOTE = SyncState.ORPHANED_LOCAL, SyncState.ORPHANED_CALCOM

CASES = [
    Case("moved there", MISMATCH, (RETRY, TAKE, KEEP, DISMISS), TAKE, fields=MOVED_THERE),
    Case("moved here", MISMATCH, (RETRY, TAKE, KEEP, DISMISS), KEEP, fields=MOVED_HERE),
    Case("moved on both", MISMATCH, (RETRY, TAKE, KEEP, DISMISS), None, fields=MOVED_ON_BOTH),
    Case(
        "cancelled there", MISMATCH, (RETRY, TAKE, KEEP, DISMISS), TAKE,
        fields=CANCELLED_THERE, ends=(TAKE,),
    ),
    Case(
        "cancelled here, live there", MISMATCH, (RETRY, TAKE, CANCEL, DISMISS), CANCEL,
        status=CANCELLED, fields=LIVE_THERE,
    ),
    Case(
        "cancelled here, over there", MISMATCH, (RETRY, TAKE, DISMISS), None,
        status=CANCELLED, fields=LIVE_THERE, starts_at=PAST,
    ),
    Case(
        "cancelled here, still to come there", MISMATCH, (RETRY, TAKE, CANCEL, DISMISS), None,
        status=CANCELLED, fields=LIVE_THERE_LATER, starts_at=PAST,
    ),
    Case(
        "completed, cancelled there", MISMATCH, (RETRY, TAKE, DISMISS), TAKE,
        status=DONE, fields=CANCELLED_THERE, starts_at=PAST, ends=(TAKE,),
    ),
    Case("past", MISMATCH, (RETRY, TAKE, DISMISS), TAKE, fields=MOVED_THERE, starts_at=PAST),
    Case("nothing told", MISMATCH, (RETRY, KEEP, DISMISS), None),
    Case("lost", LOST, (RETRY, PUSH, TAKE, DISMISS), PUSH, state=LOCAL, ends=(TAKE,)),
    Case(
        "lost and past", LOST, (RETRY, TAKE, DISMISS), None,
        state=LOCAL, starts_at=PAST, ends=(TAKE,),
    ),
    Case("lost and completed", LOST, (RETRY, DISMISS), None, status=DONE, state=LOCAL),
    Case("only there", THERE, (RETRY, ADOPT, CANCEL, DISMISS), ADOPT, state=REMOTE, ends=(CANCEL,)),
    Case("only there, past", THERE, (RETRY, ADOPT, DISMISS), ADOPT, state=REMOTE, starts_at=PAST),
    Case("unreachable", ERROR, (RETRY, DISMISS), RETRY),
    Case("timed out", UNSENT, (RETRY, PUSH, DISMISS), RETRY, code="TIMEOUT"),
    Case("502", UNSENT, (RETRY, PUSH, DISMISS), RETRY, code="HTTP_502"),
    Case("gone event type", UNSENT, (RETRY, PUSH, DISMISS), PUSH, code="HTTP_404"),
    Case("slot taken", UNSENT, (RETRY, PUSH, DISMISS), None, code="SLOT_UNAVAILABLE"),
    Case("unsent and past", UNSENT, (RETRY, DISMISS), None, code="HTTP_400", starts_at=PAST),
    Case("unsent cancellation", UNSENT, (RETRY, PUSH, DISMISS), PUSH, status=CANCELLED),
    Case("on its way", MISMATCH, (), None, state=SyncState.PENDING, fields=MOVED_THERE),
    Case("being verified", LOST, (RETRY,), None, state=SyncState.VERIFICATION_PENDING),
    Case("asked for", MISMATCH, (RETRY,), None, fields=MOVED_THERE, is_verifying=True),
]  # fmt: skip


def rows_of(case: Case) -> tuple[Discrepancy, Appointment]:
    appointment = Appointment(
        status=case.status,
        calcom_sync_status=case.state,
        starts_at=case.starts_at,
        verification_requested_at=NOW if case.is_verifying else None,
    )
    evidence = {"fields": case.fields or {}}
    return Discrepancy(type=case.type, code=case.code, evidence=evidence), appointment


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_is_offered_and_suggested(case: Case) -> None:
    finding, appointment = rows_of(case)
    assert actions_for(finding, appointment, NOW) == case.offered
    assert suggest(finding, appointment, NOW) is case.suggested
    ending = [each for each in case.offered if ends_appointment(finding, appointment, each)]
    assert tuple(ending) == case.ends


def test_of_two_bookings_for_one_appointment_the_second_is_to_be_cancelled() -> None:
    case = next(each for each in CASES if each.name == "only there")
    finding, appointment = rows_of(case)
    finding.evidence = {"second_of": 7}
    assert actions_for(finding, appointment, NOW) == case.offered
    assert suggest(finding, appointment, NOW) is CANCEL


def test_nothing_is_offered_for_what_is_settled() -> None:
    finding, appointment = rows_of(CASES[0])
    finding.resolved_at = NOW
    assert actions_for(finding, appointment, NOW) == ()


def combinations() -> Iterator[Case]:
    fields = ({}, MOVED_THERE, CANCELLED_THERE, LIVE_THERE, LIVE_THERE_LATER)
    for type_, state, status, starts_at, verifying in itertools.product(
        DiscrepancyType, SyncState, AppointmentStatus, (TO_COME, PAST), (False, True)
    ):
        for told in fields if type_ is MISMATCH else fields[:1]:
            if (verifying and state is SyncState.PENDING) or state is SyncState.SYNCED:
                continue
            yield Case(
                "x", type_, (), None, status=status, state=state, starts_at=starts_at,
                fields=told, is_verifying=verifying,
            )  # fmt: skip


@pytest.mark.usefixtures("engine")
def test_the_condition_says_what_the_table_says_for_every_combination(company: Tenant) -> None:
    wanted: dict[int, tuple[Case, set[Action]]] = {}
    for case in combinations():
        finding, appointment = rows_of(case)
        offered = set(actions_for(finding, appointment, NOW))
        wanted[len(wanted) + 1] = case, offered
    _store(company, [case for case, _ in wanted.values()])
    with as_company(company.id):
        for action in Action:
            query = select(Discrepancy.id).join(Discrepancy.appointment)
            found = set(db.session.scalars(query.where(offers(action, NOW))))
            expected = {number for number, (_, offered) in wanted.items() if action in offered}
            assert found == expected, action
            ending = set(db.session.scalars(query.where(offers(action, NOW), ends_many(action))))
            assert ending == {
                number
                for number, (case, offered) in wanted.items()
                if action in offered and ends_appointment(*rows_of(case), action)
            }, action


def _store(company: Tenant, cases: list[Case]) -> None:
    with as_company(company.id):
        appointments = []
        for case in cases:
            _, row = rows_of(case)
            row.customer_id, row.service_id = company.customer_id, company.service_id
            row.ends_at = row.starts_at + timedelta(minutes=30)
            row.created_at, row.created_by_origin, row.sync_origin = NOW, "admin", "admin"
            appointments.append(row)
        db.session.add_all(appointments)
        db.session.flush()
        for case, row in zip(cases, appointments, strict=True):
            finding, _ = rows_of(case)
            finding.appointment_id, finding.opened_at, finding.last_seen_at = row.id, NOW, NOW
            db.session.add(finding)
            db.session.flush()
        db.session.commit()


@pytest.mark.usefixtures("engine")
def test_a_settled_finding_is_left_out_by_the_condition_too(company: Tenant) -> None:
    appointment = make_appointment(company, state=SyncState.FAILED, flagged=True)
    settled = {"resolution": "by_itself", "resolved_at": clock.now()}
    make_discrepancy(company, appointment, **settled)
    with as_company(company.id):
        query = select(Discrepancy.id).join(Discrepancy.appointment)
        for action in Action:
            assert db.session.scalars(query.where(offers(action, NOW))).all() == []
