"""Booking, moving and cancelling by telephone, in the transaction that its caller commits."""

from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from webapp.models.appointment import LIVE, Appointment, Origin
from webapp.models.company import Company
from webapp.models.customer import Customer
from webapp.models.service import Service
from webapp.models.tenancy import require_company_id
from webapp.sync.booking import (
    BookingRefused,
    Change,
    book_appointment,
    cancel_appointment,
    reschedule_appointment,
)
from webapp.sync.phone.callers import Caller, customer_to_book_for
from webapp.sync.phone.diary import as_booked_time
from webapp.sync.phone.offers import Offer, as_offer
from webapp.sync.phone.openings import (
    Offered,
    Span,
    Verdict,
    free_starts,
    judge,
    lock_calendar,
    nearest,
)
from webapp.sync.phone.outcomes import BookedTime, Outcome, Reason, objection

ALTERNATIVES = 3


def book(
    session: Session,
    caller: Caller,
    offer: Offer,
    starts_at: datetime,
    offered: Offered | None,
    *,
    notes: str,
    now: datetime,
) -> Outcome:
    """Book a free time, or note a wish where Cal.com can't be asked and policy allows it.

    Raises Objection; what was written until then is for the caller to roll back.
    """
    company = session.get_one(Company, require_company_id())
    lock_calendar(session, offer.service_id)
    customer = customer_to_book_for(
        session, caller, time_zone=company.time_zone, language=company.locale, now=now
    )
    service = session.get_one(Service, (company.id, offer.service_id))
    twin = _twin(session, customer, service, starts_at)
    if twin is not None:
        return Outcome(reason=Reason.BOOKED_ALREADY, appointment=as_booked_time(twin, service))
    length = timedelta(minutes=service.duration_minutes)
    verdict = _judged(session, company, offer, Span(starts_at, starts_at + length), offered, now)
    try:
        change = book_appointment(
            session,
            customer=customer,
            service=service,
            starts_at=starts_at,
            origin=Origin.RETELL,
            now=now,
            notes=notes,
        )
    except BookingRefused as refusal:
        raise objection(Reason(refusal.reason), wanted_at=starts_at) from None
    reason = Reason.BOOKED if verdict is Verdict.FREE else Reason.NOTED
    return _done(session, change, reason)


def move(
    session: Session,
    booked: BookedTime,
    starts_at: datetime,
    offered: Offered | None,
    *,
    why: str | None,
    now: datetime,
) -> Outcome:
    """Move an appointment of the caller to a free time; raises Objection likewise."""
    company = session.get_one(Company, require_company_id())
    lock_calendar(session, booked.service_id)
    offer = as_offer(session.get_one(Service, (company.id, booked.service_id)))
    appointment = session.get_one(Appointment, (company.id, booked.id))
    if starts_at == appointment.starts_at:
        raise objection(Reason.UNCHANGED, appointment=booked)
    span = Span(starts_at, starts_at + (booked.ends_at - booked.starts_at))
    verdict = _judged(session, company, offer, span, offered, now, moving=booked)
    try:
        change = reschedule_appointment(
            session, appointment, starts_at, origin=Origin.RETELL, now=now, reason=why
        )
    except BookingRefused as refusal:
        raise objection(Reason(refusal.reason), wanted_at=starts_at, appointment=booked) from None
    reason = Reason.MOVED if verdict is Verdict.FREE else Reason.MOVE_NOTED
    return _done(session, change, reason)


def cancel(session: Session, booked: BookedTime, *, why: str, now: datetime) -> Outcome:
    """Cancel an appointment of the caller; raises Objection."""
    appointment = session.get_one(Appointment, (require_company_id(), booked.id))
    try:
        change = cancel_appointment(session, appointment, reason=why, origin=Origin.RETELL, now=now)
    except BookingRefused as refusal:
        raise objection(Reason(refusal.reason), appointment=booked) from None
    return _done(session, change, Reason.CANCELLED)


def _judged(
    session: Session,
    company: Company,
    offer: Offer,
    wanted: Span,
    offered: Offered | None,
    now: datetime,
    moving: BookedTime | None = None,
) -> Verdict:
    """FREE, or UNCHECKED where that is enough; raises Objection with other times to offer."""
    moving_id = None if moving is None else moving.id
    if wanted.start <= now:
        raise objection(Reason.IN_PAST, wanted_at=wanted.start)
    verdict = judge(session, offer, wanted, offered, moving_id=moving_id)
    if verdict is Verdict.TAKEN:
        others = offered and free_starts(
            session,
            offer,
            offered,
            length=wanted.end - wanted.start,
            after=now,
            moving_id=moving_id,
        )
        raise objection(
            Reason.TAKEN,
            service=offer.name,
            wanted_at=wanted.start,
            starts=nearest(others or (), wanted.start, ALTERNATIVES),
        )
    if verdict is Verdict.UNCHECKED and not company.takes_calls_unchecked:
        raise objection(Reason.CALENDAR_AWAY, service=offer.name, wanted_at=wanted.start)
    return verdict


def _twin(
    session: Session, customer: Customer, service: Service, starts_at: datetime
) -> Appointment | None:
    """The same appointment, made in another call or at the desk: once is enough."""
    return session.scalar(
        select(Appointment)
        .where(
            Appointment.company_id == require_company_id(),
            Appointment.customer_id == customer.id,
            Appointment.service_id == service.id,
            Appointment.starts_at == starts_at,
            Appointment.status.in_(LIVE),
        )
        .limit(1)
    )


def _done(session: Session, change: Change, reason: Reason) -> Outcome:
    appointment = session.get_one(Appointment, (require_company_id(), change.appointment_id))
    service = session.get_one(Service, (require_company_id(), appointment.service_id))
    return Outcome(
        reason=reason,
        service=service.name,
        appointment=as_booked_time(appointment, service),
        intent_id=change.intent_id,
    )
