"""The one door through which time enters: tests move it instead of sleeping."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

_offset = timedelta()


def now() -> datetime:
    """The present instant, aware, in UTC."""
    return datetime.now(UTC) + _offset


def advance(by: timedelta) -> None:
    """Move the clock (tests only)."""
    global _offset
    _offset += by


@contextmanager
def restored() -> Iterator[None]:
    """Put the clock back at the end (tests only)."""
    global _offset
    before = _offset
    try:
        yield
    finally:
        _offset = before
