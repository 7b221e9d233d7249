"""Instants of the sandbox: the one clock that tests can move, and Cal.com's spellings of a time."""

import re
import threading
from datetime import UTC, datetime, timedelta

STRICT_ISO_8601 = re.compile(
    r"\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?(Z|[+-]\d{2}:\d{2})?)?"
)
EARLIEST_YEAR, LATEST_YEAR = 1900, 9000


class Clock:
    """Tells every instant in the sandbox. Runs with the real one, shifted; or stands still."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._shift = timedelta(0)
        self._frozen_at: datetime | None = None

    def now(self) -> datetime:
        """The sandbox's now, UTC."""
        with self._lock:
            return self._frozen_at or self._real() + self._shift

    def set(self, at: datetime) -> None:
        with self._lock:
            self._shift = at - self._real()
            if self._frozen_at is not None:
                self._frozen_at = at

    def advance(self, seconds: float) -> None:
        self.set(self.now() + timedelta(seconds=seconds))

    def freeze(self) -> None:
        with self._lock:
            self._frozen_at = self._frozen_at or self._real() + self._shift

    def release(self) -> None:
        """Run again, from where the clock stands."""
        with self._lock:
            if self._frozen_at is not None:
                self._shift = self._frozen_at - self._real()
            self._frozen_at = None

    def reset(self) -> None:
        with self._lock:
            self._shift = timedelta(0)
            self._frozen_at = None

    @property
    def is_frozen(self) -> bool:
        return self._frozen_at is not None

    @property
    def shift_seconds(self) -> float:
        return self._shift.total_seconds()

    @staticmethod
    def _real() -> datetime:
        return datetime.now(UTC)


def parse_instant(text: object) -> datetime | None:
    """A strict ISO 8601 date or date-time as UTC; None where it isn't one. No zone means UTC."""
    if not isinstance(text, str) or not STRICT_ISO_8601.fullmatch(text):
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    # Far enough from both ends of the calendar to be calculated with.
    if not EARLIEST_YEAR <= at.year <= LATEST_YEAR:
        return None
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def with_milliseconds(at: datetime) -> str:
    """`2026-03-02T09:00:00.000Z`: API answers, BOOKING_REJECTED, MEETING_* and every createdAt."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


def with_seconds(at: datetime) -> str:
    """`2026-03-02T09:00:00Z`: BOOKING_CREATED, BOOKING_RESCHEDULED and BOOKING_REQUESTED."""
    return at.astimezone(UTC).isoformat(timespec="seconds")[:-6] + "Z"


def with_offset(at: datetime) -> str:
    """`2026-03-02T09:00:00+00:00`: BOOKING_CANCELLED."""
    return at.astimezone(UTC).isoformat(timespec="seconds")
