"""Attendance: who came and who didn't. It stays ours: the class that Cal.com compares with doesn't
change by it, so only the uid tells whether such news is about the current booking (S4.2)."""

from sqlalchemy.orm import Session

from webapp.calcom.webhooks import Trigger
from webapp.models.appointment import LIVE, Appointment, AppointmentStatus
from webapp.models.base import fold
from webapp.models.customer import Customer
from webapp.models.delivery import DeliveryStatus, other_deliveries
from webapp.models.history import EventKind
from webapp.models.tenancy import require_company_id
from webapp.sync.arrivals import Arrival, find_by_uid
from webapp.sync.effects import Effect, ignored, of_other_uid, of_unknown, record, undecided
from webapp.sync.intents import has_unfinished_intent

_NO_SHOWS = frozenset({Trigger.NO_SHOW_UPDATED.value})


def on_no_show(session: Session, arrival: Arrival) -> Effect:
    """Says nothing but the uid and who was absent."""
    appointment = find_by_uid(session, arrival, arrival.delivery.uid)
    if appointment is None:
        return undecided()
    if appointment.calcom_v2_booking_id != arrival.delivery.uid:
        return of_other_uid(session, arrival, appointment)
    is_absent = _is_customer_absent(session, arrival, appointment)
    if is_absent is None:
        return ignored("only_guests", appointment)
    if _was_told_otherwise_later(session, arrival):
        return ignored("older_than_known", appointment)
    if is_absent and appointment.status in LIVE | {AppointmentStatus.COMPLETED}:
        return _mark(session, arrival, appointment, AppointmentStatus.NO_SHOW)
    if not is_absent and appointment.status is AppointmentStatus.NO_SHOW:
        is_over = appointment.ends_at <= arrival.now
        back_to = AppointmentStatus.COMPLETED if is_over else AppointmentStatus.CONFIRMED
        return _mark(session, arrival, appointment, back_to)
    return ignored("already_so", appointment)


def on_meeting_ended(session: Session, arrival: Arrival) -> Effect:
    """Carries the booking's createdAt, so only the uid tells whether it is current (S4.2)."""
    appointment = find_by_uid(session, arrival, arrival.delivery.uid)
    if appointment is None:
        return of_unknown(session, arrival)
    if appointment.calcom_v2_booking_id != arrival.delivery.uid:
        return of_other_uid(session, arrival, appointment)
    if appointment.status not in LIVE:
        return ignored("already_so", appointment)
    return _mark(session, arrival, appointment, AppointmentStatus.COMPLETED)


def _is_customer_absent(
    session: Session, arrival: Arrival, appointment: Appointment
) -> bool | None:
    """None where only guests are spoken of. Who isn't known by e-mail is taken for the customer."""
    customer = session.get_one(Customer, (require_company_id(), appointment.customer_id))
    by_email = {fold(each.email): each.absent for each in arrival.delivery.no_shows}
    if customer.email_folded in by_email:
        return by_email[customer.email_folded]
    guests = {fold(guest) for guest in appointment.guests}
    others = [absent for email, absent in by_email.items() if email not in guests]
    return any(others) if others or not by_email else None


def _was_told_otherwise_later(session: Session, arrival: Arrival) -> bool:
    sent_at = arrival.delivery.sent_at
    told = other_deliveries(session, arrival.id, arrival.delivery.uid or "", _NO_SHOWS)
    applied = [each.sent_at for each in told if each.status is DeliveryStatus.APPLIED]
    return sent_at is not None and any(other and other > sent_at for other in applied)


def _mark(
    session: Session, arrival: Arrival, appointment: Appointment, status: AppointmentStatus
) -> Effect:
    """Completed and no-show stay ours: the class Cal.com compares with doesn't change.

    What lies ahead here was moved since, and Cal.com didn't take it: it is the old time that ended.
    """
    if has_unfinished_intent(session, appointment.id):
        return ignored("on_its_way", appointment)
    if status is not AppointmentStatus.CONFIRMED and appointment.starts_at > arrival.now:
        return ignored("not_begun", appointment)
    appointment.status = status
    record(session, arrival, appointment, EventKind.WEBHOOK_APPLIED, status=status.value)
    return Effect(DeliveryStatus.APPLIED, None, appointment.id)
