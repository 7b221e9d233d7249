"""The calls that carry one wish to Cal.com, and only the calls: plain values in, plain values out.

1. What is known of the remote side? After an unknown outcome it is looked at before anything is
   repeated (API.md §2: there is no idempotency key, and every repeat mails a customer).
2. What does the wish still need? Nothing, a create, a reschedule or a cancel.
3. What stands in the way: a successor is followed, "already cancelled" is looked through.
"""

import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TypeVar

from webapp.calcom.client import CalcomClient
from webapp.calcom.errors import (
    CONNECTION,
    TIMEOUT,
    AlreadyCancelled,
    BudgetSpent,
    CalcomError,
    CircuitOpen,
    Conflict,
    NotFound,
    ProtocolError,
    Rejected,
    Unavailable,
)
from webapp.calcom.payloads import (
    MAX_TAKE,
    Booking,
    BookingPage,
    BookingQuery,
    BookingStatus,
    NewAttendee,
    NewBooking,
    Sort,
)
from webapp.sync.reconcile import START_TOLERANCE

METADATA_KEY = "lockstep"
MAX_HOPS = 20
MAX_PAGES = 8
LIVE_BOOKINGS = frozenset({BookingStatus.ACCEPTED, BookingStatus.PENDING, BookingStatus.UNKNOWN})
WRITES = frozenset({"create", "reschedule", "cancel"})

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """How the appointment should stand on Cal.com."""

    is_live: bool
    starts_at: datetime
    event_type_id: int
    attendee: NewAttendee
    guests: tuple[str, ...]
    sync_key: uuid.UUID
    reason: str | None
    """What the customer reads about it; a cancellation needs one (API.md §2)."""
    length_minutes: int | None = None
    """What to ask for where the event type offers several lengths; None: it has only one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What we know of Cal.com's side before the first call.

    `must_look`: earlier tries may have taken effect; `sent_starts` is what they asked for and
    `learnt_uids` what webhooks told of since. `may_lag`: the last try is so recent that a listing
    without it proves nothing (API.md §2, replica).
    """

    uid: str | None
    starts_at: datetime | None
    must_look: bool
    sent_starts: tuple[datetime, ...] = ()
    learnt_uids: tuple[str, ...] = ()
    may_lag: bool = False


@dataclass(slots=True)
class Carried:
    """What came of a try: a booking, or an error, and the calls made in order."""

    booking: Booking | None = None
    error: CalcomError | None = None
    operations: list[str] = field(default_factory=list)
    uids: list[str] = field(default_factory=list)
    writes_done: int = 0
    must_wait_for_listing: bool = False
    has_proved_key: bool = False
    """`/me` answered for the key, whatever came of the rest."""
    broke_off: bool = False
    """Something unforeseen ended the try, perhaps in the middle of a call."""

    @property
    def is_in_doubt(self) -> bool:
        """Whether the last call was a write that may have taken effect unseen."""
        if self.broke_off:
            return True
        if not self.operations or self.operations[-1] not in WRITES:
            return False
        if isinstance(self.error, Unavailable):
            return self.error.sent
        return isinstance(self.error, ProtocolError)

    @property
    def was_in_vain(self) -> bool:
        return self.error is not None or self.must_wait_for_listing


def carry(
    wish: Wish, known: Known, client: CalcomClient, *, budget_seconds: float, call_seconds: float
) -> Carried:
    """Make the calls a wish needs; never raises a CalcomError, it is returned.

    No call is begun that could outlast `budget_seconds`, `call_seconds` being a call's deadline:
    so the lease outlives the try.
    """
    trip = _Trip(client, budget_seconds - call_seconds)
    try:
        trip.result.booking = _keep(wish, known, trip) if wish.is_live else _end(wish, known, trip)
    except CalcomError as error:
        trip.result.error = error
    return trip.result


def follow_chain(get: Callable[[str], Booking], uid: str) -> list[Booking]:
    """A booking and its successors by reschedule, the last one last; a loop ends the walk.

    Raises what `get` raises; Unavailable where a successor that Cal.com itself names can't be read
    yet. Source: API.md §2, Identifiers, and reads from a replica.
    """
    chain = [get(uid)]
    seen = {uid}
    while len(chain) < MAX_HOPS:
        successor = chain[-1].rescheduled_to_uid
        if not successor or successor in seen:
            break
        seen.add(successor)
        try:
            chain.append(get(successor))
        except NotFound as error:
            raise Unavailable(CONNECTION, "A successor can't be read yet", sent=False) from error
    return chain


