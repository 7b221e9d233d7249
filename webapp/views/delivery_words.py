"""Deliveries in plain words: what Cal.com said happened, what came of it, and why."""

from datetime import datetime
from enum import StrEnum

from flask import Flask
from flask_babel import LazyString, format_percent
from flask_babel import lazy_gettext as _l

from webapp.calcom.webhooks import Trigger
from webapp.models.appointment import AppointmentStatus
from webapp.models.delivery import DeliveryStatus
from webapp.models.remote_change import RemoteChangeKind
from webapp.models.sync_state import SyncState
from webapp.views.formats import exact
from webapp.views.wording import STATUSES, SYNC_STATES, Badge
from webapp.views.words import gettext as _

DELIVERY_STATUSES: dict[StrEnum, Badge] = {
    DeliveryStatus.RECEIVED: Badge(_l("Being worked on"), "yellow", "clock"),
    DeliveryStatus.APPLIED: Badge(_l("Applied"), "green", "check"),
    DeliveryStatus.IGNORED: Badge(_l("Ignored"), "secondary", "circle-check"),
    DeliveryStatus.REFUSED: Badge(_l("Refused"), "red", "ban"),
    DeliveryStatus.FAILED: Badge(_l("Failed"), "red", "x"),
}
REHEARSED_STATUSES: dict[StrEnum, Badge] = {
    DeliveryStatus.RECEIVED: Badge(_l("Would wait"), "yellow", "clock"),
    DeliveryStatus.APPLIED: Badge(_l("Would be applied"), "green", "check"),
    DeliveryStatus.IGNORED: Badge(_l("Would be ignored"), "secondary", "circle-check"),
    DeliveryStatus.REFUSED: Badge(_l("Would be refused"), "red", "ban"),
    DeliveryStatus.FAILED: Badge(_l("Would fail"), "red", "x"),
}
TRIGGERS: dict[str, LazyString] = {
    Trigger.CREATED: _l("Booking made or confirmed"),
    Trigger.RESCHEDULED: _l("Booking moved"),
    Trigger.REQUESTED: _l("Booking requested"),
    Trigger.CANCELLED: _l("Booking cancelled"),
    Trigger.REJECTED: _l("Booking declined"),
    Trigger.NO_SHOW_UPDATED: _l("No-show marked or taken back"),
    Trigger.PAID: _l("Booking paid"),
    Trigger.PAYMENT_INITIATED: _l("Payment begun"),
    Trigger.MEETING_STARTED: _l("Meeting began"),
    Trigger.MEETING_ENDED: _l("Meeting ended"),
    Trigger.RECORDING_READY: _l("Recording ready"),
    Trigger.OUT_OF_OFFICE_CREATED: _l("Absence entered"),
    Trigger.PING: _l("Test by Cal.com"),
    Trigger.OWN_PING: _l("Test by Lockstep"),
    Trigger.UNKNOWN: _l("Another kind"),
}
REASONS: dict[str, LazyString] = {
    "read_again": _l("It leaves doubt, so Cal.com is asked what holds now."),
    "test_ping": _l("A test of the webhook: it works."),
    "own_ping": _l("Lockstep's own test: address and secret are right, Cal.com did not call."),
    "no_effect": _l("Of this kind nothing follows for appointments."),
    "unknown_kind": _l("Lockstep does not know this kind of message."),
    "no_uid": _l("It names no booking."),
    "incomplete": _l("It names nobody who comes."),
    "not_our_service": _l("The event type is none of our services."),
    "unknown_booking": _l("No appointment belongs to this booking, and none is missing."),
    "earlier_booking": _l("It is about what the booking was before it was moved."),
    "older_than_base": _l("It is older than what both sides last agreed on."),
    "older_than_known": _l("Something newer had already said otherwise."),
    "echo": _l("The echo of what is known here already."),
    "already_so": _l("It was so already."),
    "in_step": _l("Cal.com was asked: both sides say the same."),
    "still_booked": _l("Cal.com was asked: the booking is still on."),
    "on_its_way": _l("A change of ours is on its way and settles it."),
    "not_begun": _l("Here the appointment has not begun yet, so nothing ended."),
    "only_guests": _l("It is only about further guests."),
    "both_changed": _l("Our side has changed as well: it is verified, and a person decides."),
    "second_booking": _l("Another booking of the same appointment: it is verified."),
    "not_on_calcom": _l("Cal.com does not know the booking any more: it is verified."),
    "booking_of_another_company": _l("The booking belongs to another company."),
    "service_of_another_company": _l("The event type belongs to another company."),
    "booking_of_another_appointment": _l("The booking belongs to another appointment."),
    "attendee_unreachable": _l("The attendee has neither a readable e-mail address nor a phone."),
    "calcom_not_readable": _l("Cal.com had to be asked and could not be. Run it again later."),
    "too_many_tries": _l("It could not be worked off, however often it was tried."),
    "unreadable:json": _l("The body is not what Cal.com sends."),
    "unreadable:trigger": _l("It does not say what happened."),
    "unreadable:payload": _l("It has no content."),
    "unreadable:uid": _l("The booking's number cannot be read."),
    "unreadable:time": _l("A time in it cannot be read, or cannot be meant."),
}
REMOTE_CHANGES: dict[RemoteChangeKind, LazyString] = {
    RemoteChangeKind.CREATED: _l("Booking made"),
    RemoteChangeKind.CONFIRMED: _l("Booking confirmed"),
    RemoteChangeKind.RESCHEDULED: _l("Booking moved"),
    RemoteChangeKind.CANCELLED: _l("Booking cancelled"),
}
FIELDS: dict[str, LazyString] = {
    "starts_at": _l("Start"),
    "ends_at": _l("End"),
    "status": _l("Status"),
    "guests": _l("Guests"),
    "cancellation_reason": _l("Reason for cancelling"),
    "calcom_v2_booking_id": _l("Booking"),
    "calcom_sync_status": _l("Sync"),
    "requires_manual_review": _l("Requires review"),
    "sync_error_code": _l("Error"),
    "next_verification_at": _l("Next verification"),
}


def register(app: Flask) -> None:
    app.jinja_env.globals.update(
        DELIVERY_STATUSES=DELIVERY_STATUSES,
        REHEARSED_STATUSES=REHEARSED_STATUSES,
        REMOTE_CHANGES=REMOTE_CHANGES,
        FIELDS=FIELDS,
    )
    for shape in (trigger, delivery_reason, field_value, percent):
        app.add_template_filter(shape)


def trigger(name: str) -> str:
    """What Cal.com says happened; a kind that we don't know by Cal.com's own word."""
    return str(TRIGGERS.get(name) or name or _("Unreadable"))


def delivery_reason(reason: str) -> str:
    return str(REASONS.get(reason, reason))


def field_value(value: object) -> str:
    """A column's value as people read it."""
    if isinstance(value, AppointmentStatus):
        return str(STATUSES[value].label)
    if isinstance(value, SyncState):
        return str(SYNC_STATES[value].label)
    if isinstance(value, bool):
        return _("Yes") if value else _("No")
    if isinstance(value, datetime):
        return exact(value)
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "–"
    return str(value) if value else "–"


def percent(share: float) -> str:
    """`33%` out of 0.33; a share that isn't nothing is not shown as nothing."""
    if 0 < share < 0.01:
        return _("under %(share)s", share=format_percent(0.01))
    return str(format_percent(share))
