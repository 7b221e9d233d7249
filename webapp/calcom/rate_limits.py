"""What Cal.com's headers say about the budget of a key, and how long a 429 makes it wait."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime

DEFAULT_WAIT_SECONDS = 60.0
# A stray header must not silence a company for a day.
LONGEST_WAIT_SECONDS = 3_600.0
_SHORTEST_WAIT_SECONDS = 1.0
# Cal.com counts seconds left; a value above this is an epoch instead.
_FIRST_EPOCH = 1e9


@dataclass(frozen=True, slots=True)
class RateLimit:
    """The announced budget: calls per window, calls left, seconds to the reset; None: not said."""

    limit: int | None = None
    remaining: int | None = None
    reset_seconds: float | None = None


def read_rate_limit(headers: Mapping[str, str], *, now_epoch: float | None = None) -> RateLimit:
    """Reads the `X-RateLimit-*-Default` headers; `headers` must ignore case, as httpx's do."""
    now = time.time() if now_epoch is None else now_epoch
    return RateLimit(
        limit=_count(headers.get("X-RateLimit-Limit-Default")),
        remaining=_count(headers.get("X-RateLimit-Remaining-Default")),
        reset_seconds=_seconds_left(headers.get("X-RateLimit-Reset-Default"), now),
    )


def read_wait_seconds(headers: Mapping[str, str], *, now_epoch: float | None = None) -> float:
    """Seconds to wait after a 429: the longer of the reset and a proxy's Retry-After, else 60."""
    now = time.time() if now_epoch is None else now_epoch
    reset = _seconds_left(headers.get("X-RateLimit-Reset-Default"), now)
    retry_after = _retry_after(headers.get("Retry-After"), now)
    said = [each for each in (reset, retry_after) if each is not None]
    return max(_SHORTEST_WAIT_SECONDS, *said) if said else DEFAULT_WAIT_SECONDS


def _count(value: str | None) -> int | None:
    found = _number(value)
    return None if found is None else int(found)


def _seconds_left(value: str | None, now: float) -> float | None:
    found = _number(value)
    if found is None:
        return None
    left = found - now if found > _FIRST_EPOCH else found
    return min(max(left, 0.0), LONGEST_WAIT_SECONDS)


def _retry_after(value: str | None, now: float) -> float | None:
    """Seconds or an HTTP date (RFC 9110, 10.2.3)."""
    if value is None or _number(value) is not None:
        return _seconds_left(value, now)
    try:
        named = parsedate_to_datetime(value)
    except (ValueError, TypeError, OverflowError):
        return None
    at = named if named.tzinfo else named.replace(tzinfo=UTC)
    return min(max(at.timestamp() - now, 0.0), LONGEST_WAIT_SECONDS)


def _number(value: str | None) -> float | None:
    """A plain, not negative number of at most fifteen digits; anything else counts as not said."""
    whole, _, rest = (value or "").strip().partition(".")
    digits = whole + rest
    if not whole or len(digits) > 15 or not (digits.isascii() and digits.isdigit()):
        return None
    return float(f"{whole}.{rest or 0}")
