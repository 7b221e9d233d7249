"""What attendee or host may change about a booking: its time, and whether it takes place.

Each change is checked, stored and mailed in one transaction; webhooks go out after it, apart from
BOOKING_CANCELLED, which is sent and awaited before the row changes (API facts, §5).
"""

from dataclasses import replace
from datetime import datetime

from webapp.sandbox import payloads, seats
from webapp.sandbox.core import Sandbox
from webapp.sandbox.records import (
    ACCEPTED,
    CANCELLED,
    PENDING,
    Booking,
    EventType,
    Json,
)
from webapp.sandbox.refusals import Refusal, booking_not_found
from webapp.sandbox.scheduling import IN_THE_PAST, announce_new, check_free, note_mail
from webapp.sandbox.state import State


def booking_or_refusal(state: State, uid: str) -> Booking:
    """By uid only: the numeric id answers 404 (API facts, §2)."""
    booking = state.bookings.get(uid)
    if booking is None:
        raise booking_not_found(uid)
    return booking


def reschedule(
    sandbox: Sandbox,
    uid: str,
    start: datetime,
    *,
    reason: str | None = None,
    by: str | None = None,
    keep: bool = True,
) -> Booking:
    """Move it: a new booking with a new uid; the old one becomes cancelled. Refusal 400 or 404."""
    with sandbox.state.writing():
        old = booking_or_refusal(sandbox.state, uid)
        _check_reschedulable(old)
        if start < sandbox.clock.now():
            raise Refusal(400, IN_THE_PAST)
        event_type = sandbox.state.event_types[old.event_type_id]
        check_free(sandbox.state, event_type, start, start + (old.end - old.start), moving=uid)
        new = _successor(sandbox, old, start, reason=reason, by=by)
        if keep:
            _hand_over(sandbox, old, new)
    if keep:
        _announce_move(sandbox, new, old, event_type)
    return new


def _check_reschedulable(booking: Booking) -> None:
    uid, successor = booking.uid, booking.rescheduled_to_uid
    if booking.is_live:
        return
    if successor is not None:
        raise Refusal(
            400,
            f"Can't reschedule booking with uid={uid} because it has been cancelled and "
            f"rescheduled already to booking with uid={successor}. You probably want to "
            f"reschedule {successor} instead by passing it within the request URL.",
        )
    raise Refusal(
        400,
        f"Can't reschedule booking with uid={uid} because it has been cancelled. "
        "Please provide uid of a booking that is not cancelled.",
    )


def _successor(
    sandbox: Sandbox, old: Booking, start: datetime, *, reason: str | None, by: str | None
) -> Booking:
    """The new booking. Metadata survives; where confirmation is needed it is pending; the reason
    also turns up as a cancellationReason, which is noise (API facts, §2)."""
    now = sandbox.clock.now()
    event_type = sandbox.state.event_types[old.event_type_id]
    return replace(
        old,
        id=sandbox.state.next_id(),
        uid=sandbox.state.new_uid(),
        status=PENDING if event_type.requires_confirmation else ACCEPTED,
        start=start,
        end=start + (old.end - old.start),
        created_at=now,
        updated_at=now,
        cancellation_reason=reason or "",
        rescheduling_reason=reason,
        rescheduled_by=by,
        rescheduled_from_uid=old.uid,
        rescheduled_to_uid=None,
    )


def _hand_over(sandbox: Sandbox, old: Booking, new: Booking) -> None:
    gone = replace(
        old,
        status=CANCELLED,
        rescheduled_to_uid=new.uid,
        rescheduling_reason=new.rescheduling_reason,
        rescheduled_by=new.rescheduled_by,
        updated_at=sandbox.clock.now(),
    )
    sandbox.state.save_booking(gone)
    sandbox.state.save_booking(new)
    note_mail(sandbox, new, "requested" if new.status == PENDING else "rescheduled")


def _announce_move(sandbox: Sandbox, new: Booking, old: Booking, event_type: EventType) -> None:
    """No BOOKING_CANCELLED follows for the old uid."""
    if new.status == PENDING:
        announce_new(sandbox, new, event_type)
        return
    body = payloads.rescheduled(new, old, event_type)
    send(sandbox, new, payloads.RESCHEDULED, body)


