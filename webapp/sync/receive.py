"""Receive: what one webhook of Cal.com does to our appointments (S4.1, S4.2).

A webhook is a hint, fast and lossy: it is applied where it continues what we know, and where it
doesn't, the truth is read. Nothing in here causes a push: what came from Cal.com isn't sent back,
and the echo of our own push changes nothing.

Lock order: the appointment's row first, as everywhere.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy.orm import Session

from webapp.calcom.payloads import Booking, BookingStatus
from webapp.calcom.webhooks import Trigger
from webapp.models.appointment import LIVE, Appointment, AppointmentStatus, Origin
from webapp.models.crossing import is_event_type_claimed_elsewhere, is_uid_claimed_elsewhere
from webapp.models.delivery import DeliveryStatus
from webapp.models.history import EventKind, record_event
from webapp.models.tenancy import require_company_id
from webapp.sync.adopt import follow_booking, import_booking
from webapp.sync.agreement import BookingClaimed, claim_uids, record_agreement
from webapp.sync.arrivals import (
    Arrival,
    as_booking,
    find_by_key,
    find_by_uid,
    find_service,
    is_stale,
)
from webapp.sync.customers import CustomerUnreachable
from webapp.sync.intents import has_unfinished_intent
from webapp.sync.reconcile import (
    differences,
    view_of_base,
    view_of_ours,
    view_of_theirs,
)

READ_AGAIN_AFTER = timedelta(seconds=5)
"""On cancel Cal.com's own row changes only after our answer, and reads lag (API.md §5)."""


@dataclass(frozen=True, slots=True)
class Effect:
    """What came of a delivery; `reason` is a stable word that screens translate."""

    status: DeliveryStatus
    reason: str | None = None
    appointment_id: int | None = None


def receive(session: Session, arrival: Arrival) -> Effect:
    """Apply a delivery, or say why not. The caller commits; nothing is to be enqueued."""
    delivery = arrival.delivery
    if delivery.is_ping:
        return _ignored("test_ping")
    if delivery.trigger not in _HANDLERS:
        return _ignored("no_effect")
    if delivery.uid is None:
        return _ignored("no_uid")
    refusal = _refusal(session, arrival)
    return refusal or _HANDLERS[delivery.trigger](session, arrival)


def _refusal(session: Session, arrival: Arrival) -> Effect | None:
    """Another company's booking or event type, whichever valid signature it carries."""
    company_id = require_company_id()
    for uid in (arrival.delivery.uid, arrival.delivery.old_uid):
        if uid and is_uid_claimed_elsewhere(session, arrival.host, uid, company_id):
            return Effect(DeliveryStatus.REFUSED, "booking_of_another_company")
    event_type_id = arrival.delivery.event_type_id
    if event_type_id is not None and is_event_type_claimed_elsewhere(
        session, arrival.host, event_type_id, company_id
    ):
        return Effect(DeliveryStatus.REFUSED, "service_of_another_company")
    return None


def _on_booked(session: Session, arrival: Arrival) -> Effect:
    """CREATED (also a confirmation), and REQUESTED; with an old uid it is a reschedule."""
    if arrival.delivery.old_uid is not None:
        return _on_rescheduled(session, arrival)
    known = find_by_uid(session, arrival, arrival.delivery.uid)
    if known is not None:
        return _on_news_of_known(session, arrival, known)
    ours = find_by_key(session, arrival)
    if ours is not None:
        return _on_own_booking(session, arrival, ours)
    return _import(session, arrival)


def _on_rescheduled(session: Session, arrival: Arrival) -> Effect:
    delivery = arrival.delivery
    appointment = (
        find_by_uid(session, arrival, delivery.uid)
        or find_by_uid(session, arrival, delivery.old_uid)
        or find_by_key(session, arrival)
    )
    if appointment is None:
        return _import(session, arrival)
    booking = as_booking(delivery)
    if has_unfinished_intent(session, appointment.id):
        return _on_own_booking(session, arrival, appointment)
    if appointment.calcom_v2_booking_id == delivery.uid:
        return _on_news_of_known(session, arrival, appointment)
    if appointment.calcom_v2_booking_id != delivery.old_uid or booking is None:
        return _read_again(session, arrival, appointment)
    return _follow(session, arrival, appointment, booking)


