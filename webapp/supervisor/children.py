"""The demo's processes: started, watched, started again with growing pauses, and stopped."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from webapp.embedded import EmbeddedError
from webapp.embedded.folders import last_lines
from webapp.embedded.kept import Kept, Order
from webapp.supervisor.plan import Program, Step
from webapp.supervisor.saying import say

GLANCE_SECONDS = 0.2
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 1.0, 30.0
# Who has run so long is forgiven earlier deaths.
STEADY_SECONDS = 60.0


@dataclass
class Child:
    """A program and its present process; `start_at` is set while a restart is due."""

    program: Program
    kept: Kept
    started_at: float
    pause_seconds: float = FIRST_PAUSE_SECONDS
    start_at: float | None = None


class Children:
    """All processes of one demo, in the order of their start."""

    def __init__(self, folder: Path, environment: Mapping[str, str], root: Path) -> None:
        self._folder = folder
        self._environment = environment
        self._root = root
        self._children: list[Child] = []

    def run(self, step: Step) -> None:
        """Run a step to its end. Raises EmbeddedError when it fails."""
        kept = Kept(self._order(step.name, step.command, stop_seconds=5, echo=step.echo))
        try:
            while kept.wait(GLANCE_SECONDS) is None:
                self.expect_all_alive()
        finally:
            code = kept.stop()
        if code != 0:
            raise self._failure(f"{step.name} failed ({_ending(code)}).", step.name)

    def start(self, program: Program) -> None:
        self._children.append(Child(program, self._launch(program), time.monotonic()))

    def wait_until(self, is_ready: Callable[[], bool], what: str, seconds: float) -> None:
        """Raises EmbeddedError after so long, or as soon as a process dies."""
        deadline = time.monotonic() + seconds
        while not is_ready():
            self.expect_all_alive()
            if time.monotonic() > deadline:
                raise self._failure(f"{what} did not answer within {seconds:.0f} s.", what)
            time.sleep(GLANCE_SECONDS)

    def expect_all_alive(self) -> None:
        """While starting, a death is a failure: nothing would be gained by trying again."""
        for child in self._children:
            name, code = child.program.name, child.kept.poll()
            if code is not None:
                raise self._failure(f"{name} ended at once ({_ending(code)}).", name)

    def revive(self) -> None:
        """Start again what has died, after a pause that doubles with every death."""
        now = time.monotonic()
        for child in self._children:
            if child.start_at is not None and now >= child.start_at:
                child.kept, child.started_at, child.start_at = (
                    self._launch(child.program),
                    now,
                    None,
                )
            elif child.start_at is None and child.kept.poll() is not None:
                self._plan_restart(child, now)

    def stop(self) -> None:
        """Stop all, the last started first."""
        while self._children:
            child = self._children.pop()
            child.kept.stop()

    def _plan_restart(self, child: Child, now: float) -> None:
        if now - child.started_at > STEADY_SECONDS:
            child.pause_seconds = FIRST_PAUSE_SECONDS
        child.start_at = now + child.pause_seconds
        say(
            f"{child.program.name} has ended ({_ending(child.kept.poll() or 0)}); "
            f"starting it again in {child.pause_seconds:.0f} s. See {self._log(child.program.name)}"
        )
        child.pause_seconds = min(child.pause_seconds * 2, LONGEST_PAUSE_SECONDS)

    def _launch(self, program: Program) -> Kept:
        return Kept(self._order(program.name, program.command, stop_seconds=program.stop_seconds))

    def _order(
        self, name: str, command: Sequence[str], *, stop_seconds: float, echo: bool = False
    ) -> Order:
        return Order(
            command=command,
            log=self._log(name),
            marker=f"{self._folder}:{name};",
            env=self._environment,
            cwd=self._root,
            echo=echo,
            stops=(("SIGTERM", stop_seconds),),
        )

    def _log(self, name: str) -> Path:
        return self._folder / "logs" / f"{name}.log"

    def _failure(self, message: str, name: str) -> EmbeddedError:
        log = self._log(name)
        end = last_lines(log)
        return EmbeddedError(f"{message} {log} ends with:\n{end}" if end else message)


def _ending(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"
