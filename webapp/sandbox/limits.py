"""The rate limit per API key: so many calls in 60 s; past it, 429 for 60 s (API facts, §1)."""

import math
import threading
from dataclasses import dataclass
from datetime import datetime, timedelta

WINDOW = timedelta(seconds=60)


@dataclass
class Window:
    began_at: datetime
    used: int = 0
    blocked_until: datetime | None = None

    @property
    def ends_at(self) -> datetime:
        return self.blocked_until or self.began_at + WINDOW


@dataclass(frozen=True)
class Allowance:
    """What the `X-RateLimit-*-Default` headers announce; `reset_seconds` are seconds left."""

    limit: int
    remaining: int
    reset_seconds: int
    is_exceeded: bool

    def headers(self) -> dict[str, str]:
        return {
            "X-RateLimit-Limit-Default": str(self.limit),
            "X-RateLimit-Remaining-Default": str(self.remaining),
            "X-RateLimit-Reset-Default": str(self.reset_seconds),
        }


class Limiter:
    """Counts calls per key. One block of 60 s follows each overrun."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._windows: dict[str, Window] = {}

    def spend(self, key: str, *, limit: int, now: datetime) -> Allowance:
        """Take one call from the key's budget."""
        with self._lock:
            window = self._current(key, now)
            window.used += 1
            if window.used > limit and window.blocked_until is None:
                window.blocked_until = now + WINDOW
            return Allowance(
                limit=limit,
                remaining=max(0, limit - window.used),
                reset_seconds=max(1, math.ceil((window.ends_at - now).total_seconds())),
                is_exceeded=window.blocked_until is not None,
            )

    def _current(self, key: str, now: datetime) -> Window:
        window = self._windows.get(key)
        if window is None or now >= window.ends_at:
            window = self._windows[key] = Window(began_at=now)
        return window

    def clear(self) -> None:
        with self._lock:
            self._windows.clear()
