"""What the demo consists of: the steps before, the processes, and what is said when they answer."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass

from webapp.supervisor.choices import Choices

WORKERS = 2


@dataclass(frozen=True)
class Step:
    """A command that runs to its end; `echo` shows its standard error as progress."""

    name: str
    command: Sequence[str]
    echo: bool = False


@dataclass(frozen=True)
class Program:
    """A process that stays; it gets `stop_seconds` to finish, and answers at `health_url`."""

    name: str
    command: Sequence[str]
    stop_seconds: float = 10.0
    port: int | None = None
    port_variable: str = ""
    health_url: str = ""


@dataclass(frozen=True)
class Plan:
    """Steps and programs in the order of their start; they are stopped the other way round.

    The sample data is played on a clock set back, so nothing else may be working meanwhile: what
    it needs comes first, the rest when it is done.
    """

    before: Sequence[Step]
    first: Sequence[Program]
    between: Sequence[Step]
    then: Sequence[Program]
    announcement: Sequence[str]

    @property
    def programs(self) -> Sequence[Program]:
        return [*self.first, *self.then]


def demo_plan(choices: Choices) -> Plan:
    """The real thing."""
    flask = [sys.executable, "-m", "flask", "--app", "webapp"]
    return Plan(
        before=[Step("migrations", [*flask, "db", "upgrade"])],
        first=[_sandbox(choices)],
        between=[Step("seed", [*flask, "demo", "seed"], echo=True)],
        then=[_web(choices), *_workers(), _scheduler()],
        announcement=_announcement(choices),
    )


def _sandbox(choices: Choices) -> Program:
    data = str(choices.folder / "sandbox.sqlite3")
    options = ["--port", str(choices.sandbox_port), "--data", data]
    return Program(
        name="sandbox",
        command=[sys.executable, "-m", "webapp.sandbox", *options],
        stop_seconds=5,
        port=choices.sandbox_port,
        port_variable="SANDBOX_PORT",
        health_url=f"{choices.sandbox_url}/_sandbox/health",
    )


def _web(choices: Choices) -> Program:
    options = ["--bind", f"127.0.0.1:{choices.port}", "--workers", "2", "--threads", "4"]
    # Short, so that a browser's idle connection doesn't hold up the end.
    options += ["--graceful-timeout", "5", "--no-control-socket"]
    return Program(
        name="web",
        command=[sys.executable, "-m", "gunicorn", *options, "webapp:create_app()"],
        port=choices.port,
        port_variable="PORT",
        health_url=f"{choices.url}/healthz",
    )


def _workers() -> list[Program]:
    command = [sys.executable, "worker.py"]
    return [Program(f"worker-{number}", command) for number in range(1, WORKERS + 1)]


def _scheduler() -> Program:
    return Program("scheduler", [sys.executable, "worker.py", "scheduler"], stop_seconds=5)


def _announcement(choices: Choices) -> list[str]:
    return [
        f"Lockstep is ready: {choices.url}",
        "",
        "  Praxis Sonnenschein   admin@sonnenschein.test     lockstep-demo",
        "                        manager@sonnenschein.test   lockstep-demo",
        "                        staff@sonnenschein.test     lockstep-demo",
        "  Salon Blau            admin@blau.test             lockstep-demo",
        "",
        f"  The Cal.com to try against: {choices.sandbox_url}/",
        "  Ctrl-C stops everything; make demo-reset starts afresh.",
    ]
