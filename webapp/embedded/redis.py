"""Redis for one machine: nothing on disk, a password, 127.0.0.1 only."""

import contextlib
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from redis import Redis as Client
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, RedisError
from redis.retry import Retry

from webapp.embedded.account import server_account
from webapp.embedded.binaries import redis_program
from webapp.embedded.errors import EmbeddedError
from webapp.embedded.folders import (
    choose_port,
    claimed,
    last_lines,
    remembered_port,
    write_private,
)
from webapp.embedded.kept import Kept, Order

START_SECONDS = 20.0
_CONFIGURATION = """\
bind 127.0.0.1
protected-mode yes
port {port}
requirepass {password}
daemonize no
save ""
appendonly no
maxmemory-policy noeviction
"""


class Redis:
    """One server in one folder; every `start` ends what an earlier run left there."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._account = server_account()
        self._program = redis_program(self._account)
        self._password = _password(folder / "password")
        self._kept: Kept | None = None
        self.port = 0

    @property
    def url(self) -> str:
        return f"redis://:{self._password}@127.0.0.1:{self.port}/0"

    @property
    def pid(self) -> int:
        """The server's process id."""
        if self._kept is None:
            raise EmbeddedError("Redis has not been started.")
        return self._kept.pid

    @property
    def is_running(self) -> bool:
        return self._kept is not None and self._kept.poll() is None

    def start(self) -> None:
        """Start and wait until it answers."""
        if self.is_running:
            return
        self.end_leftover()
        for last in (False, False, True):
            if self._launch(is_last_try=last):
                return

    def stop(self) -> None:
        """End it; what it held is gone."""
        if self._kept is not None:
            self._kept.stop()

    def kill9(self) -> None:
        """End it as a power cut would."""
        if self._kept is not None:
            self._kept.kill()

    def end_leftover(self) -> None:
        """End what an earlier run left: who answers on our port to our password is ours."""
        port = remembered_port(self._folder / "port")
        if port:
            with contextlib.suppress(RedisError), self._client(port) as client:
                client.ping()
                client.shutdown(nosave=True)

    @property
    def _log(self) -> Path:
        return self._folder / "redis.log"

    def _launch(self, *, is_last_try: bool) -> bool:
        """Whether it answers; False is worth another try, with another port."""
        self._log.unlink(missing_ok=True)
        self.port = choose_port(self._folder / "port")
        self._kept = Kept(self._order())
        deadline = time.monotonic() + START_SECONDS
        while self._kept.poll() is None and time.monotonic() < deadline:
            if self._answers():
                return True
            time.sleep(0.02)
        self._kept.stop()
        is_port_taken = "Address already in use" in self._log.read_text(errors="replace")
        if is_port_taken and not is_last_try:
            return False
        raise EmbeddedError(f"Redis did not start. {self._log} ends with:\n{last_lines(self._log)}")

    def _answers(self) -> bool:
        try:
            with self._client(self.port) as client:
                return bool(client.ping())
        except AuthenticationError:
            return False  # somebody else's: ours will find the port taken
        except RedisError:
            return False

    def _client(self, port: int) -> Client:
        return Client(
            host="127.0.0.1",
            port=port,
            password=self._password,
            socket_timeout=2,
            socket_connect_timeout=2,
            retry=Retry(NoBackoff(), 0),
        )

    def _order(self) -> Order:
        return Order(
            command=[str(self._program), "-"],
            log=self._log,
            marker=f"{self._folder}:redis;",
            env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
            # On standard input, so that no list of processes shows the password.
            input=_CONFIGURATION.format(port=self.port, password=self._password),
            account=self._account.popen,
            stops=(("SIGTERM", 5.0),),
        )


@contextlib.contextmanager
def running_redis(folder: Path) -> Iterator[Redis]:
    """A started Redis that remembers its port and password in `folder`. Raises EmbeddedError."""
    with claimed(folder) as own:
        server = Redis(own)
        try:
            server.start()
            yield server
        finally:
            server.stop()


def erase_redis(folder: Path) -> None:
    """Remove the folder, ending what still runs there."""
    with claimed(folder) as own:
        Redis(own).end_leftover()
        shutil.rmtree(own, ignore_errors=True)


def _password(path: Path) -> str:
    if not path.exists():
        write_private(path, secrets.token_urlsafe(24))
    return path.read_text().strip()
