"""The sandbox as one object: clock, state, ledger, faults, rate limits and postman."""

import itertools
import threading
from pathlib import Path

from webapp.sandbox.faults import Faults
from webapp.sandbox.instants import Clock
from webapp.sandbox.ledger import Ledger
from webapp.sandbox.limits import Limiter
from webapp.sandbox.listing import Listings
from webapp.sandbox.postman import Postman
from webapp.sandbox.state import State
from webapp.sandbox.store import Store

# Cal.com's own is 120 (API facts, §1); the demo shouldn't stumble over it.
GENEROUS_LIMIT = 6_000


class Sandbox:
    """Everything that a request needs. `stopping` wakes those who hold a connection on purpose."""

    def __init__(self, *, data: Path | None = None, rate_limit: int = GENEROUS_LIMIT) -> None:
        self.clock = Clock()
        self.state = State(self.clock, Store(data))
        self.listings = Listings(self.state)
        self.ledger = Ledger(self.state)
        self.faults = Faults()
        self.limiter = Limiter()
        self.default_rate_limit = rate_limit
        self.rate_limit = rate_limit
        self.postman = Postman(self.state, self.faults, self.ledger, self.clock)
        self.stopping = threading.Event()
        self._refusals = itertools.count()

    def takes_second_shape(self) -> bool:
        """Every other time: some refusals come in either shape, and nobody may count on one."""
        return next(self._refusals) % 2 == 1

    def reset(self) -> None:
        """Back to the first day: no rows, no faults, no memory, the announced rate limit."""
        self.faults.clear()
        self.state.reset()
        self.ledger.clear()
        self.limiter.clear()
        self.rate_limit = self.default_rate_limit

    def close(self) -> None:
        self.stopping.set()
        self.postman.close()
        self.state.close()
