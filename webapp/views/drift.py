"""A service's drift in plain words: what Cal.com offers instead, field by field."""

from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

from flask import Flask
from flask_babel import LazyString, format_currency, ngettext
from flask_babel import lazy_gettext as _l

from webapp.models.service import EventTypeState, Service, ServiceSync
from webapp.sync.drift import Deviation, drift_of, has_drifted, is_bindable
from webapp.views.wording import Badge
from webapp.views.words import gettext as _

SERVICE_SYNCS: dict[StrEnum, Badge] = {
    ServiceSync.NEVER: Badge(_l("Never synchronised"), "secondary", "circle-dashed"),
    ServiceSync.PENDING: Badge(_l("On its way"), "yellow", "clock"),
    ServiceSync.SYNCED: Badge(_l("Synchronised"), "green", "check"),
    ServiceSync.ERROR: Badge(_l("Failed"), "red", "x"),
}
DRIFTS = {
    "none": Badge(_l("Same on Cal.com"), "green", "check"),
    "some": Badge(_l("Differs"), "yellow", "arrows-diff"),
    "blocked": Badge(_l("Cannot be booked"), "red", "alert-triangle"),
    "unknown": Badge(_l("Not compared yet"), "secondary", "circle-dashed"),
    "unbound": Badge(_l("No event type"), "secondary", "link-off"),
}
FIELDS: dict[str, LazyString] = {
    "name": _l("Name"),
    "duration_minutes": _l("Duration"),
    "buffer_before_minutes": _l("Buffer before"),
    "buffer_after_minutes": _l("Buffer after"),
    "price_cents": _l("Price"),
    "currency": _l("Currency"),
}


class Difference(NamedTuple):
    """One field on which the two differ, in words; `field` names it to the server."""

    field: str
    name: str
    ours: str
    theirs: str
    is_writable: bool


def register(app: Flask) -> None:
    app.jinja_env.globals["SERVICE_SYNCS"] = SERVICE_SYNCS
    for shape in (drift_badge, drift_sentences, drift_table, what_blocks, minutes, price):
        app.add_template_filter(shape)


def drift_badge(service: Service) -> Badge:
    """How the two stand, in a word."""
    if service.calcom_event_type_id is None:
        return DRIFTS["unbound"]
    if service.event_type_state in (EventTypeState.GONE, EventTypeState.FOREIGN):
        return DRIFTS["blocked"]
    if service.event_type_state is EventTypeState.UNKNOWN:
        return DRIFTS["unknown"]
    if not is_bindable(service.event_type_seen):
        return DRIFTS["blocked"]
    return DRIFTS["some" if has_drifted(drift_of(service)) else "none"]


def drift_sentences(service: Service) -> list[str]:
    """What there is to say beyond the badge, worst first."""
    return [*what_blocks(service), *(_tell(service, each) for each in drift_of(service))]


def drift_table(service: Service) -> list[Difference]:
    """Field by field, for a table."""
    return [
        Difference(
            each.field,
            str(FIELDS[each.field]),
            _text(service, each, each.ours),
            _text(service, each, each.theirs),
            each.is_writable,
        )
        for each in drift_of(service)
    ]


def minutes(count: int) -> str:
    """`30 minutes`."""
    return str(ngettext("%(num)s minute", "%(num)s minutes", count))


def price(cents: int, currency: str) -> str:
    """`€12.50`; the smallest unit of a currency is taken to be its hundredth."""
    return str(format_currency(Decimal(cents) / 100, currency))


def what_blocks(service: Service) -> list[str]:
    """Why appointments can't be booked as the service's event type."""
    if service.event_type_state is EventTypeState.GONE:
        return [_("Cal.com no longer has this event type. Give the service another one.")]
    if service.event_type_state is EventTypeState.FOREIGN:
        return [_("This event type belongs to another Cal.com account than your company's.")]
    seen = service.event_type_seen or {}
    found = []
    if seen.get("is_seated"):
        found.append(_("The event type offers seats. Such bookings cannot be kept in step."))
    if seen.get("is_recurring"):
        found.append(_("The event type recurs. Such bookings cannot be kept in step."))
    return found


def _tell(service: Service, found: Deviation) -> str:
    sides = {"name": str(FIELDS[found.field])}
    sides |= {"ours": _text(service, found, found.ours)}
    sides |= {"theirs": _text(service, found, found.theirs)}
    if found.is_writable:
        return _("%(name)s: here %(ours)s, on Cal.com %(theirs)s.", **sides)
    return _(
        "%(name)s: here %(ours)s, on Cal.com %(theirs)s. This can only be changed on Cal.com.",
        **sides,
    )


def _text(service: Service, found: Deviation, value: str | int) -> str:
    if isinstance(value, str):
        return value
    if found.field != "price_cents":
        return minutes(value)
    is_ours = value == found.ours
    seen = (service.event_type_seen or {}).get("currency") or service.currency
    return price(value, service.currency if is_ours else str(seen).upper())