def find_by_key(
    list_page: Callable[[BookingQuery], BookingPage],
    *,
    event_type_id: int,
    sync_key: uuid.UUID,
    around: Iterable[datetime],
) -> Booking | None:
    """The live booking that carries our key near one of these starts, if listings show it.

    Raises Unavailable where a listing is too long to be read: it may prove nothing missing.
    """
    for start in sorted(set(around)):
        query = BookingQuery(
            event_type_ids=(event_type_id,),
            after_start=start - START_TOLERANCE,
            before_end=start + timedelta(days=1, minutes=1),
        )
        for booking in _all_pages(list_page, query):
            if carries_key(booking, sync_key) and booking.status in LIVE_BOOKINGS:
                return booking
    return None


def _all_pages(
    list_page: Callable[[BookingQuery], BookingPage], query: BookingQuery
) -> Iterator[Booking]:
    for number in range(MAX_PAGES):
        page = list_page(replace(query, skip=number * MAX_TAKE, sort=Sort.START_ASC))
        yield from page.bookings
        if not page.has_more:
            return
    raise Unavailable(TIMEOUT, "The listing is too long to be read whole", sent=False)


def carries_key(booking: Booking, sync_key: uuid.UUID) -> bool:
    return booking.metadata.get(METADATA_KEY) == str(sync_key)


class CancelledThere(Rejected):
    """Somebody cancelled on Cal.com what we want to keep or move."""


class _Trip:
    """The client with a budget, writing down each call and every uid it showed."""

    def __init__(self, client: CalcomClient, last_start_seconds: float) -> None:
        self._client = client
        self._ends = time.monotonic() + last_start_seconds
        self.result = Carried()

    def get(self, uid: str) -> Booking:
        return self._note("get", lambda: self._client.get_booking(uid))

    def create(self, new: NewBooking) -> Booking:
        return self._note("create", lambda: self._client.create_booking(new))

    def reschedule(self, uid: str, starts_at: datetime, reason: str | None) -> Booking:
        return self._note(
            "reschedule", lambda: self._client.reschedule_booking(uid, starts_at, reason)
        )

    def cancel(self, uid: str, reason: str) -> Booking:
        return self._note("cancel", lambda: self._client.cancel_booking(uid, reason))

    def find(self, wish: Wish, starts: list[datetime]) -> Booking | None:
        found = find_by_key(
            self._list, event_type_id=wish.event_type_id, sync_key=wish.sync_key, around=starts
        )
        if found is not None:
            self._remember(found)
        return found

    def follow(self, uid: str) -> Booking:
        return follow_chain(self.get, uid)[-1]

    def follow_named(self, uid: str) -> Booking:
        """A successor that Cal.com itself names exists: if it can't be read, it can't be yet."""
        try:
            return self.follow(uid)
        except NotFound as error:
            raise Unavailable(CONNECTION, "A successor can't be read yet", sent=False) from error

    def _list(self, query: BookingQuery) -> BookingPage:
        return self._make("list", lambda: self._client.list_bookings(query))

    def _note(self, operation: str, call: Callable[[], Booking]) -> Booking:
        booking = self._make(operation, call)
        self._remember(booking)
        if operation in WRITES:
            self.result.writes_done += 1
        return booking

    def _make(self, operation: str, call: Callable[[], Answer]) -> Answer:
        self._begin(operation)
        try:
            return call()
        except (BudgetSpent, CircuitOpen):
            # Kept back before anything was sent: no call was made.
            self.result.operations.pop()
            raise

    def _remember(self, booking: Booking) -> None:
        if booking.uid not in self.result.uids:
            self.result.uids.append(booking.uid)

    def _begin(self, operation: str) -> None:
        if time.monotonic() > self._ends and self.result.operations:
            raise Unavailable(TIMEOUT, "This try ran out of time before its next call", sent=False)
        self.result.operations.append(operation)


def _keep(wish: Wish, known: Known, trip: _Trip) -> Booking | None:
    """See that a booking stands at the wished time."""
    learnt = _look_at_learnt(wish, known, trip)
    if learnt is not None:
        return _keep_learnt(wish, known, learnt, trip)
    remote = _look(wish, known, trip)
    if remote is not None:
        return _bring_unless_stale(wish, known, remote, trip)
    if known.uid is not None and not known.must_look:
        if known.starts_at == wish.starts_at:
            return _bring_to_time(wish, trip.follow(known.uid), trip)
        return _reschedule(wish, known.uid, trip)
    if known.must_look and known.may_lag and set(known.sent_starts) - {wish.starts_at}:
        # Creating now could make a second booking beside one that the listing doesn't show yet.
        # With an unchanged start Cal.com itself refuses the repeat (409).
        trip.result.must_wait_for_listing = True
        return None
    return _create(wish, known, trip)


