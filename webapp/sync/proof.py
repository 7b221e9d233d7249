"""Proof of existence: Cal.com has answered 201 and kept nothing before now (S3.8).

Soon after a create, once reads have had time to catch up, one listing proves all recent creates of
a company at once. What it doesn't show is verified by itself, under the rules of absence.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.orm import Session

from webapp.calcom.client import CalcomClient
from webapp.calcom.payloads import MAX_TAKE, BookingQuery, Sort
from webapp.models.appointment import Appointment
from webapp.models.history import EventKind, record_event
from webapp.models.service import Service
from webapp.models.tenancy import require_company_id

PROOF_LEASE = timedelta(seconds=60)
CLOCK_MARGIN = timedelta(minutes=5)
"""Cal.com's createdAt is by its own clock."""
MOST_PAGES = 4


@dataclass(frozen=True, slots=True)
class Unproven:
    """The creates to prove: appointment by uid, and where a listing has to look."""

    appointments: dict[str, int]
    row_ids: tuple[int, ...]
    event_type_ids: tuple[int, ...]
    since: datetime
    lease_until: datetime


def take_unproven(session: Session, *, now: datetime) -> Unproven | None:
    """The current company's creates whose proof is due; None where none is.

    Moves the due instant by a lease, so that a worker's death is made good.
    """
    rows = session.execute(
        select(Appointment, Service.calcom_event_type_id)
        .join(
            Service,
            (Service.company_id == Appointment.company_id) & (Service.id == Appointment.service_id),
        )
        .where(
            Appointment.company_id == require_company_id(),
            Appointment.existence_due_at <= now,
        )
        .order_by(Appointment.id)
        .limit(MAX_TAKE)
        .with_for_update(of=Appointment, skip_locked=True)
    ).all()
    if not rows:
        return None
    lease_until = now + PROOF_LEASE
    for appointment, _ in rows:
        appointment.existence_due_at = lease_until
    written = [appointment.remote_written_at or now for appointment, _ in rows]
    return Unproven(
        appointments={
            uid: row.id for row, _ in rows if (uid := row.calcom_v2_booking_id) is not None
        },
        row_ids=tuple(row.id for row, _ in rows),
        event_type_ids=tuple(sorted({each for _, each in rows if each is not None})),
        since=min(written) - CLOCK_MARGIN,
        lease_until=lease_until,
    )


def list_recent(unproven: Unproven, client: CalcomClient) -> set[str]:
    """The uids that a listing of recent creates shows; raises CalcomError."""
    seen: set[str] = set()
    for page_number in range(MOST_PAGES):
        page = client.list_bookings(
            BookingQuery(
                event_type_ids=unproven.event_type_ids,
                after_created_at=unproven.since,
                sort=Sort.CREATED_DESC,
                skip=page_number * MAX_TAKE,
            )
        )
        seen |= {booking.uid for booking in page.bookings}
        if not page.has_more:
            break
    return seen


def record_proofs(session: Session, unproven: Unproven, seen: set[str], *, now: datetime) -> int:
    """What was seen is proven; the rest is verified at once. Returns how many were not seen.

    What was pushed during the listing has a proof of its own to come: compare-and-swap.
    """
    missing = [
        appointment_id for uid, appointment_id in unproven.appointments.items() if uid not in seen
    ]
    is_still_ours = Appointment.existence_due_at == unproven.lease_until
    _write(session, missing, next_verification_at=now)
    _write(session, unproven.row_ids, is_still_ours, existence_due_at=None)
    for appointment_id in missing:
        record_event(session, appointment_id, EventKind.ABSENCE_SUSPECTED, at=now)
    return len(missing)


def _write(
    session: Session,
    appointment_ids: Sequence[int],
    *conditions: ColumnElement[bool],
    **values: datetime | None,
) -> None:
    session.execute(
        update(Appointment)
        .where(
            Appointment.company_id == require_company_id(),
            Appointment.id.in_(appointment_ids),
            *conditions,
        )
        .values(**values)
        .execution_options(synchronize_session=False)
    )
