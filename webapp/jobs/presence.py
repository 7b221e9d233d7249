"""Whether Redis answers who can go on without it: its absence is noted, and nothing ends by it."""

from collections.abc import Callable
from typing import TypeVar

from redis.exceptions import RedisError

from webapp.logs import sync_log

T = TypeVar("T")


class Presence:
    """Redis as one piece of work meets it. With `asks_once` it is not asked again once it failed:
    somebody on the telephone waits a quarter of a second for it, not six times that."""

    def __init__(self, *, asks_once: bool) -> None:
        self._asks_once = asks_once
        self._is_away = False

    def ask(self, act: Callable[[], T]) -> T | None:
        """What `act` returns; None where Redis is away."""
        if self._is_away and self._asks_once:
            return None
        try:
            return act()
        except RedisError as error:
            if not self._is_away:
                self._is_away = True
                sync_log().warning("gate_without_redis", error=type(error).__name__)
            return None
