"""Folders with names that trip launchers up, and a caller that can be killed."""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from webapp.embedded import erase_postgres

ROOT = Path(__file__).parents[2]
AWKWARD = "a b \"ü\" $HOME 'x'"
CALLER = """
import sys, time
from pathlib import Path
from webapp.embedded import running_servers
with running_servers(Path(sys.argv[1])) as servers:
    print(servers.database_url, flush=True)
    time.sleep(600)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / AWKWARD
    yield folder
    for used in (folder, folder / "postgres"):
        if (used / "passwords.json").exists():
            erase_postgres(used)


@pytest.fixture
def caller(folder: Path) -> Iterator[psutil.Process]:
    """Another program that has started both servers in the folder."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", CALLER, str(folder)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline(), "the caller could not start its servers"
        yield psutil.Process(process.pid)
        with contextlib.suppress(psutil.Error):
            process.kill()


def eventually(is_so: Callable[[], bool], seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def are_gone(processes: list[psutil.Process], seconds: float = 8) -> bool:
    """Zombies count as gone: who collects them is not ours to say."""
    return eventually(lambda: not any(is_alive(process) for process in processes), seconds)


def is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False
