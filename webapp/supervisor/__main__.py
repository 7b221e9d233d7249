"""`python -m webapp.supervisor demo` runs the demo, `… with COMMAND` a command in its settings."""

import argparse
import os
import socket
import sys
from collections.abc import Mapping
from urllib.parse import urlsplit

from webapp.embedded import EmbeddedError
from webapp.supervisor.choices import read_choices
from webapp.supervisor.demo import run_demo
from webapp.supervisor.environment import FILE, read_environment
from webapp.supervisor.plan import demo_plan
from webapp.supervisor.saying import say
from webapp.supervisor.stopping import StopRequested, follow_make, stop_on_signals


def main() -> int:
    arguments = _arguments()
    try:
        with stop_on_signals():
            if arguments.action == "with":
                _become(arguments.command)
            if arguments.follow_make:
                follow_make()
            choices = read_choices()
            run_demo(choices, demo_plan(choices), fresh=arguments.fresh)
    except StopRequested:
        say("Everything has stopped.")
    except EmbeddedError as error:
        say(f"\nLockstep could not start or go on: {error}")
        return 1
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m webapp.supervisor")
    actions = parser.add_subparsers(dest="action", required=True)
    demo = actions.add_parser("demo", help="run everything until Ctrl-C or SIGTERM")
    demo.add_argument("--fresh", action="store_true", help="throw the data away first")
    demo.add_argument("--follow-make", action="store_true", help="stop when the calling make does")
    inside = actions.add_parser("with", help="run a command with the demo's settings")
    inside.add_argument("command", nargs=argparse.REMAINDER)
    return parser.parse_args()


def _become(command: list[str]) -> None:
    """Run the command in our place; settings of the caller's own come before the demo's."""
    file = read_choices().folder / FILE
    if "DATABASE_URL" not in os.environ and not file.exists():
        raise EmbeddedError(f"DATABASE_URL isn't set and {file} isn't there: run make demo first.")
    known = read_environment(file) if "DATABASE_URL" not in os.environ else {}
    if known and not _is_running(known):
        raise EmbeddedError("the demo isn't running: start it with make demo, in another terminal.")
    os.execvpe(command[0], command, {**known, **os.environ})  # noqa: S606 - the caller's own words


def _is_running(demo: Mapping[str, str]) -> bool:
    """Whether the demo's PostgreSQL takes connections; its data outlives it, its servers don't."""
    address = urlsplit(demo["DATABASE_URL"])
    try:
        socket.create_connection((address.hostname or "", address.port or 5432), 5).close()
    except OSError:
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
