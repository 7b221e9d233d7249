"""Event types: how they look as of `2024-06-14`, and what a PATCH may write."""

import dataclasses
from typing import Any

from webapp.sandbox.records import Account, EventType, Json
from webapp.sandbox.refusals import Refusal

LONGEST_MINUTES = 24 * 60
LARGEST = 1_000_000
BOUNDS = {
    "length_minutes": (1, LONGEST_MINUTES),
    "before_buffer_minutes": (0, LONGEST_MINUTES),
    "after_buffer_minutes": (0, LONGEST_MINUTES),
    "seats": (1, 1000),
    "occurrences": (1, 52),
}
# Cal.com's name → ours, and the type that it must have.
WRITABLE: dict[str, tuple[str, type]] = {
    "title": ("title", str),
    "slug": ("slug", str),
    "description": ("description", str),
    "lengthInMinutes": ("length_minutes", int),
    "lengthInMinutesOptions": ("length_options", list),
    "beforeEventBuffer": ("before_buffer_minutes", int),
    "afterEventBuffer": ("after_buffer_minutes", int),
    "minimumBookingNotice": ("minimum_notice_minutes", int),
    "hidden": ("hidden", bool),
    "bookingFields": ("booking_fields", list),
    "locations": ("locations", list),
}
OLD_WRITABLE: dict[str, tuple[str, type]] = {
    "title": ("title", str),
    "slug": ("slug", str),
    "description": ("description", str),
    "length": ("length_minutes", int),
    "hidden": ("hidden", bool),
}
# Set through the control door only; the API can't write them.
CONTROLLED: dict[str, tuple[str, type]] = {
    **WRITABLE,
    "price": ("price", int),
    "currency": ("currency", str),
    "requiresConfirmation": ("requires_confirmation", bool),
    "blocksWhilePending": ("blocks_while_pending", bool),
    "roundRobin": ("is_round_robin", bool),
    "hasHosts": ("has_hosts", bool),
    "seatsPerTimeSlot": ("seats", int),
    "occurrences": ("occurrences", int),
    "windowDays": ("window_days", int),
}
FURTHER = frozenset(
    {
        "slotInterval",
        "disableGuests",
        "scheduleId",
        "offsetStart",
        "customName",
        "color",
        "successRedirectUrl",
        "lockTimeZoneToggleOnBookingPage",
        "hideCalendarNotes",
        "requiresBookerEmailVerification",
    }
)
DEFAULT_FIELDS: list[Json] = [
    {
        "type": "name",
        "label": "your_name",
        "placeholder": "",
        "isDefault": True,
        "slug": "name",
        "required": True,
    },
    {
        "type": "email",
        "label": "email_address",
        "placeholder": "",
        "isDefault": True,
        "slug": "email",
        "required": True,
    },
]
DEFAULT_LOCATIONS: list[Json] = [{"type": "integration", "integration": "cal-video"}]


def event_type_body(event_type: EventType, owner: Account) -> Json:
    """An event type as of `2024-06-14`. There is no `updatedAt` (API facts, §3)."""
    return {
        **_fixed(),
        **_own_values(event_type),
        "ownerId": owner.id,
        "users": [{"id": owner.id, "name": owner.name, "username": owner.username, "metadata": {}}],
        "bookingUrl": f"https://cal.example/{owner.username}/{event_type.slug}",
        **event_type.further,
    }


def _own_values(event_type: EventType) -> Json:
    return {
        "id": event_type.id,
        "lengthInMinutes": event_type.length_minutes,
        "lengthInMinutesOptions": event_type.length_options,
        "title": event_type.title,
        "slug": event_type.slug,
        "description": event_type.description,
        "locations": event_type.locations or DEFAULT_LOCATIONS,
        "bookingFields": event_type.booking_fields or DEFAULT_FIELDS,
        "minimumBookingNotice": event_type.minimum_notice_minutes,
        "beforeEventBuffer": event_type.before_buffer_minutes,
        "afterEventBuffer": event_type.after_buffer_minutes,
        "recurrence": _recurrence(event_type),
        "price": event_type.price,
        "currency": event_type.currency,
        "seatsPerTimeSlot": event_type.seats,
        "confirmationPolicy": _confirmation_policy(event_type),
        "hidden": event_type.hidden,
    }


def _fixed() -> Json:
    return {
        "disableGuests": False,
        "slotInterval": None,
        "metadata": {},
        "lockTimeZoneToggleOnBookingPage": False,
        "forwardParamsSuccessRedirect": None,
        "successRedirectUrl": None,
        "isInstantEvent": False,
        "scheduleId": None,
        "bookingRequiresAuthentication": False,
    }


def _recurrence(event_type: EventType) -> Json | None:
    if event_type.occurrences is None:
        return None
    return {"interval": 1, "occurrences": event_type.occurrences, "frequency": "weekly"}


def _confirmation_policy(event_type: EventType) -> Json:
    if not event_type.requires_confirmation:
        return {"disabled": True}
    return {
        "type": "always",
        "blockUnconfirmedBookingsInBooker": event_type.blocks_while_pending,
    }


def patched(event_type: EventType, body: Json, *, old: bool = False) -> EventType:
    """The event type after a PATCH. `price`, `currency` and unknown names change nothing;
    lists are replaced whole; the old version knows the old names only. Refusal 400."""
    changes = read_fields(body, OLD_WRITABLE if old else WRITABLE)
    if not old:
        changes |= _policy_changes(body.get("confirmationPolicy"))
        further = {name: value for name, value in body.items() if name in FURTHER}
        changes["further"] = event_type.further | further
    return dataclasses.replace(event_type, **changes)


def read_fields(body: Json, names: dict[str, tuple[str, type]]) -> dict[str, Any]:
    """Our fields from theirs; Refusal 400 where a type is wrong or a number out of bounds."""
    changes: dict[str, Any] = {}
    for name, (field, kind) in names.items():
        if name in body:
            _check_value(name, body[name], kind, field)
            changes[field] = body[name]
    return changes


def _check_value(name: str, value: object, kind: type, field: str) -> None:
    if value is None:
        if field not in ("seats", "occurrences", "window_days"):
            raise Refusal(400, f"{name} must not be null")
        return
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise Refusal(400, f"{name} must be a {kind.__name__}")
    low, high = BOUNDS.get(field, (0, LARGEST))
    if isinstance(value, int) and not low <= value <= high:
        raise Refusal(400, f"{name} must not be less than {low} or greater than {high}")


def _policy_changes(policy: object) -> dict[str, Any]:
    if not isinstance(policy, dict):
        return {}
    return {
        "requires_confirmation": not policy.get("disabled", False),
        "blocks_while_pending": bool(policy.get("blockUnconfirmedBookingsInBooker", False)),
    }
