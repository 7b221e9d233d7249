"""The demo's PostgreSQL and Redis: given ones taken as they are, embedded ones watched."""

import contextlib
from collections.abc import Iterator

from webapp.embedded import EmbeddedError, Postgres, Redis, running_postgres, running_redis
from webapp.supervisor.choices import Choices
from webapp.supervisor.saying import say
from webapp.supervisor.stopping import ignore_signals


class DemoServers:
    """The addresses, as settings, and the embedded servers behind them."""

    def __init__(self, choices: Choices) -> None:
        self.addresses = {
            "DATABASE_URL": choices.database_url,
            "DATABASE_OWNER_URL": choices.database_owner_url,
            "REDIS_URL": choices.redis_url,
        }
        self._embedded: dict[str, Postgres | Redis] = {}

    def add_postgres(self, server: Postgres) -> None:
        self.addresses["DATABASE_URL"] = server.database_url
        self.addresses["DATABASE_OWNER_URL"] = server.database_owner_url
        self._embedded["PostgreSQL"] = server

    def add_redis(self, server: Redis) -> None:
        self.addresses["REDIS_URL"] = server.url
        self._embedded["Redis"] = server

    def revive(self) -> None:
        """Start again what has died. Raises EmbeddedError when it can't be had as it was."""
        for name, server in self._embedded.items():
            if not server.is_running:
                say(f"{name} has ended; starting it again.")
                port = server.port
                server.start()
                if server.port != port:
                    raise EmbeddedError(f"{name} lost its port {port} to another program.")


@contextlib.contextmanager
def demo_servers(choices: Choices) -> Iterator[DemoServers]:
    """Started here unless DATABASE_URL or REDIS_URL are given, stopped at the end."""
    found = DemoServers(choices)
    with contextlib.ExitStack() as stack:
        if not choices.database_url:
            say("Starting PostgreSQL")
            found.add_postgres(stack.enter_context(running_postgres(choices.folder / "postgres")))
        if not choices.redis_url:
            say("Starting Redis")
            found.add_redis(stack.enter_context(running_redis(choices.folder / "redis")))
        try:
            yield found
        finally:
            ignore_signals()
