"""Taking over what Cal.com has: a booking becomes an appointment, or an appointment follows it."""

import re
from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from webapp.calcom.payloads import Attendee, Booking
from webapp.models.appointment import LIVE, Appointment, Origin
from webapp.models.base import fold
from webapp.models.company import Company
from webapp.models.customer import Customer
from webapp.models.service import Service
from webapp.models.sync_state import SyncState
from webapp.models.tenancy import require_company_id
from webapp.sync.agreement import claim_uids, take_base
from webapp.sync.customers import (
    InvalidEmail,
    InvalidPhone,
    clean_email,
    clean_phone,
    find_or_make_customer,
)
from webapp.sync.reconcile import our_status_for

_LANGUAGE = re.compile(r"[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8}){0,2}")


def follow_booking(appointment: Appointment, booking: Booking) -> None:
    """Write Cal.com's version into ours; what came from there has origin `calcom`."""
    appointment.status = our_status_for(booking.status)
    if appointment.status in LIVE:
        appointment.starts_at, appointment.ends_at = booking.start, booking.end
    appointment.sync_origin = Origin.CALCOM


def import_booking(
    session: Session,
    booking: Booking,
    service: Service,
    *,
    host: str,
    now: datetime,
    state: SyncState = SyncState.SYNCED,
) -> Appointment:
    """Make an appointment of a booking made on Cal.com; it is in step from the beginning, or an
    orphan of Cal.com's where a run found it (S5.4).

    Raises BookingClaimed where another appointment has it, and the errors of
    `find_or_make_customer` where the attendee cannot be reached.
    """
    company = session.get_one(Company, require_company_id())
    customer = customer_of(session, booking.attendees[0], company, now)
    appointment = Appointment(
        customer_id=customer.id,
        service_id=service.id,
        starts_at=booking.start,
        ends_at=booking.end,
        status=our_status_for(booking.status),
        guests=_guests(booking),
        created_at=now,
        created_by_origin=Origin.CALCOM,
        calcom_sync_status=state,
        sync_verified_at=now if state is SyncState.SYNCED else None,
        sync_origin=Origin.CALCOM,
        sync_initiated_at=now,
    )
    session.add(appointment)
    session.flush()
    claim_uids(session, appointment.id, host, [booking.uid], now)
    take_base(appointment, booking)
    return appointment


def customer_of(session: Session, attendee: Attendee, company: Company, now: datetime) -> Customer:
    """The customer behind an attendee, found or made; a phone we can't read is left out."""
    return find_or_make_customer(
        session,
        name=attendee.name,
        email=_readable_email(attendee.email),
        phone=_readable_phone(attendee.phone_number),
        time_zone=attendee.time_zone if _is_zone(attendee.time_zone) else company.time_zone,
        language=attendee.language if _LANGUAGE.fullmatch(attendee.language) else company.locale,
        now=now,
    )


def _guests(booking: Booking) -> list[str]:
    """The further attendees, each once, without the customer."""
    first, *others = booking.attendees
    named = [_readable_email(each) for each in (*(o.email for o in others), *booking.guests)]
    by_folded = {fold(email): email for email in named if email}
    by_folded.pop(fold(first.email), None)
    return list(by_folded.values())


def _is_zone(name: str) -> bool:
    """A name that a stranger sent; one that doesn't exist would break every later push."""
    try:
        ZoneInfo(name)
    except (ValueError, KeyError, OSError):
        return False
    return True


def _readable_email(email: str) -> str | None:
    try:
        return clean_email(email)
    except InvalidEmail:
        return None


def _readable_phone(phone: str | None) -> str | None:
    try:
        return clean_phone(phone)
    except InvalidPhone:
        return None
