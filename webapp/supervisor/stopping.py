"""When to stop: on SIGTERM, SIGINT or SIGHUP, and when the `make` above us has been told to."""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
GLANCE_SECONDS = 0.5


class StopRequested(BaseException):
    """Raised once, wherever we are, by the first signal to stop."""


@contextlib.contextmanager
def stop_on_signals() -> Iterator[None]:
    """The first signal raises StopRequested; later ones don't disturb the orderly end."""
    for number in SIGNALS:
        signal.signal(number, _raise_once)
    try:
        yield
    finally:
        ignore_signals()


def ignore_signals() -> None:
    """From here on we are ending anyway."""
    for number in SIGNALS:
        signal.signal(number, lambda _number, _frame: None)


def follow_make() -> None:
    """Stop when the calling `make` dies or is interrupted alone.

    GNU make hands SIGTERM on, but trusts the terminal to send SIGINT to us as well: interrupted by
    `kill -INT`, it just waits for us for ever.
    """
    threading.Thread(target=_watch_make, args=(os.getppid(),), daemon=True).start()


def _raise_once(_number: int, _frame: FrameType | None) -> None:
    ignore_signals()
    raise StopRequested


def _watch_make(make: int) -> None:
    catches_interrupts = _catches_interrupts(make)
    while os.getppid() == make:
        # Its handler resets the signal before it waits, which /proc shows.
        if catches_interrupts and not _catches_interrupts(make):
            break
        time.sleep(GLANCE_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)


def _catches_interrupts(pid: int) -> bool:
    """From /proc on Linux; elsewhere nobody can say, and the answer stays the same."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("SigCgt:"):
                return bool(int(line.split()[1], 16) & 1 << signal.SIGINT - 1)
    return False
