"""Many appointments that fell out of step with Cal.com, made in a few statements."""

from datetime import timedelta

from tests.desk import Desk
from webapp import clock
from webapp.extensions import db
from webapp.models.appointment import Appointment, AppointmentStatus, BookingAlias, Origin
from webapp.models.company import Company
from webapp.models.discrepancy import Discrepancy, DiscrepancyType
from webapp.models.sync_state import SyncState
from webapp.models.tenancy import as_company

CONFIRMED = AppointmentStatus.CONFIRMED


def make_mismatches(desk: Desk, *, righted: int, differing: int = 0) -> list[int]:
    """Flagged mismatches, an hour apart; Cal.com moved all and has moved `righted` of them back.

    Returns the findings, the righted ones first.
    """
    first = clock.now().replace(minute=0, second=0, microsecond=0) + timedelta(days=3)
    starts = [first + timedelta(hours=number) for number in range(righted + differing)]
    there = [
        start + timedelta(minutes=0 if number < righted else 20)
        for number, start in enumerate(starts)
    ]
    uids = [f"mismatch-{desk.company.slug}-{number:05}" for number in range(len(starts))]
    bookings = [
        {"eventTypeId": desk.company.event_type_id, "start": start.isoformat(), "uid": uid}
        for start, uid in zip(there, uids, strict=True)
    ]
    desk.cal.book(bookings=bookings)
    findings = []
    with as_company(desk.company.id):
        host = db.session.get_one(Company, desk.company.id).calcom_host
        for start, uid in zip(starts, uids, strict=True):
            row = _flagged(desk, start, uid)
            db.session.add(row)
            db.session.flush()
            alias = BookingAlias(
                appointment_id=row.id, calcom_host=host, uid=uid, first_seen_at=clock.now()
            )
            findings.append(_finding(row))
            db.session.add_all([alias, findings[-1]])
        db.session.commit()
        return [finding.id for finding in findings]


def _flagged(desk: Desk, start: object, uid: str) -> Appointment:
    long_ago = clock.now() - timedelta(days=1)
    return Appointment(
        customer_id=desk.company.customer_id,
        service_id=desk.company.service_id,
        starts_at=start,
        ends_at=start + timedelta(minutes=30),  # type: ignore[operator]
        status=CONFIRMED,
        created_at=long_ago,
        created_by_origin=Origin.ADMIN,
        calcom_v2_booking_id=uid,
        calcom_sync_status=SyncState.FAILED,
        sync_origin=Origin.ADMIN,
        sync_error_code="DATA_MISMATCH",
        sync_initiated_at=long_ago,
        requires_manual_review=True,
        manual_review_flagged_at=long_ago,
        base_starts_at=start,
        base_ends_at=start + timedelta(minutes=30),  # type: ignore[operator]
        base_status=CONFIRMED,
        base_uid=uid,
    )


def _finding(row: Appointment) -> Discrepancy:
    seen = (row.starts_at + timedelta(minutes=20)).isoformat()
    ours = row.starts_at.isoformat()
    start = {"base": ours, "ours": ours, "theirs": seen, "moved": "theirs"}
    return Discrepancy(
        appointment_id=row.id,
        type=DiscrepancyType.DATA_MISMATCH,
        code="DATA_MISMATCH",
        evidence={"fields": {"starts_at": start}},
        opened_at=clock.now() - timedelta(days=1),
        last_seen_at=clock.now() - timedelta(days=1),
    )
