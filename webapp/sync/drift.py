"""Drift: where a service and the event type it is booked as say different things (S8). Pure.

There is no base here: an event type has no `updatedAt` and sends no webhook, so all that can be
said is that the two differ, not who moved (API.md §3).
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from webapp.calcom.payloads import EventType
from webapp.models.service import EventTypeState, Service

KEPT = (
    "id",
    "title",
    "length_minutes",
    "lengths_minutes",
    "before_buffer_minutes",
    "after_buffer_minutes",
    "hidden",
    "price",
    "currency",
    "is_recurring",
    "is_seated",
)
"""What is kept of an event type, under the names of `calcom.payloads.EventType`."""


@dataclass(frozen=True, slots=True)
class Deviation:
    """One field on which the two differ; minutes, or cents for the price.

    `is_writable`: a sync can make Cal.com say what the service says; price and currency can't be
    written there.
    """

    field: str
    ours: str | int
    theirs: str | int
    is_writable: bool = True


def keep(event_type: EventType) -> dict[str, Any]:
    """What the service's row keeps of its event type: JSON."""
    values = asdict(event_type)
    return {name: values[name] for name in KEPT}


def recall(kept: Mapping[str, Any]) -> EventType:
    """The event type out of what `keep` made."""
    values = {name: kept[name] for name in KEPT if name in kept}
    return EventType(**{**values, "lengths_minutes": tuple(kept.get("lengths_minutes") or ())})


def drift_of(service: Service) -> list[Deviation]:
    """Where a service differs from its event type as last read."""
    if service.event_type_state is not EventTypeState.PRESENT or not service.event_type_seen:
        return []
    return deviations(service, recall(service.event_type_seen))


def deviations(service: Service, theirs: EventType) -> list[Deviation]:
    """Field by field; an empty list says that both offer the same."""
    found = [
        Deviation("name", service.name, theirs.title)
        if _words(service.name) != _words(theirs.title)
        else None,
        _length(service, theirs),
        _minutes("buffer_before_minutes", service, theirs.before_buffer_minutes),
        _minutes("buffer_after_minutes", service, theirs.after_buffer_minutes),
        *_price(service, theirs),
    ]
    return [each for each in found if each is not None]


def length_to_ask_for(service: Service, minutes: int) -> int | None:
    """What a create has to say of its length: `minutes` where the booker chooses among lengths and
    this is one of them, else nothing, for Cal.com refuses it with 400 (API.md §2)."""
    if service.event_type_state is not EventTypeState.PRESENT or not service.event_type_seen:
        return None
    seen = recall(service.event_type_seen)
    if seen.id != service.calcom_event_type_id or minutes not in seen.lengths_minutes:
        return None
    return minutes


def is_bindable(kept: Mapping[str, Any] | None) -> bool:
    """Whether appointments can be booked as it: seated and recurring event types can't (S4.2)."""
    return not kept or not (kept.get("is_seated") or kept.get("is_recurring"))


def has_drifted(found: Sequence[Deviation]) -> bool:
    """Whether there is anything that a sync would put right."""
    return any(each.is_writable for each in found)


def _length(service: Service, theirs: EventType) -> Deviation | None:
    """Where the booker chooses among lengths, ours being one of them is no drift."""
    if service.duration_minutes in theirs.lengths_minutes:
        return None
    return _minutes("duration_minutes", service, theirs.length_minutes)


def _minutes(field: str, service: Service, theirs: int) -> Deviation | None:
    ours: int = getattr(service, field)
    return Deviation(field, ours, theirs) if ours != theirs else None


def _price(service: Service, theirs: EventType) -> list[Deviation]:
    """An event type without a price says nothing: most companies take no payment there."""
    if not theirs.price:
        return []
    found = []
    if round(theirs.price) != service.price_cents:
        found.append(Deviation("price_cents", service.price_cents, round(theirs.price), False))
    if theirs.currency and theirs.currency.upper() != service.currency.upper():
        found.append(Deviation("currency", service.currency, theirs.currency.upper(), False))
    return found


def _words(text: str) -> list[str]:
    """A name without the white space that nobody sees."""
    return text.split()
