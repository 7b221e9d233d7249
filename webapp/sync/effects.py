"""What a delivery comes to, and the steps by which it takes effect: shared by what a webhook says
(`receive`) and by what Cal.com answers when asked (`truth`)."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy.orm import Session

from webapp.calcom.payloads import Booking
from webapp.calcom.webhooks import Trigger
from webapp.models.appointment import Appointment, AppointmentStatus, Origin
from webapp.models.crossing import is_event_type_claimed_elsewhere, is_uid_claimed_elsewhere
from webapp.models.delivery import READ_AGAIN, DeliveryStatus
from webapp.models.history import EventKind, record_event
from webapp.models.service import Service
from webapp.models.tenancy import require_company_id
from webapp.sync.adopt import follow_booking, import_booking
from webapp.sync.agreement import BookingClaimed, claim_uids, record_agreement
from webapp.sync.arrivals import Arrival, find_service, is_earlier_uid
from webapp.sync.customers import CustomerUnreachable
from webapp.sync.reconcile import differences, view_of_base, view_of_ours, view_of_theirs


@dataclass(frozen=True, slots=True)
class Effect:
    """What came of a delivery; `reason` is a stable word that screens translate.

    RECEIVED: undecided, the truth has to be read first.
    """

    status: DeliveryStatus
    reason: str | None = None
    appointment_id: int | None = None

    @property
    def is_undecided(self) -> bool:
        return self.status is DeliveryStatus.RECEIVED


def ignored(reason: str, appointment: Appointment | None = None) -> Effect:
    return Effect(DeliveryStatus.IGNORED, reason, appointment.id if appointment else None)


def undecided(appointment: Appointment | None = None) -> Effect:
    """The delivery alone leaves doubt: Cal.com is asked, once its row has had time to change."""
    return Effect(
        DeliveryStatus.RECEIVED, READ_AGAIN, appointment.id if appointment is not None else None
    )


def echo(session: Session, arrival: Arrival, appointment: Appointment) -> Effect:
    record(session, arrival, appointment, EventKind.ECHO_SUPPRESSED)
    return ignored("echo", appointment)


def of_unknown(session: Session, arrival: Arrival) -> Effect:
    """News of a booking that we never heard of: what led to it was lost, or is still to come."""
    if find_service(session, arrival.delivery.event_type_id) is None:
        return ignored("not_our_service")
    return undecided()


def of_other_uid(session: Session, arrival: Arrival, appointment: Appointment) -> Effect:
    """The appointment's booking is called otherwise: since then, or not yet."""
    uid = arrival.delivery.uid
    if uid is not None and is_earlier_uid(session, appointment, uid):
        return ignored("earlier_booking", appointment)
    return undecided(appointment)


def refusal(
    session: Session, arrival: Arrival, uids: Sequence[str], event_type_id: int | None
) -> Effect | None:
    """Another company's booking or event type, whichever valid signature it carries (S4.1)."""
    company_id = require_company_id()
    for uid in uids:
        if is_uid_claimed_elsewhere(session, arrival.host, uid, company_id):
            return Effect(DeliveryStatus.REFUSED, "booking_of_another_company")
    if event_type_id is not None and is_event_type_claimed_elsewhere(
        session, arrival.host, event_type_id, company_id
    ):
        return Effect(DeliveryStatus.REFUSED, "service_of_another_company")
    return None


def take_in(
    session: Session, arrival: Arrival, booking: Booking, service: Service, uids: Sequence[str]
) -> Effect:
    """Make an appointment of a booking nobody here knew; `uids`: what it was and is called."""
    if not booking.attendees:
        return ignored("incomplete")
    try:
        with session.begin_nested():
            appointment = import_booking(
                session, booking, service, host=arrival.host, now=arrival.now
            )
            claim_uids(session, appointment.id, arrival.host, list(uids), arrival.now)
            if appointment.status is AppointmentStatus.CANCELLED:
                appointment.cancellation_reason = _reason(arrival, booking)
    except BookingClaimed:
        return _claimed_meanwhile(session, arrival, uids)
    except CustomerUnreachable:
        return Effect(DeliveryStatus.FAILED, "attendee_unreachable")
    record(session, arrival, appointment, EventKind.IMPORTED)
    record(session, arrival, appointment, EventKind.PUSH_BACK_SUPPRESSED)
    return Effect(DeliveryStatus.APPLIED, None, appointment.id)


def follow(
    session: Session,
    arrival: Arrival,
    appointment: Appointment,
    booking: Booking,
    uids: Sequence[str],
    **data: Any,
) -> Effect:
    """Take the booking's word: ours moves with it, and nothing is pushed back."""
    if not claim(session, arrival, appointment, uids):
        return Effect(DeliveryStatus.REFUSED, "booking_of_another_appointment", appointment.id)
    found = differences(
        view_of_ours(appointment), view_of_theirs(booking), view_of_base(appointment)
    )
    follow_booking(appointment, booking)
    if appointment.status is AppointmentStatus.CANCELLED:
        appointment.cancellation_reason = _reason(arrival, booking)
        # Of one that was moved before it was cancelled, and whose moves weren't told.
        appointment.starts_at, appointment.ends_at = booking.start, booking.end
    record_agreement(session, appointment, booking, now=arrival.now)
    fields = {each.field: asdict(each) for each in found}
    record(session, arrival, appointment, EventKind.WEBHOOK_APPLIED, fields=fields, **data)
    record(session, arrival, appointment, EventKind.PUSH_BACK_SUPPRESSED)
    return Effect(DeliveryStatus.APPLIED, None, appointment.id)


def claim(
    session: Session, arrival: Arrival, appointment: Appointment, uids: Sequence[str]
) -> bool:
    """Write the uids down as this appointment's; False where one is another's."""
    try:
        with session.begin_nested():
            claim_uids(session, appointment.id, arrival.host, list(uids), arrival.now)
    except BookingClaimed:
        return False
    return True


def have_verified(arrival: Arrival, reason: str, appointment: Appointment) -> Effect:
    """Both sides say something else, and it isn't ours to choose: a verification flags it."""
    appointment.next_verification_at = arrival.now
    return ignored(reason, appointment)


def record(
    session: Session, arrival: Arrival, appointment: Appointment, kind: EventKind, **data: Any
) -> None:
    """Into the appointment's history, with the delivery that caused it."""
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


def _reason(arrival: Arrival, booking: Booking) -> str | None:
    """As the booking has it, else as its end was told; elsewhere in a delivery it is noise."""
    delivery = arrival.delivery
    is_end = delivery.trigger in (Trigger.CANCELLED, Trigger.REJECTED)
    told = (delivery.cancellation_reason or delivery.rejection_reason) if is_end else ""
    return booking.cancellation_reason or told or None


def _claimed_meanwhile(session: Session, arrival: Arrival, uids: Sequence[str]) -> Effect:
    """By another company, or by another delivery of ours, which a look will find."""
    return refusal(session, arrival, uids, None) or undecided()
