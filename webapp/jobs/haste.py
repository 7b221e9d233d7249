"""Haste: how many rows a second one process hands to the queue at once. A flood is left to the
pulse, a second later: workers are behind by then anyway, and the door stays quick."""

import threading
import time


class Haste:
    """A bucket of `per_second` hand-overs that refills evenly; safe to share by threads."""

    def __init__(self, per_second: float) -> None:
        self._per_second = per_second
        self._left = per_second
        self._filled_at = time.monotonic()
        self._lock = threading.Lock()

    def allows(self) -> bool:
        """Whether there is time for one now; takes it."""
        with self._lock:
            now = time.monotonic()
            gained = (now - self._filled_at) * self._per_second
            self._left = min(self._per_second, self._left + gained)
            self._filled_at = now
            if self._left < 1:
                return False
            self._left -= 1
            return True
