"""A process that can't outlive us: the parent's side of `guardian`."""

import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from webapp.embedded import guardian
from webapp.embedded.errors import EmbeddedError


@dataclass(frozen=True)
class Order:
    """What to run and how to end it.

    `stops` are signals and the seconds to wait after each, before SIGKILL; `account` is passed to
    Popen (user, group); `marker` begins what is found again in the environment of the whole tree;
    `echo` leaves standard error to ours.
    """

    command: Sequence[str]
    log: Path
    marker: str
    env: Mapping[str, str]
    cwd: Path = Path("/")
    input: str = ""
    echo: bool = False
    account: Mapping[str, object] = field(default_factory=dict)
    stops: Sequence[tuple[str, float]] = (("SIGTERM", 10.0),)

    def as_json(self) -> bytes:
        paths = {"log": str(self.log), "cwd": str(self.cwd)}
        # A late guardian of the last start must not take the next one's processes for its own.
        marker = f"{self.marker}{secrets.token_hex(8)}"
        order = {**vars(self), **paths, "marker": marker, "parent": os.getpid()}
        return json.dumps(order, default=dict).encode()


class Kept:
    """A started process; `pid` is its own, not its guardian's."""

    def __init__(self, order: Order) -> None:
        self._stops = order.stops
        self._code: int | None = None
        self._guardian = _start_guardian(order)
        self._words, self._news = _pipes(self._guardian)
        try:
            _hand_over(order, self._words)
            news = self._hear()
        except BaseException:
            self._let_go()
            raise
        if "pid" not in news:
            self._let_go()
            raise EmbeddedError(str(news.get("error", f"{order.command[0]} could not be started")))
        self.pid = int(str(news["pid"]))

    def poll(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""
        if self._code is None and self._guardian.poll() is not None:
            self._settle()
        return self._code

    def wait(self, timeout_seconds: float) -> int | None:
        """Like `poll`, after waiting for the end at most so long."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._guardian.wait(timeout_seconds)
        return self.poll()

    def stop(self) -> int:
        """Ask it to end, insist after the order's time, return the exit code."""
        return self._end(guardian.STOP, sum(seconds for _, seconds in self._stops) + 10)

    def kill(self) -> int:
        """End it at once, as `kill -9` of its process group would."""
        return self._end(guardian.KILL, 10)

    def _end(self, word: bytes, patience_seconds: float) -> int:
        if self.poll() is None:
            with contextlib.suppress(BrokenPipeError):
                self._words.write(word)
            if self.wait(patience_seconds) is None:
                self._guardian.kill()
                self._guardian.wait()
        return self.poll() or 0

    def _settle(self) -> None:
        news = self._hear()
        self._close_pipes()
        if "exit" in news:
            self._code = int(str(news["exit"]))
            return
        # The guardian itself was killed, so its child has nobody left but us.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self._code = -signal.SIGKILL

    def _hear(self) -> dict[str, object]:
        line = self._news.readline()
        return dict(json.loads(line)) if line else {}

    def _let_go(self) -> None:
        """The guardian takes the closed pipe for our death and ends what it may have started."""
        self._close_pipes()
        self._guardian.wait()

    def _close_pipes(self) -> None:
        for pipe in (self._words, self._news):
            with contextlib.suppress(BrokenPipeError):
                pipe.close()


def _start_guardian(order: Order) -> subprocess.Popen[bytes]:
    order.log.parent.mkdir(parents=True, exist_ok=True)
    with order.log.open("ab", buffering=0) as log:
        return subprocess.Popen(
            # -P: the names beside the script are not the ones it imports.
            [sys.executable, "-P", str(Path(guardian.__file__).resolve())],
            cwd="/",
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=None if order.echo else log,
            start_new_session=True,
            bufsize=0,
        )


def _pipes(process: subprocess.Popen[bytes]) -> tuple[IO[bytes], IO[bytes]]:
    if process.stdin is None or process.stdout is None:
        raise AssertionError("both were asked to be pipes")
    return process.stdin, process.stdout


def _hand_over(order: Order, words: IO[bytes]) -> None:
    payload = order.as_json()
    with contextlib.suppress(BrokenPipeError):
        words.write(f"{len(payload):08x}".encode() + payload)
