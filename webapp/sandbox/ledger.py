"""Remembers what the sandbox was asked and what it delivered, so that tests can count."""

import threading
from collections import Counter, deque
from dataclasses import dataclass
from datetime import datetime

from webapp.sandbox.instants import with_milliseconds
from webapp.sandbox.records import Json
from webapp.sandbox.state import State

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

    def as_document(self) -> Json:
        return {**vars(self), "at": self.at.isoformat(), "faults": list(self.faults)}

    @classmethod
    def of_document(cls, document: Json) -> "Call":
        at, faults = datetime.fromisoformat(document["at"]), tuple(document["faults"])
        return cls(**{**document, "at": at, "faults": faults})


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
    """The last calls and deliveries, and totals that are never cut. Calls and totals outlive the
    process where the state does; deliveries are of this process only."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._lock = threading.Lock()
        self.calls: deque[Call] = deque(maxlen=KEPT_CALLS)
        self.deliveries: deque[Delivery] = deque(maxlen=KEPT_DELIVERIES)
        self._totals: Counter[tuple[str | None, str]] = Counter()
        self._load()

    def _load(self) -> None:
        kept = sorted(self._state.kept("call"), key=lambda document: int(document["number"]))
        self.calls.extend(Call.of_document(document["call"]) for document in kept)
        for total in self._state.kept("total"):
            self._totals[(total["account"], total["operation"])] = total["number"]

    def note_call(self, call: Call) -> None:
        with self._state.writing(), self._lock:
            key = (call.account, call.operation)
            self.calls.append(call)
            self._totals[key] += 1
            self._keep(call, number=self._totals.total(), total=self._totals[key])

    def _keep(self, call: Call, *, number: int, total: int) -> None:
        """In as many places as calls are remembered, each taken again in its turn."""
        place = f"{number % KEPT_CALLS:04}"
        self._state.keep("call", place, {"number": number, "call": call.as_document()})
        counted = {"account": call.account, "operation": call.operation, "number": total}
        self._state.keep("total", f"{call.account} {call.operation}", counted)

    def note_delivery(self, delivery: Delivery) -> None:
        with self._lock:
            self.deliveries.append(delivery)

    def totals(self, account: str | None = None) -> dict[str, int]:
        """Calls per operation since the first day (or the last reset), of one account or of all."""
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
