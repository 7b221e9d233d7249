"""What goes wrong on request: the list of faults, and which of them hit a call or a webhook.

A fault is `{"kind": …}` plus its own values, narrowed by `operation` (`bookings.create`, a family
such as `bookings`, or a trigger such as `BOOKING_CREATED`) and `account`, and made rare by
`times` (the first so many), `every` (each n-th) or `probability` (from a seeded sequence).
"""

import random
import threading
from dataclasses import dataclass
from typing import Any

from webapp.sandbox.records import Account, Json
from webapp.sandbox.refusals import Refusal

# Each kind with its own values and their defaults.
KINDS: dict[str, Json] = {
    "latency": {"seconds": 1.0},
    "status": {"status": 503, "body": "json", "after_effect": False},
    "rate_limited": {"headers": True, "reset_seconds": 60},
    "timeout_before": {"seconds": 60.0},
    "timeout_after": {"seconds": 60.0},
    "reset_before": {},
    "reset_after": {},
    "not_stored": {},
    "old_version": {},
    "drip": {"seconds": 30.0},
    "truncated_list": {"keep": 1},
    "empty_list": {},
    "replica_lag": {"seconds": 5.0},
    "webhook_dropped": {},
    "webhook_duplicated": {"copies": 2},
    "webhook_reordered": {"seconds": 1.0},
    "webhook_delayed": {"seconds": 1.0},
    "webhook_early": {},
}
# These strike a webhook on its way; all the others strike a call.
ON_THE_WAY = frozenset(
    {"webhook_dropped", "webhook_duplicated", "webhook_reordered", "webhook_delayed"}
)
LARGEST = 3600
BODIES = ("json", "bare", "html")
NARROWING = frozenset({"kind", "operation", "account", "times", "every", "probability"})


@dataclass
class Fault:
    """One fault that is switched on, with how often it was met and how often it struck."""

    kind: str
    values: Json
    operation: str | None = None
    account: str | None = None
    times: int | None = None
    every: int | None = None
    probability: float | None = None
    met: int = 0
    struck: int = 0

    def covers(self, operation: str, account: Account | None) -> bool:
        if self.operation and not (operation + ".").startswith(self.operation + "."):
            return False
        if self.account is None:
            return True
        return account is not None and self.account in _names(account)

    def strikes(self, rng: random.Random) -> bool:
        """Whether this meeting is one of those that it is meant for."""
        self.met += 1
        if self.times is not None and self.struck >= self.times:
            return False
        if self.every is not None and self.met % self.every != 0:
            return False
        if self.probability is not None and rng.random() >= self.probability:
            return False
        self.struck += 1
        return True

    def as_json(self) -> Json:
        narrowed = {name: getattr(self, name) for name in sorted(NARROWING)}
        set_ones = {name: value for name, value in narrowed.items() if value is not None}
        return {**set_ones, **self.values, "met": self.met, "struck": self.struck}


class Faults:
    """The faults that are switched on. Replaced as a whole; none after a start."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._list: list[Fault] = []
        self._rng = random.Random(0)  # noqa: S311 - repeatable faults, nothing secret

    def replace(self, documents: list[Json], *, seed: int = 0) -> None:
        faults = [read_fault(document) for document in documents]
        with self._lock:
            self._list = faults
            self._rng = random.Random(seed)  # noqa: S311

    def add(self, document: Json) -> None:
        fault = read_fault(document)
        with self._lock:
            self._list = [*self._list, fault]

    def remove(self, place: int) -> None:
        """Switch one off, by its place in the list."""
        with self._lock:
            self._list = [fault for at, fault in enumerate(self._list) if at != place]

    def clear(self) -> None:
        self.replace([])

    def as_json(self) -> list[Json]:
        with self._lock:
            return [fault.as_json() for fault in self._list]

    def striking(
        self, operation: str, account: Account | None, *, webhooks: bool = False
    ) -> dict[str, Json]:
        """Those that strike now, by kind. Of two of a kind the first counts."""
        if not self._list:
            return {}
        struck: dict[str, Json] = {}
        with self._lock:
            for fault in self._list:
                of_this_side = (fault.kind in ON_THE_WAY) == webhooks
                if not of_this_side or fault.kind in struck:
                    continue
                if fault.covers(operation, account) and fault.strikes(self._rng):
                    struck[fault.kind] = fault.values
        return struck


def read_fault(document: object) -> Fault:
    """A fault from its JSON; Refusal 400 that names what is wrong with it."""
    if not isinstance(document, dict) or document.get("kind") not in KINDS:
        raise Refusal(400, f"a fault needs a kind, one of: {', '.join(KINDS)}")
    defaults = KINDS[document["kind"]]
    unknown = set(document) - NARROWING - set(defaults) - {"met", "struck"}
    if unknown:
        raise Refusal(400, f"{document['kind']} doesn't know: {', '.join(sorted(unknown))}")
    values = {name: document.get(name, default) for name, default in defaults.items()}
    _check_values(values, defaults)
    return Fault(
        kind=document["kind"],
        values=values,
        operation=_text(document, "operation"),
        account=_text(document, "account"),
        times=_whole(document, "times"),
        every=_whole(document, "every"),
        probability=_share(document.get("probability")),
    )


def _check_values(values: Json, defaults: Json) -> None:
    for name, value in values.items():
        wanted: Any = (int, float) if isinstance(defaults[name], float) else type(defaults[name])
        is_flag = isinstance(value, bool) and not isinstance(defaults[name], bool)
        if not isinstance(value, wanted) or is_flag or (not is_flag and _is_negative(value)):
            raise Refusal(400, f"{name} must be like {defaults[name]!r}")
    if max((v for v in values.values() if isinstance(v, int | float)), default=0) > LARGEST:
        raise Refusal(400, f"no value may be above {LARGEST}")
    if values.get("body", "json") not in BODIES:
        raise Refusal(400, f"body must be one of: {', '.join(BODIES)}")
    if not 400 <= int(values.get("status", 503)) <= 599:
        raise Refusal(400, "status must be between 400 and 599")


def _is_negative(value: object) -> bool:
    return isinstance(value, int | float) and value < 0


def _names(account: Account) -> set[str]:
    return {str(account.id), account.email, account.username, account.key}


def _text(document: Json, name: str) -> str | None:
    value = document.get(name)
    return None if value is None else str(value)


def _whole(document: Json, name: str) -> int | None:
    value = document.get(name)
    if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
        raise Refusal(400, f"{name} must be a whole number above 0")
    return value


def _share(value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise Refusal(400, "probability must be between 0 and 1")
    return float(value)
