"""Bookings of our event types that no appointment claims (S5.4).

Not each is an orphan: one made seconds ago will be told of by its webhook, one that carries our
key belongs to an appointment whose answer is on its way or was lost, and one that is over or
cancelled concerns nobody. What is left becomes an appointment, flagged or taken over, as the
company's policy says.
"""

import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from webapp.calcom.payloads import Booking, BookingStatus
from webapp.models.appointment import Appointment, Origin
from webapp.models.company import Company, UnclaimedPolicy
from webapp.models.crossing import is_uid_claimed_elsewhere
from webapp.models.discrepancy import DiscrepancyType, drop_ask, open_discrepancy
from webapp.models.history import EventKind, record_event
from webapp.models.notification import NotificationType
from webapp.models.sync_state import SyncState
from webapp.models.tenancy import require_company_id
from webapp.notify.inbox import tell
from webapp.sync.adopt import follow_booking, import_booking
from webapp.sync.agreement import BookingClaimed, claim_uids, holder_of
from webapp.sync.arrivals import find_service, read_key
from webapp.sync.customers import CustomerUnreachable
from webapp.sync.findings import Finding, raise_finding, subject_of
from webapp.sync.intents import has_unfinished_intent, lock_appointment
from webapp.sync.joining import LIVING
from webapp.sync.verdict import Branch

CODE = "ORPHANED_CALCOM"


@dataclass(slots=True)
class Taken:
    """What became of a page's unclaimed bookings."""

    imported: list[tuple[int, Booking]] = field(default_factory=list)
    flagged: int = 0
    recognised: list[tuple[int, Booking]] = field(default_factory=list)
    """They carry our key: a look at that appointment has to tell."""
    skipped: Counter[str] = field(default_factory=Counter)


def take_unclaimed(
    session: Session,
    bookings: Sequence[Booking],
    *,
    host: str,
    now: datetime,
    news_seconds: float,
    past_days: int,
    is_held: bool,
    is_import: bool = False,
) -> Taken:
    """Make appointments of those that are due, in the caller's transaction.

    `news_seconds`: younger ones wait for their webhook. `is_held`: our side looks suddenly empty,
    so that nothing is made of any (S5.6).
    """
    taken = Taken()
    holders = _holders_of_keys(session, bookings)
    for booking in bookings:
        reason = _reason_to_leave(booking, now, news_seconds, past_days)
        holder = holders.get(read_key(booking.metadata))
        if reason is not None:
            taken.skipped[reason] += 1
        elif holder is not None:
            taken.recognised.append((holder, booking))
        elif is_held:
            taken.skipped["held_back"] += 1
        else:
            _take(session, booking, taken, host=host, now=now, is_import=is_import)
    return taken


def recognise(
    session: Session, appointment_id: int, booking: Booking, *, host: str, now: datetime
) -> bool | None:
    """Give an appointment that has no booking the one that carries its key: a create whose answer
    was lost. False where it has one; None where a change is on its way or another claimed it."""
    row = lock_appointment(session, appointment_id)
    if row is None or has_unfinished_intent(session, appointment_id):
        return None
    if row.calcom_v2_booking_id is not None:
        return False
    try:
        with session.begin_nested():
            claim_uids(session, appointment_id, host, [booking.uid], now)
    except BookingClaimed:
        return None
    row.calcom_v2_booking_id = booking.uid
    record_event(session, appointment_id, EventKind.RECOGNISED, at=now, origin=Origin.CALCOM)
    return True


def import_second_booking(
    session: Session, appointment_id: int, booking: Booking, *, host: str, now: datetime
) -> int | str:
    """A living booking with the key of an appointment that has a living booking of its own: two
    for one, of which a person has to cancel one, whatever the company's policy. Raised after a look
    at that appointment."""
    if holder_of(session, host, booking.uid) is not None:
        return "claimed_meanwhile"
    row = lock_appointment(session, appointment_id)
    if row is None or has_unfinished_intent(session, appointment_id):
        return "on_its_way"
    return import_unclaimed(session, booking, host=host, now=now, second_of=appointment_id)


