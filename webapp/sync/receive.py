"""Receive: what one webhook of Cal.com does to our appointments (S4.1, S4.2).

A webhook is a hint, fast and lossy: it is applied where it continues what we know. Where it is
older it is ignored, and where it leaves doubt (a step is missing, news came in another order, one
seat of many may have left) it stays undecided until `truth` has asked Cal.com. Nothing in here
causes a push: what came from Cal.com isn't sent back, and the echo of our own push changes nothing.

Lock order: the appointment's row first, as everywhere.
"""

from collections.abc import Callable
from datetime import timedelta

from sqlalchemy.orm import Session

from webapp.calcom.payloads import Attendee, Booking, BookingStatus
from webapp.calcom.reading import read_attendees
from webapp.calcom.webhooks import Trigger
from webapp.models.appointment import Appointment, AppointmentStatus
from webapp.models.base import fold
from webapp.models.delivery import (
    DeliveryStatus,
    has_later_news,
    other_deliveries,
)
from webapp.sync.arrivals import (
    Arrival,
    as_booking,
    find_by_key,
    find_by_uid,
    find_service,
    is_create_under_way,
    is_stale,
)
from webapp.sync.attendance import on_meeting_ended, on_no_show
from webapp.sync.effects import (
    Effect,
    claim,
    echo,
    follow,
    have_verified,
    ignored,
    of_other_uid,
    of_unknown,
    refusal,
    take_in,
    undecided,
)
from webapp.sync.intents import has_unfinished_intent, lock_appointment
from webapp.sync.reconcile import differences, view_of_base, view_of_ours, view_of_theirs

READ_AGAIN_AFTER = timedelta(seconds=5)
"""On cancel Cal.com's own row changes only after our answer, and reads lag (API.md §5)."""

ENDINGS = frozenset({Trigger.CANCELLED.value, Trigger.REJECTED.value})
_BOOKINGS = frozenset({Trigger.CREATED.value, Trigger.REQUESTED.value})


def receive(session: Session, arrival: Arrival) -> Effect:
    """Apply a delivery, say why not, or that the truth is to be read (an undecided effect).

    The caller commits; nothing is to be enqueued.
    """
    delivery = arrival.delivery
    if delivery.is_ping:
        is_own = delivery.trigger is Trigger.OWN_PING
        return ignored("own_ping" if is_own else "test_ping")
    refused = refusal(session, arrival, uids_of(arrival), delivery.event_type_id)
    if refused is not None:
        return refused
    if delivery.trigger not in HANDLERS:
        return ignored("no_effect" if delivery.trigger is not Trigger.UNKNOWN else "unknown_kind")
    if delivery.uid is None:
        return ignored("no_uid")
    return HANDLERS[delivery.trigger](session, arrival)


def uids_of(arrival: Arrival) -> list[str]:
    """The uid that its booking had before, and the one that it has."""
    return [uid for uid in (arrival.delivery.old_uid, arrival.delivery.uid) if uid]


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
    return _on_new_booking(session, arrival)


def _on_rescheduled(session: Session, arrival: Arrival) -> Effect:
    delivery = arrival.delivery
    known = find_by_uid(session, arrival, delivery.uid)
    if known is not None:
        return _on_news_of_known(session, arrival, known)
    moved = find_by_uid(session, arrival, delivery.old_uid) or find_by_key(session, arrival)
    if moved is None:
        return of_unknown(session, arrival)
    if has_unfinished_intent(session, moved.id):
        return _on_own_booking(session, arrival, moved)
    booking = as_booking(arrival)
    if moved.calcom_v2_booking_id != delivery.old_uid or booking is None:
        return undecided(moved)
    if _has_later_news(session, arrival):
        return undecided(moved)
    return _follow(session, arrival, moved, booking)


def _on_cancelled(session: Session, arrival: Arrival) -> Effect:
    """CANCELLED and REJECTED, which carry no key of ours: by uid alone."""
    delivery = arrival.delivery
    appointment = find_by_uid(session, arrival, delivery.uid)
    if appointment is None:
        return of_unknown(session, arrival)
    if appointment.calcom_v2_booking_id != delivery.uid:
        return of_other_uid(session, arrival, appointment)
    if appointment.status is AppointmentStatus.CANCELLED:
        return echo(session, arrival, appointment)
    if has_unfinished_intent(session, appointment.id):
        return undecided(appointment)
    if is_stale(delivery, appointment):
        return ignored("older_than_base", appointment)
    if _may_be_one_of_many(session, arrival, appointment):
        return undecided(appointment)
    booking = as_booking(arrival, status=BookingStatus.CANCELLED, appointment=appointment)
    if booking is None:
        return undecided(appointment)
    return _follow(session, arrival, appointment, booking)