def _look_at_learnt(wish: Wish, known: Known, trip: _Trip) -> Booking | None:
    """The booking that a try in doubt made after all, as a webhook told us of it."""
    if known.uid is not None:
        return None
    for uid in reversed(known.learnt_uids):
        try:
            booking = trip.follow(uid)
        except NotFound:
            continue
        if carries_key(booking, wish.sync_key):
            return booking
    return None


def _keep_learnt(wish: Wish, known: Known, booking: Booking, trip: _Trip) -> Booking | None:
    """What somebody did to it over there meanwhile is left alone: settling it is a person's."""
    stands_as_sent = any(
        abs(booking.start - start) < START_TOLERANCE for start in known.sent_starts
    )
    if booking.status in LIVE_BOOKINGS and not stands_as_sent:
        return booking
    return _bring_unless_stale(wish, known, booking, trip)


def _look(wish: Wish, known: Known, trip: _Trip) -> Booking | None:
    if not known.must_look:
        return None
    if known.uid is not None:
        return _follow_known(known, trip)
    return trip.find(wish, [*known.sent_starts, wish.starts_at])


def _bring_unless_stale(wish: Wish, known: Known, remote: Booking, trip: _Trip) -> Booking | None:
    """Where it stands as wished, but a move in doubt asked for another time: a replica would show
    the same although that move took effect (API.md §2)."""
    stands_as_wished = abs(remote.start - wish.starts_at) < START_TOLERANCE
    is_before_the_move = known.uid in (None, remote.uid)
    asked_otherwise = any(
        abs(start - remote.start) >= START_TOLERANCE for start in known.sent_starts
    )
    if known.may_lag and stands_as_wished and is_before_the_move and asked_otherwise:
        trip.result.must_wait_for_listing = True
        return None
    return _bring_to_time(wish, remote, trip)


def _follow_known(known: Known, trip: _Trip) -> Booking:
    assert known.uid is not None  # noqa: S101 - narrows the type
    try:
        return trip.follow(known.uid)
    except NotFound as error:
        if known.may_lag:
            raise Unavailable(CONNECTION, "It can't be read yet", sent=False) from error
        raise


def _create(wish: Wish, known: Known, trip: _Trip) -> Booking | None:
    new = NewBooking(
        start=wish.starts_at,
        event_type_id=wish.event_type_id,
        attendee=wish.attendee,
        length_minutes=wish.length_minutes,
        guests=wish.guests,
        metadata={METADATA_KEY: str(wish.sync_key)},
    )
    try:
        booking = trip.create(new)
    except Conflict:
        found = trip.find(wish, [wish.starts_at])
        trip.result.must_wait_for_listing = found is None and known.must_look and known.may_lag
        if found is None and not trip.result.must_wait_for_listing:
            raise
        return found
    if not carries_key(booking, wish.sync_key):
        # A repeat of a pending or round-robin slot returns the booking that stands there.
        raise Conflict("Cal.com returned somebody else's booking for this time")
    return booking


def _bring_to_time(wish: Wish, remote: Booking, trip: _Trip) -> Booking:
    if remote.status not in LIVE_BOOKINGS:
        raise CancelledThere("HTTP_400", "The booking was cancelled on Cal.com", 400)
    if abs(remote.start - wish.starts_at) < START_TOLERANCE:
        return remote
    return _reschedule(wish, remote.uid, trip)


def _reschedule(wish: Wish, uid: str, trip: _Trip) -> Booking:
    try:
        return trip.reschedule(uid, wish.starts_at, wish.reason)
    except AlreadyCancelled as refusal:
        raise CancelledThere(refusal.code, refusal.message, refusal.status) from refusal
    except Conflict as conflict:
        if conflict.successor_uid is None:
            raise
        return _bring_to_time(wish, trip.follow_named(conflict.successor_uid), trip)


def _end(wish: Wish, known: Known, trip: _Trip) -> Booking | None:
    """See that no booking stands any more; None where there never was one."""
    remote = _look_at_learnt(wish, known, trip) or _look(wish, known, trip)
    uid = remote.uid if remote is not None else known.uid
    if remote is not None and remote.status not in LIVE_BOOKINGS:
        return remote
    if uid is None:
        trip.result.must_wait_for_listing = known.must_look and known.may_lag
        return None
    return _cancel(wish, uid, trip)


def _cancel(wish: Wish, uid: str, trip: _Trip) -> Booking:
    try:
        return trip.cancel(uid, wish.reason or "")
    except AlreadyCancelled:
        last = trip.follow(uid)
    except Conflict as conflict:
        if conflict.successor_uid is None:
            raise
        last = trip.follow_named(conflict.successor_uid)
    if last.status not in LIVE_BOOKINGS:
        return last
    if last.uid == uid:
        # The refusal is newer than this reading, which comes from a replica.
        return replace(last, status=BookingStatus.CANCELLED)
    return _cancel(wish, last.uid, trip)
