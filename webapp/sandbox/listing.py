"""`GET /v2/bookings`: filters, sorts, pages, and the traps of its totals (API facts, §2)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from webapp.sandbox.instants import parse_instant
from webapp.sandbox.records import ACCEPTED, CANCELLED, PENDING, REJECTED, Booking, Json
from webapp.sandbox.refusals import Refusal, whole_number
from webapp.sandbox.shelves import Shelf, between
from webapp.sandbox.state import State

STATUSES = ("upcoming", "recurring", "past", "cancelled", "unconfirmed")
DEFAULT_TAKE = 100
MAX_TAKE = 250
SORTS = ("sortStart", "sortEnd", "sortCreated", "sortUpdatedAt")
REMEMBERED = 64

Overlay = Mapping[str, Booking | None]
Test = Callable[[Booking], bool]


@dataclass(frozen=True)
class Wanted:
    """What a listing asks for. All bounds are inclusive."""

    take: int = DEFAULT_TAKE
    skip: int = 0
    statuses: tuple[str, ...] = ()
    email: str | None = None
    name: str | None = None
    uid: str | None = None
    event_type_ids: tuple[int, ...] = ()
    after_start: datetime | None = None
    before_end: datetime | None = None
    after_created: datetime | None = None
    before_created: datetime | None = None
    after_updated: datetime | None = None
    before_updated: datetime | None = None
    sort: str = "sortStart"
    descending: bool = False

    @property
    def without_changes(self) -> "Wanted":
        """Without the created and updated filters: what Cal.com's totals are counted over."""
        return replace(
            self, after_created=None, before_created=None, after_updated=None, before_updated=None
        )

    @property
    def unpaged(self) -> "Wanted":
        return replace(self, take=DEFAULT_TAKE, skip=0)


def read_wanted(query: Mapping[str, str]) -> Wanted:
    """The listing's parameters; Refusal 400 for a take above 250 or a loose date."""
    sort = next((name for name in SORTS if query.get(name)), "sortStart")
    direction = query.get(sort, "asc")
    if direction not in ("asc", "desc"):
        raise Refusal(400, f"{sort} must be either 'asc' or 'desc'.")
    return Wanted(
        take=_number(query, "take", DEFAULT_TAKE, low=1, high=MAX_TAKE),
        skip=_number(query, "skip", 0, low=0, high=2**31),
        statuses=_statuses(query.get("status", "")),
        email=query.get("attendeeEmail", "").lower() or None,
        name=query.get("attendeeName") or None,
        uid=query.get("bookingUid") or None,
        event_type_ids=_ids(query.get("eventTypeIds") or query.get("eventTypeId", "")),
        after_start=_instant(query, "afterStart"),
        before_end=_instant(query, "beforeEnd"),
        after_created=_instant(query, "afterCreatedAt"),
        before_created=_instant(query, "beforeCreatedAt"),
        after_updated=_instant(query, "afterUpdatedAt"),
        before_updated=_instant(query, "beforeUpdatedAt"),
        sort=sort,
        descending=direction == "desc",
    )


def _number(query: Mapping[str, str], name: str, default: int, *, low: int, high: int) -> int:
    if name not in query:
        return default
    number = whole_number(query[name])
    if number is None or not low <= number <= high:
        raise Refusal(400, f"{name} must not be less than {low} or greater than {high}")
    return number


def _statuses(text: str) -> tuple[str, ...]:
    statuses = tuple(each.strip() for each in text.split(",") if each.strip())
    if any(each not in STATUSES for each in statuses):
        raise Refusal(400, f"Invalid status. Allowed are: {', '.join(STATUSES)}")
    return statuses


def _ids(text: str) -> tuple[int, ...]:
    numbers = [whole_number(each.strip()) for each in text.split(",") if each.strip()]
    ids = tuple(number for number in numbers if number is not None)
    if len(ids) != len(numbers):
        raise Refusal(400, "eventTypeIds must be numbers separated by commas")
    return ids


def _instant(query: Mapping[str, str], name: str) -> datetime | None:
    text = query.get(name)
    if not text:
        return None
    at = parse_instant(text)
    if at is None:
        raise Refusal(400, f"{name} must be a valid ISO 8601 date string.")
    return at


