"""The folder a server lives in: whose it is, who is using it, and what is remembered there."""

import contextlib
import fcntl
import os
import pwd
import socket
import time
from collections.abc import Iterator
from pathlib import Path

from webapp.embedded.errors import EmbeddedError

# A holder that was just killed has its lock until the kernel is done with it.
DYING_SECONDS = 1.0


@contextlib.contextmanager
def claimed(folder: Path) -> Iterator[Path]:
    """The folder, made if missing, for this process alone.

    The lock is on the directory's descriptor: the kernel drops it when we die, so it can't go
    stale. Raises EmbeddedError when it is somebody else's or in use.
    """
    folder = _own(folder)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        _lock(descriptor, folder)
        yield folder
    finally:
        os.close(descriptor)


def write_private(path: Path, text: str) -> None:
    """Replace the file at once, readable for its owner only."""
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    draft.replace(path)


def choose_port(memory: Path) -> int:
    """A free port on 127.0.0.1: the remembered one where that is still free."""
    for candidate in (remembered_port(memory), 0):
        with contextlib.suppress(OSError), _listener(candidate) as listener:
            port = int(listener.getsockname()[1])
            write_private(memory, f"{port}\n")
            return port
    raise EmbeddedError("No free port on 127.0.0.1.")


def remembered_port(memory: Path) -> int:
    """The port of the last start; 0 where none is known."""
    with contextlib.suppress(OSError, ValueError):
        return int(memory.read_text())
    return 0


def last_lines(log: Path, count: int = 12) -> str:
    """The end of a log, indented, to be shown below a message."""
    try:
        lines = log.read_text(errors="replace").splitlines()[-count:]
    except OSError:
        lines = []
    return "\n".join(f"    {line}" for line in lines)


def _own(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        folder = folder.resolve()
        owner = folder.stat().st_uid
    except OSError as error:
        raise EmbeddedError(f"{folder} can't be used: {error.strerror}.") from error
    if owner != os.geteuid():
        raise EmbeddedError(
            f"{folder} belongs to {_name(owner)}, and this is {_name(os.geteuid())}. "
            f"Run this as {_name(owner)}, remove that folder, "
            "or choose another one with DEMO_DIR=<folder>."
        )
    return folder


def _lock(descriptor: int, folder: Path) -> None:
    deadline = time.monotonic() + DYING_SECONDS
    try:
        while not _takes_lock(descriptor):
            if time.monotonic() > deadline:
                raise EmbeddedError(
                    f"{folder} is in use: Lockstep is already running there. "
                    "Stop it first, or choose another folder with DEMO_DIR=<folder>."
                )
            time.sleep(0.05)
    except OSError as error:
        raise EmbeddedError(
            f"{folder} can't be locked ({error.strerror}): it needs to be on a local disk. "
            "Choose another folder with DEMO_DIR=<folder>."
        ) from error


def _takes_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


def _listener(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        # The servers set this too: a connection that lingers from the last run is no obstacle.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
    except OSError:
        listener.close()
        raise
    return listener
