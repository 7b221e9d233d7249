"""Listing: Cal.com's side of a run, page by page (S5.2).

Offset paging over a moving set skips and repeats rows, and Cal.com's sort has no tie-breaker. So
each page begins where the last one ended, by the value it is sorted by, inclusive; the bookings
that stand exactly at the end are left to the next page, which shows all of them. So nothing is
taken twice and no uids need to be remembered, however long the listing. A page shorter than asked
for is the last (API.md §2).

A booking's start never changes on Cal.com: a reschedule makes a new booking and leaves the old one
where it was. So what moves meanwhile can't slip from one page into an earlier one unseen.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from webapp.calcom.client import CalcomClient
from webapp.calcom.payloads import Booking, BookingPage, BookingQuery, Sort


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """Where the next page begins: the value it is sorted by, and how many bookings at exactly that
    value earlier pages have shown."""

    at: datetime
    skip: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One page. `until` ends, exclusively, what the listing has shown up to here; None: all."""

    bookings: tuple[Booking, ...]
    since: datetime
    read_at: datetime
    until: datetime | None = None
    next: Checkpoint | None = None

    @property
    def is_last(self) -> bool:
        return self.next is None


def read_by_start(
    client: CalcomClient, event_type_ids: tuple[int, ...], checkpoint: Checkpoint, read_at: datetime
) -> Page:
    """The bookings from a start on, soonest first; raises CalcomError. `read_at`: before the call,
    by our clock."""
    query = BookingQuery(
        event_type_ids=event_type_ids,
        after_start=checkpoint.at,
        skip=checkpoint.skip,
        sort=Sort.START_ASC,
    )
    return _page(client.list_bookings(query), lambda each: each.start, checkpoint, read_at)


def read_by_change(
    client: CalcomClient, event_type_ids: tuple[int, ...], checkpoint: Checkpoint, read_at: datetime
) -> Page:
    """The bookings changed from an instant on, the longest ago first; raises CalcomError."""
    query = BookingQuery(
        event_type_ids=event_type_ids,
        after_updated_at=checkpoint.at,
        skip=checkpoint.skip,
        sort=Sort.UPDATED_ASC,
    )
    page = client.list_bookings(query)
    return _page(page, lambda each: each.updated_at or checkpoint.at, checkpoint, read_at)


def _page(
    answer: BookingPage,
    value_of: Callable[[Booking], datetime],
    checkpoint: Checkpoint,
    read_at: datetime,
) -> Page:
    bookings = tuple({booking.uid: booking for booking in answer.bookings}.values())
    if not answer.has_more:
        return Page(bookings=bookings, since=checkpoint.at, read_at=read_at)
    end = max(value_of(booking) for booking in bookings)
    if end <= checkpoint.at:
        # A whole page at one instant: only here an offset has to help.
        following = Checkpoint(at=checkpoint.at, skip=checkpoint.skip + len(answer.bookings))
    else:
        following = Checkpoint(at=end)
        bookings = tuple(booking for booking in bookings if value_of(booking) < end)
    return Page(
        bookings=bookings,
        since=checkpoint.at,
        until=following.at,
        next=following,
        read_at=read_at,
    )