class Listings:
    """Answers listings, and remembers the uids of the last ones while nothing has changed, so that
    paging through 20,000 bookings filters them once."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._remembered: dict[tuple[int, Wanted], tuple[Shelf, int, list[str]]] = {}

    def find(
        self, account_id: int, wanted: Wanted, *, now: datetime, overlay: Overlay
    ) -> tuple[list[Booking], int]:
        """The page, and Cal.com's idea of the total: it ignores created and updated filters."""
        with self._state.lock:
            uids = self._uids(account_id, wanted.unpaged, now, overlay)
            counted = wanted.unpaged.without_changes
            whole = (
                uids if counted == wanted.unpaged else self._uids(account_id, counted, now, overlay)
            )
            page = uids[wanted.skip : wanted.skip + wanted.take]
            return [_seen(self._state, overlay, uid) for uid in page], len(whole)

    def _uids(self, account_id: int, wanted: Wanted, now: datetime, overlay: Overlay) -> list[str]:
        shelf = self._state.shelf(account_id)
        if wanted.statuses or overlay:
            return self._filtered(shelf, account_id, wanted, now, overlay)
        key = (account_id, wanted)
        kept = self._remembered.get(key)
        if kept is not None and kept[0] is shelf and kept[1] == shelf.edition:
            return kept[2]
        uids = self._filtered(shelf, account_id, wanted, now, overlay)
        while len(self._remembered) >= REMEMBERED:
            self._remembered.pop(next(iter(self._remembered)))
        self._remembered[key] = (shelf, shelf.edition, uids)
        return uids

    def _filtered(
        self, shelf: Shelf, account_id: int, wanted: Wanted, now: datetime, overlay: Overlay
    ) -> list[str]:
        uids = _candidates(shelf, wanted)
        if overlay:
            uids = [*dict.fromkeys([*uids, *overlay])]
        tests = _tests(wanted, now)
        found = []
        for uid in uids:
            booking = overlay[uid] if uid in overlay else self._state.bookings[uid]
            if booking is None or not all(test(booking) for test in tests):
                continue
            if uid not in overlay or self._is_reader(account_id, booking):
                found.append(booking)
        found.sort(key=SORT_KEYS[wanted.sort], reverse=wanted.descending)
        return [booking.uid for booking in found]

    def _is_reader(self, account_id: int, booking: Booking) -> bool:
        account = self._state.accounts.get(account_id)
        attends = account is not None and account.email.lower() in booking.emails
        return attends or booking.owner_id == account_id


def _seen(state: State, overlay: Overlay, uid: str) -> Booking:
    seen = overlay.get(uid)
    return state.bookings[uid] if seen is None else seen


def _candidates(shelf: Shelf, wanted: Wanted) -> list[str]:
    """The narrowest sorted access to what the filters can let through."""
    if wanted.uid is not None:
        return [wanted.uid] if wanted.uid in shelf.uids else []
    if wanted.email is not None:
        return list(shelf.by_email.get(wanted.email, {}))
    if wanted.after_updated or wanted.before_updated:
        return between(shelf.by_updated, wanted.after_updated, wanted.before_updated)
    if wanted.after_created or wanted.before_created:
        return between(shelf.by_created, wanted.after_created, wanted.before_created)
    return between(shelf.by_start, wanted.after_start, wanted.before_end)


def _tests(wanted: Wanted, now: datetime) -> list[Test]:
    """One test per filter that is set."""
    tests: list[Test | None] = [
        (lambda b: b.uid == wanted.uid) if wanted.uid else None,
        (lambda b: wanted.email in b.emails) if wanted.email else None,
        (lambda b: any(wanted.name == each["name"] for each in b.attendees))
        if wanted.name
        else None,
        (lambda b: b.event_type_id in wanted.event_type_ids) if wanted.event_type_ids else None,
        (lambda b: any(STATUS[each](b, now) for each in wanted.statuses))
        if wanted.statuses
        else None,
        _within(lambda b: b.start, wanted.after_start, None),
        _within(lambda b: b.end, None, wanted.before_end),
        _within(lambda b: b.created_at, wanted.after_created, wanted.before_created),
        _within(lambda b: b.updated_at, wanted.after_updated, wanted.before_updated),
    ]
    return [test for test in tests if test is not None]


def _within(
    read: Callable[[Booking], datetime | None], low: datetime | None, high: datetime | None
) -> Test | None:
    if low is None and high is None:
        return None

    def test(booking: Booking) -> bool:
        at = read(booking)
        return at is not None and (low is None or at >= low) and (high is None or at <= high)

    return test


STATUS: dict[str, Callable[[Booking, datetime], bool]] = {
    "upcoming": lambda b, now: b.end >= now and b.status == ACCEPTED,
    "recurring": lambda b, now: b.end >= now and b.recurring_uid is not None and b.is_live,
    "past": lambda b, now: b.end <= now and b.is_live,
    "cancelled": lambda b, _now: b.status in (CANCELLED, REJECTED),
    "unconfirmed": lambda b, now: b.end >= now and b.status == PENDING,
}
SORT_KEYS: dict[str, Callable[[Booking], tuple[float, int]]] = {
    "sortStart": lambda b: (b.start.timestamp(), b.id),
    "sortEnd": lambda b: (b.end.timestamp(), b.id),
    "sortCreated": lambda b: (b.created_at.timestamp(), b.id),
    "sortUpdatedAt": lambda b: (b.updated_at.timestamp() if b.updated_at else 0.0, b.id),
}


def pagination(wanted: Wanted, returned: int, total: int) -> Json:
    """Counted as Cal.com counts: from a total that may be too high."""
    return {
        "totalItems": total,
        "remainingItems": max(0, total - (wanted.skip + wanted.take)),
        "returnedItems": returned,
        "itemsPerPage": wanted.take,
        "currentPage": wanted.skip // wanted.take + 1,
        "totalPages": -(-total // wanted.take),
        "hasNextPage": wanted.skip + wanted.take < total,
        "hasPreviousPage": wanted.skip > 0,
    }