HANDLERS: dict[Trigger, Callable[[Session, Arrival], Effect]] = {
    Trigger.CREATED: _on_booked,
    Trigger.REQUESTED: _on_booked,
    Trigger.RESCHEDULED: _on_rescheduled,
    Trigger.CANCELLED: _on_cancelled,
    Trigger.REJECTED: _on_cancelled,
    Trigger.NO_SHOW_UPDATED: on_no_show,
    Trigger.MEETING_ENDED: on_meeting_ended,
}


def _on_news_of_known(session: Session, arrival: Arrival, appointment: Appointment) -> Effect:
    """News of the booking an appointment has, or once had."""
    is_on_its_way = has_unfinished_intent(session, appointment.id)
    if appointment.calcom_v2_booking_id != arrival.delivery.uid:
        tell = _on_own_booking if is_on_its_way else of_other_uid
        return tell(session, arrival, appointment)
    booking = as_booking(arrival)
    if booking is None:
        return undecided(appointment)
    base, theirs = view_of_base(appointment), view_of_theirs(booking)
    if base.starts_at is not None and not differences(base, theirs, base):
        return echo(session, arrival, appointment)
    if is_on_its_way:
        return _on_own_booking(session, arrival, appointment)
    if not differences(view_of_ours(appointment), theirs, base):
        return echo(session, arrival, appointment)
    if is_stale(arrival.delivery, appointment):
        return ignored("older_than_base", appointment)
    if appointment.status is AppointmentStatus.PENDING and appointment.starts_at == booking.start:
        return _follow(session, arrival, appointment, booking)
    return undecided(appointment)


def _on_own_booking(session: Session, arrival: Arrival, appointment: Appointment) -> Effect:
    """A change of ours is on its way, or its answer: what comes meanwhile is most likely its echo.

    The uid is written down: should the answer get lost, later news of it finds its appointment. Not
    where nothing is on its way and the appointment has a booking: this may be a second one, which a
    run finds as long as nobody claims it.
    """
    is_on_its_way = has_unfinished_intent(session, appointment.id)
    if not is_on_its_way and appointment.is_known_to_calcom:
        return undecided(appointment)
    if not claim(session, arrival, appointment, uids_of(arrival)):
        return Effect(DeliveryStatus.REFUSED, "booking_of_another_appointment", appointment.id)
    if not is_on_its_way:
        return undecided(appointment)
    if arrival.delivery.start == appointment.starts_at:
        return echo(session, arrival, appointment)
    return ignored("on_its_way", appointment)


def _on_new_booking(session: Session, arrival: Arrival) -> Effect:
    service = find_service(session, arrival.delivery.event_type_id)
    if service is None:
        return ignored("not_our_service")
    booking = as_booking(arrival)
    if booking is None or not booking.attendees:
        return undecided()
    if _has_later_news(session, arrival) or is_create_under_way(session, service, booking.start):
        return undecided()
    effect = take_in(session, arrival, booking, service, uids_of(arrival))
    if effect.status is DeliveryStatus.APPLIED and effect.appointment_id is not None:
        # Webhooks get lost: what may have become of it meanwhile is read once.
        taken = lock_appointment(session, effect.appointment_id)
        assert taken is not None  # noqa: S101 - it was made a moment ago
        taken.next_verification_at = arrival.now + READ_AGAIN_AFTER
    return effect


def _follow(
    session: Session, arrival: Arrival, appointment: Appointment, booking: Booking
) -> Effect:
    """What Cal.com says holds, unless our side has moved as well: then a person decides.

    Nor does a webhook bring a cancelled appointment back to life.
    """
    if appointment.status is AppointmentStatus.CANCELLED:
        return undecided(appointment)
    base = view_of_base(appointment)
    if base.starts_at is not None and differences(view_of_ours(appointment), base, base):
        return have_verified(arrival, "both_changed", appointment)
    return follow(session, arrival, appointment, booking, uids_of(arrival), **_told(arrival))


def _told(arrival: Arrival) -> dict[str, bool]:
    """A host's "pick another time" is a cancellation without successor."""
    return {"asked_to_reschedule": True} if arrival.delivery.request_reschedule else {}


def _has_later_news(session: Session, arrival: Arrival) -> bool:
    """Whether what became of this booking has come in before it."""
    uid = arrival.delivery.uid
    return uid is not None and has_later_news(session, arrival.id, uid, ENDINGS)


def _may_be_one_of_many(session: Session, arrival: Arrival, appointment: Appointment) -> bool:
    """One seat's leaving sends the same CANCELLED while the booking lives on (API.md §5)."""
    if arrival.delivery.is_seat or appointment.guests:
        return True
    uid = arrival.delivery.uid or ""
    earlier = other_deliveries(session, arrival.id, uid, _BOOKINGS)
    people = [*arrival.delivery.attendees]
    for other in earlier:
        people += _attendees_in(other.body)
    return len({fold(person.email) for person in people if person.email}) > 1


def _attendees_in(body: dict[str, object]) -> tuple[Attendee, ...]:
    payload = body.get("payload")
    return read_attendees(payload.get("attendees")) if isinstance(payload, dict) else ()
