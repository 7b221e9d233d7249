"""Servers that an earlier run left in a folder because everything around them was killed."""

import contextlib
import signal
import time
from pathlib import Path

import psutil

STOP_SECONDS = 10.0
_PROGRAMS = ("postgres", "initdb")


def end_servers_in(data: Path) -> int:
    """End every `postgres` or `initdb` whose working folder is `data`; returns how many there were.

    The postmaster's pid file is no witness: after a restart its number may be anybody's. A
    server's processes stay in their data folder for life.
    """
    if not data.exists():
        return 0
    found = _servers_in(data.resolve())
    for process in found:
        with contextlib.suppress(psutil.Error):
            process.send_signal(signal.SIGINT)
    if not _are_gone_after(found, STOP_SECONDS):
        for process in found + _servers_in(data.resolve()):
            with contextlib.suppress(psutil.Error):
                process.kill()
        _are_gone_after(found, STOP_SECONDS)
    return len(found)


def _are_gone_after(processes: list[psutil.Process], seconds: float) -> bool:
    """A zombie counts as gone: in a container nobody may ever collect it."""
    deadline = time.monotonic() + seconds
    while any(_is_alive(process) for process in processes):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def _is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _servers_in(data: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter(["name"]):
        if process.info["name"] not in _PROGRAMS:
            continue
        with contextlib.suppress(psutil.Error, OSError):
            if Path(process.cwd()) == data:
                found.append(process)
    return found
