"""A running demo of stand-ins, seen from outside."""

import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path

import psutil
import pytest

from webapp.embedded import erase_postgres

ROOT = Path(__file__).parents[2]
STAND_IN = ROOT / "tests" / "processes" / "stand_in.py"


class Demo:
    """A started demo; `lines` are what it has said on standard output, `told` on standard error."""

    def __init__(self, process: subprocess.Popen[str], folder: Path, port: int) -> None:
        self.process = process
        self.folder = folder
        self.port = port
        self.tree: list[psutil.Process] = []

    def wait_until_ready(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.process.communicate()[1]
        self.tree = psutil.Process(self.process.pid).children(recursive=True)
        return line

    def find(self, word: str, *, other_than: Collection[int] = ()) -> int | None:
        """The number of the living process whose name or command line has the word."""
        for process in psutil.Process(self.process.pid).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                if process.pid in other_than:
                    continue
                if word in process.name() or word in " ".join(process.cmdline()):
                    return process.pid
        return None

    def wait(self, seconds: float = 20) -> tuple[int, str, str]:
        out, err = self.process.communicate(timeout=seconds)
        return self.process.returncode, out, err

    def everything_is_gone(self, seconds: float = 0.5) -> bool:
        return eventually(lambda: not any(map(is_alive, self.tree)), seconds)


Start = Callable[..., Demo]


@pytest.fixture
def start_demo(tmp_path: Path) -> Iterator[Start]:
    """Starts the stand-in (or another command) in a folder with a space in its name."""
    folder, port, started = tmp_path / "my demo", free_port(), list[Demo]()

    def start(
        *words: str, command: Sequence[str] = (), cwd: Path = tmp_path, **environment: str
    ) -> Demo:
        settings = {
            "PATH": os.environ["PATH"],
            "HOME": os.environ.get("HOME", "/"),
            "PYTHONPATH": str(ROOT),
            "DEMO_DIR": str(folder),
            "PORT": str(port),
            **environment,
        }
        process = subprocess.Popen(
            [*(command or [sys.executable, str(STAND_IN)]), *words],
            env=settings,
            cwd=cwd,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            preexec_fn=_heed_ctrl_c,
        )
        started.append(Demo(process, folder, port))
        return started[-1]

    yield start
    for demo in started:
        _clear_away(demo)
    if (folder / "postgres").is_dir():
        erase_postgres(folder / "postgres")


def _heed_ctrl_c() -> None:
    """A suite started in the background ignores SIGINT, and what it starts inherits that."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _clear_away(demo: Demo) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(demo.process.pid, signal.SIGKILL)
    demo.process.communicate()
    demo.everything_is_gone(8)


def free_port() -> int:
    """Below the range that outgoing connections get theirs from: nobody takes it meanwhile."""
    while True:
        port = random.randint(20_000, 30_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def eventually(is_so: Callable[[], bool], seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def is_alive(process: psutil.Process) -> bool:
    """Zombies count as gone: who collects them is not ours to say."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False
