"""Truth: where a webhook leaves doubt, Cal.com is asked what holds now, and that takes effect.

1. read    the booking, what it became and what it was before, no transaction open
2. settle  in one transaction: ours follows the current booking, or is left alone with a reason

What is read is younger than any order in which the webhooks came, so all orders end alike.
"""

import time
from collections.abc import Callable, Sequence
from datetime import timedelta

from sqlalchemy.orm import Session

from webapp.calcom.errors import TIMEOUT, NotFound, Unavailable
from webapp.calcom.payloads import Booking, BookingStatus
from webapp.calcom.webhooks import Trigger
from webapp.models.appointment import Appointment, AppointmentStatus
from webapp.models.delivery import DeliveryStatus
from webapp.sync.agreement import record_agreement
from webapp.sync.arrivals import Arrival, find_by_sync_key, find_by_uid, find_service
from webapp.sync.attendance import on_meeting_ended, on_no_show
from webapp.sync.carry import MAX_HOPS, follow_chain
from webapp.sync.effects import (
    Effect,
    claim,
    follow,
    have_verified,
    ignored,
    refusal,
    take_in,
    undecided,
)
from webapp.sync.intents import has_unfinished_intent
from webapp.sync.receive import ENDINGS
from webapp.sync.reconcile import differences, view_of_base, view_of_ours, view_of_theirs

LOOK_ONCE_MORE_AFTER = timedelta(seconds=60)
"""A cancellation that reading doesn't show: one seat's, or a replica very far behind."""

_MARKS = {Trigger.NO_SHOW_UPDATED: on_no_show, Trigger.MEETING_ENDED: on_meeting_ended}


def read_chain(
    get: Callable[[str], Booking], uid: str, is_known: Callable[[str], bool], *, seconds: float
) -> list[Booking]:
    """The booking with what it became and, back to one that we know, what it was; oldest first.

    Empty where Cal.com doesn't know it. `is_known` may read the database, and ends its transaction.
    Raises what `get` raises; Unavailable where it takes longer than `seconds`.
    """
    ends = time.monotonic() + seconds

    def get_in_time(wanted: str) -> Booking:
        if time.monotonic() > ends:
            raise Unavailable(TIMEOUT, "Reading a chain of bookings took too long", sent=False)
        return get(wanted)

    try:
        chain = follow_chain(get_in_time, uid)
    except NotFound:
        return []
    seen = {booking.uid for booking in chain}
    while len(chain) < MAX_HOPS and not is_known(chain[0].uid):
        before = chain[0].rescheduled_from_uid
        if not before or before in seen:
            break
        seen.add(before)
        try:
            chain.insert(0, get_in_time(before))
        except NotFound:
            break
    return chain


def settle_by_truth(session: Session, arrival: Arrival, chain: Sequence[Booking]) -> Effect:
    """What the delivery comes to, now that its booking has been read; the caller commits.

    Undecided again while a change of ours is on its way, and where an end isn't to be seen yet.
    """
    if not chain:
        return _on_absence(session, arrival)
    current = chain[-1]
    uids = [booking.uid for booking in chain]
    refused = refusal(session, arrival, uids, current.event_type_id)
    if refused is not None:
        return refused
    appointment = _appointment_of(session, arrival, chain)
    if appointment is None:
        return _on_nobodys(session, arrival, current, uids)
    if has_unfinished_intent(session, appointment.id):
        return undecided(appointment)
    if appointment.calcom_v2_booking_id not in (None, *uids):
        return have_verified(arrival, "second_booking", appointment)
    effect = _bring_into_step(session, arrival, appointment, current, uids)
    return _marked(session, arrival, effect)


def _appointment_of(
    session: Session, arrival: Arrival, chain: Sequence[Booking]
) -> Appointment | None:
    for booking in reversed(chain):
        found = find_by_uid(session, arrival, booking.uid)
        if found is not None:
            return found
    return find_by_sync_key(session, chain[-1].metadata)


def _on_absence(session: Session, arrival: Arrival) -> Effect:
    """Absence is not deletion: the appointment is verified under the rules for it."""
    appointment = find_by_uid(session, arrival, arrival.delivery.uid)
    if appointment is None:
        return ignored("unknown_booking")
    return have_verified(arrival, "not_on_calcom", appointment)


def _on_nobodys(
    session: Session, arrival: Arrival, current: Booking, uids: Sequence[str]
) -> Effect:
    service = find_service(session, current.event_type_id)
    if service is None:
        return ignored("not_our_service")
    if arrival.delivery.trigger.value in ENDINGS and _is_over(current):
        # Came and went unseen: nobody is missing it.
        return ignored("unknown_booking")
    effect = take_in(session, arrival, current, service, uids)
    return _marked(session, arrival, effect)


def _bring_into_step(
    session: Session,
    arrival: Arrival,
    appointment: Appointment,
    current: Booking,
    uids: Sequence[str],
) -> Effect:
    ours, theirs, base = (
        view_of_ours(appointment),
        view_of_theirs(current),
        view_of_base(appointment),
    )
    if not differences(ours, theirs, base):
        return _note_agreement(session, arrival, appointment, current, uids)
    revives = appointment.status is AppointmentStatus.CANCELLED
    if revives or (base.starts_at is not None and differences(ours, base, base)):
        return have_verified(arrival, "both_changed", appointment)
    return follow(session, arrival, appointment, current, uids, was_read=True)


def _note_agreement(
    session: Session,
    arrival: Arrival,
    appointment: Appointment,
    current: Booking,
    uids: Sequence[str],
) -> Effect:
    """Nothing to change, except perhaps what the booking is called by now."""
    is_new_uid = appointment.calcom_v2_booking_id != current.uid
    if is_new_uid:
        return follow(session, arrival, appointment, current, uids, was_read=True)
    if not claim(session, arrival, appointment, uids):
        return Effect(DeliveryStatus.REFUSED, "booking_of_another_appointment", appointment.id)
    is_unseen_end = arrival.delivery.trigger.value in ENDINGS and not _is_over(current)
    if is_unseen_end and arrival.is_read_again:
        # Cal.com's row changes once all its receivers have answered, and reads lag (API.md §5).
        return undecided(appointment)
    record_agreement(session, appointment, current, now=arrival.now)
    if is_unseen_end:
        appointment.next_verification_at = arrival.now + LOOK_ONCE_MORE_AFTER
        return ignored("still_booked", appointment)
    return ignored("in_step", appointment)


def _marked(session: Session, arrival: Arrival, effect: Effect) -> Effect:
    """A meeting's end and a no-show take effect on top of what was read."""
    is_known = effect.appointment_id is not None and effect.status in (
        DeliveryStatus.APPLIED,
        DeliveryStatus.IGNORED,
    )
    mark = _MARKS.get(arrival.delivery.trigger)
    if mark is None or not is_known:
        return effect
    session.flush()
    marked = mark(session, arrival)
    is_less = effect.status is DeliveryStatus.APPLIED and marked.status is not effect.status
    return effect if marked.is_undecided or is_less else marked


def _is_over(booking: Booking) -> bool:
    return booking.status in (BookingStatus.CANCELLED, BookingStatus.REJECTED)
