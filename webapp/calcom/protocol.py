"""The calls that we use, each with its path and its pinned version: one place to change both.

A missing or unknown version silently falls back to 2024-04-15 with other field names; a known one
that the endpoint doesn't implement answers 404. (Cal.com API v2, state July 2026.)
"""

from typing import NamedTuple

VERSION_HEADER = "cal-api-version"
BOOKINGS_VERSION = "2024-08-13"
EVENT_TYPES_VERSION = "2024-06-14"
SLOTS_VERSION = "2024-09-04"


class Operation(NamedTuple):
    """One endpoint: our name for it, the verb, the path below `/v2`, the version or None."""

    name: str
    method: str
    path: str
    version: str | None = None


ME = Operation("me", "GET", "/me")
CREATE_BOOKING = Operation("create_booking", "POST", "/bookings", BOOKINGS_VERSION)
GET_BOOKING = Operation("get_booking", "GET", "/bookings/{uid}", BOOKINGS_VERSION)
LIST_BOOKINGS = Operation("list_bookings", "GET", "/bookings", BOOKINGS_VERSION)
RESCHEDULE_BOOKING = Operation(
    "reschedule_booking", "POST", "/bookings/{uid}/reschedule", BOOKINGS_VERSION
)
CANCEL_BOOKING = Operation("cancel_booking", "POST", "/bookings/{uid}/cancel", BOOKINGS_VERSION)
CONFIRM_BOOKING = Operation("confirm_booking", "POST", "/bookings/{uid}/confirm", BOOKINGS_VERSION)
DECLINE_BOOKING = Operation("decline_booking", "POST", "/bookings/{uid}/decline", BOOKINGS_VERSION)
LIST_EVENT_TYPES = Operation("list_event_types", "GET", "/event-types", EVENT_TYPES_VERSION)
GET_EVENT_TYPE = Operation("get_event_type", "GET", "/event-types/{id}", EVENT_TYPES_VERSION)
UPDATE_EVENT_TYPE = Operation(
    "update_event_type", "PATCH", "/event-types/{id}", EVENT_TYPES_VERSION
)
LIST_SLOTS = Operation("list_slots", "GET", "/slots", SLOTS_VERSION)
CREATE_WEBHOOK = Operation("create_webhook", "POST", "/webhooks")
LIST_WEBHOOKS = Operation("list_webhooks", "GET", "/webhooks")
UPDATE_WEBHOOK = Operation("update_webhook", "PATCH", "/webhooks/{id}")
