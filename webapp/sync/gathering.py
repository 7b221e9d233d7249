"""Many looks with few calls: neighbours in time are read by one listing, and only what that does
not show plainly costs a GET of its own (S5.2)."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta

from webapp.calcom.client import CalcomClient
from webapp.calcom.payloads import MAX_TAKE, Booking, BookingQuery, Sort
from webapp.sync.verify import Look, Observation, observe

LOOKS_PER_PAGE = 10
"""A listing may cost a page for so many looks; where it is longer, single ones are cheaper."""

AROUND = timedelta(days=1, minutes=1)


def observe_many(looks: Sequence[Look], client: CalcomClient) -> Iterator[tuple[Look, Observation]]:
    """Each look with what was seen. Raises CalcomError where the listing can't be read; what a
    single look meets is in its observation, as ever.

    A listing proves presence, never absence: what it doesn't show is asked for by uid.
    """
    listed = _list(looks, client)
    for look in looks:
        booking = listed.get(look.uid) if look.uid else None
        if booking is None or booking.rescheduled_to_uid:
            yield look, observe(look, client)
        else:
            yield look, Observation(booking=booking, uids=[booking.uid])


def _list(looks: Sequence[Look], client: CalcomClient) -> dict[str, Booking]:
    known = [look for look in looks if look.uid and look.event_type_id]
    if len(known) < 2:
        return {}
    query = BookingQuery(
        event_type_ids=tuple(sorted({look.event_type_id for look in known if look.event_type_id})),
        after_start=min(look.starts[0] for look in known) - AROUND,
        before_end=max(look.starts[-1] for look in known) + AROUND,
        sort=Sort.START_ASC,
    )
    found: dict[str, Booking] = {}
    for number in range(1 + len(known) // LOOKS_PER_PAGE):
        page = client.list_bookings(replace(query, skip=number * MAX_TAKE))
        found |= {booking.uid: booking for booking in page.bookings}
        if not page.has_more:
            break
    return found
