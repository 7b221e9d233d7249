"""From an empty folder to a running Lockstep, and back to nothing running."""

import contextlib
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import webapp
from webapp.embedded import EmbeddedError, erase_postgres, erase_redis
from webapp.embedded.folders import claimed
from webapp.embedded.guardian import end_all
from webapp.supervisor.answers import becomes_free, is_healthy
from webapp.supervisor.children import Children
from webapp.supervisor.choices import Choices
from webapp.supervisor.environment import FILE, demo_environment
from webapp.supervisor.plan import Plan, Program
from webapp.supervisor.saying import announce, say
from webapp.supervisor.servers import DemoServers, demo_servers
from webapp.supervisor.stopping import ignore_signals

READY_SECONDS = 90.0
GLANCE_SECONDS = 0.5
SETTLE_SECONDS = 1.0


def run_demo(choices: Choices, plan: Plan, *, fresh: bool = False) -> None:
    """Runs until StopRequested; raises EmbeddedError when something can't be had.

    Whichever way it ends, everything it started has ended before.
    """
    with claimed(choices.folder) as folder:
        _end_leftovers(folder)
        if fresh:
            _erase(folder)
        _prepare(folder)
        for program in plan.programs:
            _expect_free_port(program)
        with demo_servers(choices) as servers, _children(choices, servers) as children:
            _start(children, plan)
            announce(plan.announcement)
            while True:
                time.sleep(GLANCE_SECONDS)
                servers.revive()
                children.revive()


def _start(children: Children, plan: Plan) -> None:
    for steps, programs in ((plan.before, plan.first), (plan.between, plan.then)):
        for step in steps:
            say(f"Running {step.name}")
            children.run(step)
        for program in programs:
            say(f"Starting {program.name}")
            children.start(program)
        for program in programs:
            if program.health_url:
                _wait_until_healthy(children, program)
    _watch(children)


def _watch(children: Children) -> None:
    """A process that can't start needs a moment to say so."""
    ends = time.monotonic() + SETTLE_SECONDS
    while time.monotonic() < ends:
        children.expect_all_alive()
        time.sleep(GLANCE_SECONDS / 5)


def _wait_until_healthy(children: Children, program: Program) -> None:
    children.wait_until(lambda: is_healthy(program.health_url), program.name, READY_SECONDS)


@contextlib.contextmanager
def _children(choices: Choices, servers: DemoServers) -> Iterator[Children]:
    settings = demo_environment(choices, servers.addresses)
    environment = {**choices.inherited, "PYTHONUNBUFFERED": "1", **settings}
    children = Children(choices.folder, environment, Path(webapp.__file__).parents[1])
    try:
        yield children
    finally:
        ignore_signals()
        say("Stopping")
        children.stop()


def _end_leftovers(folder: Path) -> None:
    """What an earlier supervisor and its guardians, all killed, had to leave behind."""
    if ended := end_all(f"{folder}:"):
        say(f"Ended {ended} processes that an earlier run had left.")


def _erase(folder: Path) -> None:
    """Only what is ours: DEMO_DIR may have been pointed at a folder that holds more."""
    say(f"Removing the data in {folder}")
    if (folder / "postgres").is_dir():
        erase_postgres(folder / "postgres")
    if (folder / "redis").is_dir():
        erase_redis(folder / "redis")
    shutil.rmtree(folder / "logs", ignore_errors=True)
    for path in (folder / FILE, *folder.glob("sandbox.sqlite3*")):
        path.unlink(missing_ok=True)


def _prepare(folder: Path) -> None:
    shutil.rmtree(folder / "logs", ignore_errors=True)
    (folder / "logs").mkdir()
    # Whatever the folder is called, it is no part of the repository it may lie in.
    (folder / ".gitignore").write_text("*\n")


def _expect_free_port(program: Program) -> None:
    if program.port and not becomes_free(program.port):
        raise EmbeddedError(
            f"Port {program.port} for {program.name} is in use by another program. "
            f"Stop that one, or choose another port: make demo {program.port_variable}=<port>."
        )