def cancel(
    sandbox: Sandbox,
    uid: str,
    *,
    reason: str = "",
    by: str | None = None,
    request_reschedule: bool = False,
    keep: bool = True,
    bare: bool = False,
) -> Booking:
    """Cancel it. Refusal 400 when it is cancelled already or over, in either shape.

    1. Check. 2. Send BOOKING_CANCELLED and wait: the row still says accepted. 3. Check again, as
    another may have been quicker. 4. Store and mail.
    """
    draft = _cancelled(sandbox, uid, reason=reason, by=by, bare=bare)
    if not keep:
        return draft
    announce_cancellation(sandbox, draft, request_reschedule=request_reschedule)
    with sandbox.state.writing():
        after = _cancelled(sandbox, uid, reason=reason, by=by, bare=bare)
        sandbox.state.save_booking(after)
        note_mail(sandbox, after, "reschedule_requested" if request_reschedule else "cancelled")
    return after


def _cancelled(
    sandbox: Sandbox, uid: str, *, reason: str, by: str | None, bare: bool = False
) -> Booking:
    """The booking as it will be, if it can be cancelled as it is."""
    booking, now = booking_or_refusal(sandbox.state, uid), sandbox.clock.now()
    _check_cancellable(booking, now, bare=bare)
    return replace(
        booking, status=CANCELLED, cancellation_reason=reason, cancelled_by=by, updated_at=now
    )


def _check_cancellable(booking: Booking, now: datetime, *, bare: bool) -> None:
    uid, successor = booking.uid, booking.rescheduled_to_uid
    if successor is not None:
        raise Refusal(
            400,
            f"Can't cancel booking with uid={uid} because it has been cancelled and rescheduled "
            f"already to booking with uid={successor}. You probably want to cancel {successor} "
            "instead by passing it within the request URL.",
        )
    if not booking.is_live:
        text = f"Can't cancel booking with uid={uid} because it has been cancelled already."
        raise Refusal(400, "This booking has already been cancelled." if bare else text, bare=bare)
    if booking.end <= now:
        raise Refusal(400, "Cannot cancel a booking that has already ended", bare=True)


def announce_cancellation(
    sandbox: Sandbox, after: Booking, *, request_reschedule: bool = False
) -> None:
    event_type = sandbox.state.event_types[after.event_type_id]
    body = payloads.cancelled(after, event_type, request_reschedule=request_reschedule)
    send(sandbox, after, payloads.CANCELLED, body, hold=True)


def cancel_seat(sandbox: Sandbox, uid: str, seat_uid: str) -> Booking:
    """One attendee leaves. BOOKING_CANCELLED goes out although the booking lives on."""
    before = booking_or_refusal(sandbox.state, uid)
    if len(before.attendees) == 1 and before.attendees[0].get("seatUid") == seat_uid:
        return cancel(sandbox, uid)
    seats.leave_seat(before, seat_uid)
    announce_cancellation(sandbox, before)
    with sandbox.state.writing():
        after = seats.leave_seat(booking_or_refusal(sandbox.state, uid), seat_uid)
        sandbox.state.save_booking(after)
        leaver = next(each for each in before.attendees if each.get("seatUid") == seat_uid)
        note_mail(sandbox, after, "cancelled", to=str(leaver["email"]))
    return after


def cancel_series(sandbox: Sandbox, recurring_uid: str, *, reason: str = "") -> list[Booking]:
    """Cancel what is left of a series: one BOOKING_CANCELLED for all of it."""
    state = sandbox.state
    live = [state.bookings[uid] for uid in state.series[recurring_uid]]
    live = [each for each in live if each.is_live and each.end > sandbox.clock.now()]
    if not live:
        raise Refusal(400, "This booking has already been cancelled.", bare=True)
    announce_cancellation(sandbox, _cancelled(sandbox, live[0].uid, reason=reason, by=None))
    with state.writing():
        for booking in live:
            state.save_booking(_cancelled(sandbox, booking.uid, reason=reason, by=None))
        note_mail(sandbox, live[0], "cancelled")
    return [state.bookings[each.uid] for each in live]


def send(
    sandbox: Sandbox, booking: Booking, trigger: str, payload: Json, *, hold: bool = False
) -> None:
    body = sandbox.postman.envelope(trigger, payload)
    sandbox.postman.send(booking.owner_id, trigger, booking.uid, body, hold=hold)