def _on_cancelled(session: Session, arrival: Arrival) -> Effect:
    delivery = arrival.delivery
    appointment = find_by_uid(session, arrival, delivery.uid)
    if appointment is None:
        return _ignored("unknown_booking")
    if appointment.calcom_v2_booking_id != delivery.uid:
        return _ignored("earlier_booking", appointment)
    if appointment.status is AppointmentStatus.CANCELLED:
        return _echo(session, arrival, appointment)
    if delivery.is_seat or has_unfinished_intent(session, appointment.id):
        return _read_again(session, arrival, appointment)
    if is_stale(delivery, appointment):
        return _ignored("older_than_base", appointment)
    booking = as_booking(delivery, status=BookingStatus.CANCELLED, appointment=appointment)
    appointment.cancellation_reason = (
        delivery.cancellation_reason or delivery.rejection_reason or None
    )
    return _follow(session, arrival, appointment, booking)


def _on_no_show(session: Session, arrival: Arrival) -> Effect:
    appointment = find_by_uid(session, arrival, arrival.delivery.uid)
    if appointment is None:
        return _ignored("unknown_booking")
    if appointment.calcom_v2_booking_id != arrival.delivery.uid:
        return _ignored("earlier_booking", appointment)
    if any(person.absent for person in arrival.delivery.no_shows):
        return _mark(session, arrival, appointment, AppointmentStatus.NO_SHOW)
    if appointment.status is AppointmentStatus.NO_SHOW:
        return _mark(session, arrival, appointment, AppointmentStatus.CONFIRMED)
    return _ignored("already_so", appointment)


def _on_meeting_ended(session: Session, arrival: Arrival) -> Effect:
    """Carries the booking's createdAt, so only the uid tells whether it is current (S4.2)."""
    appointment = find_by_uid(session, arrival, arrival.delivery.uid)
    if appointment is None:
        return _ignored("unknown_booking")
    if appointment.calcom_v2_booking_id != arrival.delivery.uid:
        return _ignored("earlier_booking", appointment)
    if appointment.status not in LIVE:
        return _ignored("already_so", appointment)
    return _mark(session, arrival, appointment, AppointmentStatus.COMPLETED)


_HANDLERS: dict[Trigger, Callable[[Session, Arrival], Effect]] = {
    Trigger.CREATED: _on_booked,
    Trigger.REQUESTED: _on_booked,
    Trigger.RESCHEDULED: _on_rescheduled,
    Trigger.CANCELLED: _on_cancelled,
    Trigger.REJECTED: _on_cancelled,
    Trigger.NO_SHOW_UPDATED: _on_no_show,
    Trigger.MEETING_ENDED: _on_meeting_ended,
}


def _on_news_of_known(session: Session, arrival: Arrival, appointment: Appointment) -> Effect:
    """News of the booking an appointment has, or once had."""
    if appointment.calcom_v2_booking_id != arrival.delivery.uid:
        return _ignored("earlier_booking", appointment)
    booking = as_booking(arrival.delivery)
    if booking is None:
        return _read_again(session, arrival, appointment)
    base, theirs = view_of_base(appointment), view_of_theirs(booking)
    if base.starts_at is not None and not differences(base, theirs, base):
        return _echo(session, arrival, appointment)
    if has_unfinished_intent(session, appointment.id):
        return _read_again(session, arrival, appointment)
    found = differences(view_of_ours(appointment), theirs, base)
    if not found:
        return _echo(session, arrival, appointment)
    if is_stale(arrival.delivery, appointment):
        return _ignored("older_than_base", appointment)
    if appointment.status is AppointmentStatus.PENDING and appointment.starts_at == booking.start:
        return _follow(session, arrival, appointment, booking)
    return _read_again(session, arrival, appointment)


def _on_own_booking(session: Session, arrival: Arrival, appointment: Appointment) -> Effect:
    """Carries our key under a uid we don't know: the answer to our create is still on its way.

    The uid is written down: should the answer get lost, later news of it finds its appointment.
    """
    if not _claim(session, arrival, appointment):
        return Effect(DeliveryStatus.REFUSED, "booking_of_another_appointment", appointment.id)
    if has_unfinished_intent(session, appointment.id):
        return _on_echo_before_answer(session, arrival, appointment)
    return _read_again(session, arrival, appointment)


