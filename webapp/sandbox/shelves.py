"""Sorted access to the bookings that one account sees: its own, and those it only attends."""

from bisect import bisect_left, bisect_right, insort
from datetime import datetime

from webapp.sandbox.records import Booking

Entry = tuple[datetime, int, str]
LAST_ID = 2**62


class Shelf:
    """One account's bookings by start, by creation and by change; and by attendee.

    `edition` grows with each change, so that a remembered answer can be told from a stale one.
    """

    def __init__(self) -> None:
        self.edition = 0
        self.uids: set[str] = set()
        self.by_start: list[Entry] = []
        self.by_created: list[Entry] = []
        self.by_updated: list[Entry] = []
        self.by_email: dict[str, dict[str, None]] = {}

    def __len__(self) -> int:
        return len(self.by_start)

    def add(self, booking: Booking) -> None:
        self.edition += 1
        self.uids.add(booking.uid)
        insort(self.by_start, (booking.start, booking.id, booking.uid))
        insort(self.by_created, (booking.created_at, booking.id, booking.uid))
        if booking.updated_at is not None:
            insort(self.by_updated, (booking.updated_at, booking.id, booking.uid))
        for email in booking.emails:
            self.by_email.setdefault(email, {})[booking.uid] = None

    def discard(self, booking: Booking) -> None:
        self.edition += 1
        self.uids.discard(booking.uid)
        _drop(self.by_start, (booking.start, booking.id, booking.uid))
        _drop(self.by_created, (booking.created_at, booking.id, booking.uid))
        if booking.updated_at is not None:
            _drop(self.by_updated, (booking.updated_at, booking.id, booking.uid))
        for email in booking.emails:
            self.by_email.get(email, {}).pop(booking.uid, None)


def between(entries: list[Entry], low: datetime | None, high: datetime | None) -> list[str]:
    """The uids whose instant is within both bounds, both inclusive."""
    first = 0 if low is None else bisect_left(entries, (low, 0, ""))
    last = len(entries) if high is None else bisect_right(entries, (high, LAST_ID, ""))
    return [uid for _, _, uid in entries[first:last]]


def _drop(entries: list[Entry], entry: Entry) -> None:
    at = bisect_left(entries, entry)
    if at < len(entries) and entries[at] == entry:
        del entries[at]