def import_unclaimed(
    session: Session,
    booking: Booking,
    *,
    host: str,
    now: datetime,
    second_of: int | None = None,
    is_import: bool = False,
) -> int | str:
    """An appointment for a booking found only there; its id, or the reason why none was made.
    `second_of`: the appointment whose key it carries beside that one's own booking."""
    if is_uid_claimed_elsewhere(session, host, booking.uid, require_company_id()):
        return "claimed_elsewhere"
    service = find_service(session, booking.event_type_id)
    if service is None:
        return "not_our_service"
    if not booking.attendees:
        return "incomplete"
    is_adopted = second_of is None and (is_import or is_adopting(session))
    state = SyncState.SYNCED if is_adopted else SyncState.ORPHANED_CALCOM
    try:
        # A webhook of the same booking may be quicker: the alias decides.
        with session.begin_nested():
            row = import_booking(session, booking, service, host=host, now=now, state=state)
    except BookingClaimed:
        return "claimed_meanwhile"
    except CustomerUnreachable:
        return "attendee_unreachable"
    if is_adopted:
        _note_adoption(session, row, now)
    if is_adopted and not is_import:
        _tell_of_adoption(session, row, now)
    elif not is_adopted:
        _flag(session, row, booking, second_of, now)
    return row.id


def is_adopting(session: Session) -> bool:
    """The company's policy: taken over and told, instead of flagged."""
    company = session.get_one(Company, require_company_id())
    return company.unclaimed_policy is UnclaimedPolicy.ADOPT


def is_unclaimed(session: Session, appointment: Appointment) -> bool:
    """Whether the (locked) row is no more than a booking over there; also while a person's look at
    it is under way."""
    if appointment.calcom_sync_status is not SyncState.VERIFICATION_PENDING:
        return appointment.calcom_sync_status is SyncState.ORPHANED_CALCOM
    found = open_discrepancy(session, appointment.id)
    return found is not None and found.type is DiscrepancyType.ORPHANED_CALCOM


def leave_unclaimed(session: Session, appointment: Appointment) -> None:
    """A look has settled nothing: it stays what it is, and what a person asked for is answered."""
    drop_ask(session, appointment.id)
    appointment.calcom_sync_status = SyncState.ORPHANED_CALCOM
    appointment.next_verification_at = None


def follow_unclaimed(appointment: Appointment, booking: Booking) -> bool:
    """Keep the (locked) row of an orphan of Cal.com's like its booking. True where the booking was
    cancelled: then neither side has anything, and nobody needs to settle it."""
    if appointment.base_remote_updated_at == booking.updated_at:
        return False
    follow_booking(appointment, booking)
    appointment.calcom_v2_booking_id = booking.uid
    appointment.base_remote_updated_at = booking.updated_at
    return booking.status in (BookingStatus.CANCELLED, BookingStatus.REJECTED)


def _reason_to_leave(
    booking: Booking, now: datetime, news_seconds: float, past_days: int
) -> str | None:
    if booking.status is BookingStatus.UNKNOWN:
        return "unknown_status"
    if booking.status not in LIVING:
        return "not_live"
    if booking.end < now - timedelta(days=past_days):
        return "long_past"
    if booking.created_at is not None and now < booking.created_at + timedelta(
        seconds=news_seconds
    ):
        return "just_made"
    return None


def _holders_of_keys(session: Session, bookings: Sequence[Booking]) -> dict[uuid.UUID | None, int]:
    keys = {key for booking in bookings if (key := read_key(booking.metadata)) is not None}
    if not keys:
        return {}
    rows = session.execute(
        select(Appointment.sync_key, Appointment.id).where(
            Appointment.company_id == require_company_id(), Appointment.sync_key.in_(keys)
        )
    )
    return dict(rows.all())


def _take(
    session: Session,
    booking: Booking,
    taken: Taken,
    *,
    host: str,
    now: datetime,
    is_import: bool,
) -> None:
    made = import_unclaimed(session, booking, host=host, now=now, is_import=is_import)
    if isinstance(made, int):
        taken.imported.append((made, booking))
        taken.flagged += not (is_import or is_adopting(session))
    else:
        taken.skipped[made] += 1


def _flag(
    session: Session, row: Appointment, booking: Booking, second_of: int | None, now: datetime
) -> None:
    finding = Finding(
        DiscrepancyType.ORPHANED_CALCOM,
        CODE,
        remote_updated_at=booking.updated_at,
        branch=Branch.ONLY_THERE,
        second_of=second_of,
    )
    raise_finding(session, row, finding, now=now)


def _note_adoption(session: Session, row: Appointment, now: datetime) -> None:
    record_event(session, row.id, EventKind.ADOPTED, at=now, origin=Origin.CALCOM)
    record_event(session, row.id, EventKind.PUSH_BACK_SUPPRESSED, at=now, origin=Origin.CALCOM)


def _tell_of_adoption(session: Session, row: Appointment, now: datetime) -> None:
    tell(
        session,
        NotificationType.BOOKING_ADOPTED,
        subject_of(row.id),
        now=now,
        appointment_id=row.id,
    )