def _on_echo_before_answer(session: Session, arrival: Arrival, appointment: Appointment) -> Effect:
    start = arrival.delivery.start
    if start is not None and start == appointment.starts_at:
        return _echo(session, arrival, appointment)
    return _read_again(session, arrival, appointment)


def _import(session: Session, arrival: Arrival) -> Effect:
    booking = as_booking(arrival.delivery)
    service = find_service(session, arrival.delivery.event_type_id)
    if service is None:
        return _ignored("not_our_service")
    if booking is None or not booking.attendees:
        return _ignored("incomplete")
    try:
        with session.begin_nested():
            appointment = import_booking(
                session, booking, service, host=arrival.host, now=arrival.now
            )
            claim_uids(session, appointment.id, arrival.host, _uids(arrival), arrival.now)
    except BookingClaimed:
        return Effect(DeliveryStatus.REFUSED, "booking_of_another_appointment")
    except CustomerUnreachable:
        return Effect(DeliveryStatus.FAILED, "attendee_unreachable")
    # News of it may have come before it: the truth is read once more.
    appointment.next_verification_at = arrival.now + READ_AGAIN_AFTER
    _record(session, arrival, appointment, EventKind.IMPORTED)
    _record(session, arrival, appointment, EventKind.PUSH_BACK_SUPPRESSED)
    return Effect(DeliveryStatus.APPLIED, None, appointment.id)


def _uids(arrival: Arrival) -> list[str]:
    """The uid a delivery speaks of, and the one that booking had before."""
    return [uid for uid in (arrival.delivery.old_uid, arrival.delivery.uid) if uid]


def _claim(session: Session, arrival: Arrival, appointment: Appointment) -> bool:
    try:
        with session.begin_nested():
            claim_uids(session, appointment.id, arrival.host, _uids(arrival), arrival.now)
    except BookingClaimed:
        return False
    return True


def _follow(
    session: Session, arrival: Arrival, appointment: Appointment, booking: Booking | None
) -> Effect:
    """Take the booking's word: ours moves with it, and nothing is pushed back.

    A cancelled appointment isn't brought back to life by a webhook: the truth is read, and a
    person settles it.
    """
    revives = appointment.status is AppointmentStatus.CANCELLED
    if booking is None or (revives and booking.status is not BookingStatus.CANCELLED):
        return _read_again(session, arrival, appointment)
    if not _claim(session, arrival, appointment):
        return Effect(DeliveryStatus.REFUSED, "booking_of_another_appointment", appointment.id)
    follow_booking(appointment, booking)
    record_agreement(session, appointment, booking, now=arrival.now)
    _record(session, arrival, appointment, EventKind.WEBHOOK_APPLIED)
    _record(session, arrival, appointment, EventKind.PUSH_BACK_SUPPRESSED)
    return Effect(DeliveryStatus.APPLIED, None, appointment.id)


def _mark(
    session: Session, arrival: Arrival, appointment: Appointment, status: AppointmentStatus
) -> Effect:
    """Completed and no-show stay ours: the class Cal.com compares with doesn't change."""
    if has_unfinished_intent(session, appointment.id):
        return _ignored("on_its_way", appointment)
    appointment.status = status
    _record(session, arrival, appointment, EventKind.WEBHOOK_APPLIED, status=status.value)
    return Effect(DeliveryStatus.APPLIED, None, appointment.id)


def _echo(session: Session, arrival: Arrival, appointment: Appointment) -> Effect:
    _record(session, arrival, appointment, EventKind.ECHO_SUPPRESSED)
    return _ignored("echo", appointment)


def _read_again(session: Session, arrival: Arrival, appointment: Appointment) -> Effect:
    """In doubt the truth is read, once Cal.com's own row has had time to change."""
    due_at = arrival.now + READ_AGAIN_AFTER
    if not has_unfinished_intent(session, appointment.id):
        appointment.next_verification_at = due_at
    return _ignored("read_again", appointment)


def _record(
    session: Session, arrival: Arrival, appointment: Appointment, kind: EventKind, **data: Any
) -> None:
    record_event(
        session,
        appointment.id,
        kind,
        at=arrival.now,
        origin=Origin.CALCOM,
        delivery_id=arrival.id,
        trigger=arrival.delivery.trigger.value,
        **data,
    )


def _ignored(reason: str, appointment: Appointment | None = None) -> Effect:
    return Effect(DeliveryStatus.IGNORED, reason, appointment.id if appointment else None)
