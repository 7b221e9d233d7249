"""Keeps one process: starts it, reports its end, and ends it when told to or when the parent dies.

Run as a script, in a session of its own, so that neither Ctrl-C nor a `kill -9` of the parent
reaches it. Standard input carries the order, then single letters; its end means the parent died.
"""

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

# Grandchildren may leave the process group (RQ's do); what they can't leave is their environment.
MARKER = "LOCKSTEP_KEPT_BY"
STOP, KILL, PARENT_IS_GONE = b"s", b"k", b""
# An orphaned tree must be gone before somebody starts again, however patient the order is.
ORPHAN_SECONDS = 3.0
# The parent is looked at this often, should a forked copy of it hold the other end of the pipe.
GLANCE_SECONDS = 0.5


def main() -> int:
    order = json.loads(_read_exactly(int(_read_exactly(8), 16)))
    wakeup = _wake_on_signals()
    try:
        child = _start(order)
    except (OSError, subprocess.SubprocessError) as error:
        _tell(error=f"{order['command'][0]}: {error}")
        return 1
    _tell(pid=child.pid)
    word = _next_word(child, wakeup, order["parent"])
    if word is not None:
        _end(child, order["stops"], word)
    end_all(order["marker"])
    _tell(exit=child.wait())
    return 0


def end_all(prefix: str) -> int:
    """Kill whatever carries a marker that begins so; returns how many there were."""
    killed = 0
    # A process may fork while it is being looked for, hence the second look.
    while found := _marked(prefix):
        for pid in found:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        killed += len(found)
        time.sleep(0.05)
    return killed


def _marked(prefix: str) -> list[int]:
    """The running processes with such a marker, as far as this user may look."""
    import psutil  # here, so that a guardian stays small while it waits

    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            is_alive = process.status() != psutil.STATUS_ZOMBIE
            if is_alive and process.environ().get(MARKER, "").startswith(prefix):
                found.append(process.pid)
    return found


def _start(order: dict[str, Any]) -> subprocess.Popen[bytes]:
    with Path(order["log"]).open("ab", buffering=0) as log:
        child = subprocess.Popen(
            order["command"],
            cwd=order["cwd"],
            env={**order["env"], MARKER: order["marker"]},
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=None if order["echo"] else log,
            start_new_session=True,
            **order["account"],
        )
    with contextlib.suppress(BrokenPipeError), child.stdin or contextlib.nullcontext() as stdin:
        if stdin is not None:
            stdin.write(order["input"].encode())
    return child


def _next_word(child: subprocess.Popen[bytes], wakeup: int, parent: int) -> bytes | None:
    """What to do next, or None when the child has ended by itself."""
    while child.poll() is None:
        if os.getppid() != parent:
            return PARENT_IS_GONE
        ready, _, _ = select.select([0, wakeup], [], [], GLANCE_SECONDS)
        if 0 in ready:
            return os.read(0, 1)
        if wakeup in ready and set(os.read(wakeup, 64)) - {signal.SIGCHLD}:
            return STOP
    return None


def _end(child: subprocess.Popen[bytes], stops: list[tuple[str, float]], word: bytes) -> None:
    for name, seconds in [] if word == KILL else stops:
        child.send_signal(signal.Signals[name])
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(min(seconds, ORPHAN_SECONDS) if word == PARENT_IS_GONE else seconds)
            return
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)


def _wake_on_signals() -> int:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    for name in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(name, lambda _number, _frame: None)
    return reading


def _read_exactly(size: int) -> bytes:
    data = b""
    while len(data) < size:
        if not (piece := os.read(0, size - len(data))):
            raise SystemExit("the parent died before it had said what to run")
        data += piece
    return data


def _tell(**news: object) -> None:
    with contextlib.suppress(BrokenPipeError):
        os.write(1, json.dumps(news).encode() + b"\n")


if __name__ == "__main__":
    sys.exit(main())
