"""Free times to choose from when booking: what Cal.com offers, without what is held here."""

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import StrEnum

from webapp import clock
from webapp.extensions import db
from webapp.insight.stats import start_of_day
from webapp.jobs.free_times import ask_slots
from webapp.models.service import Service
from webapp.sync.phone.offers import as_offer
from webapp.sync.phone.openings import free_starts
from webapp.views.access import company_zone


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


def find_free_times(service: Service, day: date) -> FreeTimes:
    """Free starts on a day of the company's clock. Ends the transaction, as asking Cal.com does.

    An answer some seconds old will do: only the booking itself decides.
    """
    offer, zone = as_offer(service), company_zone()
    if offer.event_type_id is None:
        return FreeTimes(day, Known.NOT_CONNECTED)
    since, until = start_of_day(day, zone), start_of_day(day + timedelta(days=1), zone)
    offered = ask_slots(offer.event_type_id, start=since, end=until, may_be_told_again=True)
    if offered is None:
        return FreeTimes(day, Known.UNKNOWN)
    length = timedelta(minutes=offer.minutes)
    free = free_starts(db.session(), offer, offered, length=length, after=clock.now())
    starts = [start for start in free if since <= start < until]
    return FreeTimes(day, Known.FREE if starts else Known.NOTHING_FREE, starts)
