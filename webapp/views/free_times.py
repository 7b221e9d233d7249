"""Free times to choose from when booking, moving or editing: what Cal.com offers, without what is
held here. Nothing is written, and nothing that was typed is lost."""

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import StrEnum

from webapp import clock
from webapp.extensions import db
from webapp.insight.stats import start_of_day
from webapp.jobs.free_times import ask_slots
from webapp.models.appointment import Appointment
from webapp.models.service import Service
from webapp.sync.phone.offers import as_offer
from webapp.sync.phone.openings import free_starts
from webapp.views.access import company_zone
from webapp.views.forms.appointments import SlotForm


class Known(StrEnum):
    """How much can be said about a day."""

    FREE = "free"
    NOTHING_FREE = "nothing_free"
    UNKNOWN = "unknown"
    NOT_CONNECTED = "not_connected"


@dataclass(frozen=True)
class FreeTimes:
    day: date
    known: Known
    starts: list[datetime] = field(default_factory=list)


def as_context(
    form: SlotForm, free: FreeTimes | None = None, *, asks_for: bool = False
) -> dict[str, object]:
    """What the templates need; `asks_for`: the reader wanted to know, so silence is explained."""
    return {"free": free, "asks_for": asks_for, "chosen_slot": form.slot.data}


def find_free_times(service: Service, day: date, *, moving: Appointment | None = None) -> FreeTimes:
    """Free starts on a day of the company's clock. Ends the transaction, as asking Cal.com does.

    An answer some seconds old will do: only the booking itself decides. `moving`: the appointment
    of this service that leaves its own time.
    """
    offer, zone = as_offer(service), company_zone()
    moving_id, moving_uid = (moving.id, moving.calcom_v2_booking_id) if moving else (None, None)
    if offer.event_type_id is None:
        return FreeTimes(day, Known.NOT_CONNECTED)
    since, until = start_of_day(day, zone), start_of_day(day + timedelta(days=1), zone)
    offered = ask_slots(
        offer.event_type_id,
        start=since,
        end=until,
        moving_uid=moving_uid,
        may_be_told_again=True,
    )
    if offered is None:
        return FreeTimes(day, Known.UNKNOWN)
    length = timedelta(minutes=offer.minutes)
    free = free_starts(
        db.session(), offer, offered, length=length, after=clock.now(), moving_id=moving_id
    )
    starts = [start for start in free if since <= start < until]
    return FreeTimes(day, Known.FREE if starts else Known.NOTHING_FREE, starts)
