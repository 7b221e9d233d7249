"""`GET /v2/bookings`: filters, sorts, pages, and the traps of its totals (API facts, §2)."""

from bisect import insort
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from webapp.sandbox.records import ACCEPTED, CANCELLED, PENDING, REJECTED, Booking, Json
from webapp.sandbox.shelves import Shelf, between
from webapp.sandbox.state import State
from webapp.sandbox.wanted import Wanted

REMEMBERED = 64

Overlay = Mapping[str, Booking | None]
Test = Callable[[Booking], bool]


class Listings:
    """Answers listings, and remembers the uids of the last ones while nothing has changed, so that
    paging through 20,000 bookings filters them once."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._remembered: dict[tuple[int, Wanted, datetime | None], tuple[Shelf, int, list[str]]]
        self._remembered = {}

    def find(
        self, account_id: int, wanted: Wanted, *, now: datetime, overlay: Overlay
    ) -> tuple[list[Booking], int]:
        """The page, and Cal.com's idea of the total: it ignores created and updated filters."""
        # Paging within one second sees the same "past"; nothing ends between two seconds.
        now = now.replace(microsecond=0)
        with self._state.lock:
            uids = self._seen_uids(account_id, wanted.unpaged, now, overlay)
            counted = wanted.unpaged.without_changes
            whole = (
                uids
                if counted == wanted.unpaged
                else self._seen_uids(account_id, counted, now, overlay)
            )
            ordered = uids[::-1] if wanted.descending else uids
            page = ordered[wanted.skip : wanted.skip + wanted.take]
            return [_seen(self._state, overlay, uid) for uid in page], len(whole)

    def _seen_uids(
        self, account_id: int, wanted: Wanted, now: datetime, overlay: Overlay
    ) -> list[str]:
        """What matches, as the replica sees it, ascending."""
        uids = self._uids(account_id, wanted, now)
        if not overlay:
            return uids
        uids = [uid for uid in uids if uid not in overlay]
        key, tests = SORT_KEYS[wanted.sort], _tests(wanted, now)
        for older in overlay.values():
            if older is None or not self._is_reader(account_id, older):
                continue
            if all(test(older) for test in tests):
                insort(uids, older.uid, key=lambda uid: key(_seen(self._state, overlay, uid)))
        return uids

    def _uids(self, account_id: int, wanted: Wanted, now: datetime) -> list[str]:
        """What matches now, ascending."""
        shelf = self._state.shelf(account_id)
        # Only the statuses depend on the time.
        key = (account_id, wanted, now if wanted.statuses else None)
        kept = self._remembered.get(key)
        if kept is not None and kept[0] is shelf and kept[1] == shelf.edition:
            return kept[2]
        uids = self._filtered(shelf, wanted, now)
        while len(self._remembered) >= REMEMBERED:
            self._remembered.pop(next(iter(self._remembered)))
        self._remembered[key] = (shelf, shelf.edition, uids)
        return uids

    def _filtered(self, shelf: Shelf, wanted: Wanted, now: datetime) -> list[str]:
        access = _access(shelf, wanted)
        tests = _tests(access.left, now)
        bookings, uids = self._state.bookings, access.uids
        if tests:
            uids = [uid for uid in uids if all(test(bookings[uid]) for test in tests)]
        if access.order != wanted.sort:
            key = SORT_KEYS[wanted.sort]
            uids = sorted(uids, key=lambda uid: key(bookings[uid]))
        return uids

    def _is_reader(self, account_id: int, booking: Booking) -> bool:
        account = self._state.accounts.get(account_id)
        attends = account is not None and account.email.lower() in booking.emails
        return attends or booking.owner_id == account_id


def _seen(state: State, overlay: Overlay, uid: str) -> Booking:
    seen = overlay.get(uid)
    return state.bookings[uid] if seen is None else seen


@dataclass(frozen=True)
class Access:
    """Candidates, the sort that they are in already, and the filters still to be tested."""

    uids: list[str]
    order: str | None
    left: Wanted


def _access(shelf: Shelf, wanted: Wanted) -> Access:
    """The narrowest sorted access to what the filters can let through."""
    if wanted.uid is not None:
        return Access([wanted.uid] if wanted.uid in shelf.uids else [], None, wanted)
    if wanted.email is not None:
        return Access(list(shelf.by_email.get(wanted.email, {})), None, wanted)
    if wanted.after_updated or wanted.before_updated:
        uids = between(shelf.by_updated, wanted.after_updated, wanted.before_updated)
        left = replace(wanted, after_updated=None, before_updated=None)
        return Access(uids, "sortUpdatedAt", left)
    if wanted.after_created or wanted.before_created:
        uids = between(shelf.by_created, wanted.after_created, wanted.before_created)
        left = replace(wanted, after_created=None, before_created=None)
        return Access(uids, "sortCreated", left)
    uids = between(shelf.by_start, wanted.after_start, wanted.before_end)
    return Access(uids, "sortStart", replace(wanted, after_start=None))


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
