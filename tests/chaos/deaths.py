"""Workers that die in the middle: at a named point the code raises what nothing catches."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from webapp.jobs import bulk, deliveries, push, verification


class Killed(BaseException):
    """The worker is gone: no handler runs but those that close the connection."""


class Death:
    """Counts how often its point was come by; kills at the given time."""

    def __init__(self, at_passing: int = 1) -> None:
        self._at_passing = at_passing
        self.passings = 0

    @property
    def has_struck(self) -> bool:
        return self.passings >= self._at_passing

    def pass_by(self) -> None:
        self.passings += 1
        if self.passings == self._at_passing:
            raise Killed


PUSH_POINTS: dict[str, tuple[Any, str, str]] = {
    "claimed, not committed": (push, "claim_intent", "after"),
    "before the call": (push, "_call", "before"),
    "after the call": (push, "_call", "after"),
    "settled, not committed": (push, "settle_push", "after"),
    "committed, not enqueued": (push, "enqueue_push", "before"),
}
OTHER_POINTS: dict[str, tuple[Any, str, str]] = {
    "verified, not recorded": (verification, "record_look", "before"),
    "recorded, not committed": (verification, "record_verification", "after"),
    "delivery applied, not committed": (deliveries, "_finish", "after"),
}
BULK_POINTS: dict[str, tuple[Any, str, str]] = {
    "bulk item begun, not committed": (bulk, "begin_item", "after"),
    "bulk batch begun, not looked at": (bulk, "_look", "before"),
    "bulk look recorded, not concluded": (bulk, "record_look", "after"),
    "bulk batch looked at, not concluded": (bulk, "conclude", "before"),
    "bulk concluded, not committed": (bulk, "conclude", "after"),
}
POINTS = PUSH_POINTS | OTHER_POINTS | BULK_POINTS


@contextmanager
def dying_at(point: str, at_passing: int = 1) -> Iterator[Death]:
    """Whoever comes by that point for the n-th time inside the block is killed there."""
    module, name, when = POINTS[point]
    death = Death(at_passing)
    real: Callable[..., Any] = getattr(module, name)

    def deadly(*args: Any, **kwargs: Any) -> Any:
        if when == "before":
            death.pass_by()
        result = real(*args, **kwargs)
        if when == "after":
            death.pass_by()
        return result

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, name, deadly)
        yield death
