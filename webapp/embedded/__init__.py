"""PostgreSQL and Redis for a laptop, the demo and the tests, from wheels and without installation.

Every server has a guardian of its own (see `guardian`), so none outlives whoever started it.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from webapp.embedded.errors import EmbeddedError
from webapp.embedded.postgres import Postgres, erase_postgres, running_postgres
from webapp.embedded.redis import Redis, erase_redis, running_redis

__all__ = [
    "EmbeddedError",
    "Postgres",
    "Redis",
    "Servers",
    "erase_postgres",
    "erase_redis",
    "running_postgres",
    "running_redis",
    "running_servers",
]


@dataclass(frozen=True)
class Servers:
    """Where the two answer: as the app role, as the owner role, and Redis."""

    database_url: str
    database_owner_url: str
    redis_url: str


@contextlib.contextmanager
def running_servers(
    folder: Path,
    *,
    durable: bool = True,
    database_url: str = "",
    database_owner_url: str = "",
    redis_url: str = "",
) -> Iterator[Servers]:
    """Both servers, started in `folder` and stopped at the end.

    What an address is given for is taken as it is, and nothing of that kind is started.
    Raises EmbeddedError.
    """
    with contextlib.ExitStack() as stack:
        if database_url and not database_owner_url:
            raise EmbeddedError("DATABASE_URL is set, so DATABASE_OWNER_URL has to be set too.")
        if not database_url:
            postgres = stack.enter_context(running_postgres(folder / "postgres", durable))
            database_url = postgres.database_url
            database_owner_url = postgres.database_owner_url
        if not redis_url:
            redis_url = stack.enter_context(running_redis(folder / "redis")).url
        yield Servers(database_url, database_owner_url, redis_url)
