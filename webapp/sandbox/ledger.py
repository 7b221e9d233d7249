"""Remembers what the sandbox was asked and what it delivered, so that tests can count."""

import threading
from collections import Counter, deque
from dataclasses import dataclass
from datetime import datetime

from webapp.sandbox.instants import with_milliseconds
from webapp.sandbox.records import Json

KEPT_CALLS = 5_000
KEPT_DELIVERIES = 5_000


@dataclass(frozen=True)
class Call:
    """One API call. `status` is None when the connection was cut instead of an answer."""

    method: str
    path: str
    query: str
    operation: str
    account: str | None
    status: int | None
    at: datetime
    milliseconds: float
    faults: tuple[str, ...]

    def as_json(self) -> Json:
        return {
            **vars(self),
            "at": with_milliseconds(self.at),
            "milliseconds": round(self.milliseconds, 2),
            "faults": list(self.faults),
        }


@dataclass(frozen=True)
class Delivery:
    """One webhook on its way: the answer's status, or why there was none."""

    trigger: str
    uid: str
    account: str
    url: str
    status: int | None
    error: str | None
    at: datetime

    def as_json(self) -> Json:
        return {**vars(self), "at": with_milliseconds(self.at)}


class Ledger:
    """The last calls and deliveries, and totals that are never cut; of this process only."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.calls: deque[Call] = deque(maxlen=KEPT_CALLS)
        self.deliveries: deque[Delivery] = deque(maxlen=KEPT_DELIVERIES)
        self._totals: Counter[tuple[str | None, str]] = Counter()

    def note_call(self, call: Call) -> None:
        with self._lock:
            self.calls.append(call)
            self._totals[(call.account, call.operation)] += 1

    def note_delivery(self, delivery: Delivery) -> None:
        with self._lock:
            self.deliveries.append(delivery)

    def totals(self, account: str | None = None) -> dict[str, int]:
        """Calls per operation since the start (or the last reset), of one account or of all."""
        counted: Counter[str] = Counter()
        with self._lock:
            for (caller, operation), number in self._totals.items():
                if account is None or caller == account:
                    counted[operation] += number
        return dict(counted)

    def recent_calls(self) -> list[Call]:
        with self._lock:
            return list(self.calls)

    def recent_deliveries(self) -> list[Delivery]:
        with self._lock:
            return list(self.deliveries)

    def clear(self) -> None:
        with self._lock:
            self.calls.clear()
            self.deliveries.clear()
            self._totals.clear()
