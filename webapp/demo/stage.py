"""The stage: the whole of Lockstep in one process, on a clock that is set back and runs through
the weeks, with a door that the sandbox's webhooks reach."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from flask import current_app
from werkzeug.serving import WSGIRequestHandler, make_server

from webapp import clock
from webapp.jobs.inline import work_off_due
from webapp.sandbox.remote import RemoteSandbox, SandboxRefusal


class Stage:
    """Time and work, for us and the sandbox together."""

    def __init__(self, remote: RemoteSandbox) -> None:
        self.remote = remote

    def set_time(self, at: datetime) -> None:
        clock.advance(at - clock.now())
        self.remote.post("clock", set=at.isoformat())

    def pass_time(self, seconds: float) -> None:
        clock.advance(timedelta(seconds=seconds))
        self.remote.post("clock", advance=seconds)

    def act_there(self, path: str, **body: object) -> bool:
        """Something a person does on Cal.com; False where its calendar doesn't allow it."""
        try:
            self.remote.post(path, **body)
        except SandboxRefusal:
            return False
        return True

    def work(self) -> None:
        """Do what is due, webhooks included."""
        while work_off_due():
            self.remote.settle()

    def work_through_retries(self) -> None:
        """Let the retries of a push run out."""
        for _ in range(5):
            self.work()
            self.pass_time(12)
        self.work()


@contextmanager
def set_stage(remote: RemoteSandbox) -> Iterator[tuple[Stage, str]]:
    """A stage, and the root URL of its door; puts both clocks right at the end."""
    app = current_app._get_current_object()  # type: ignore[attr-defined]
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_Quiet)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        with clock.restored():
            yield Stage(remote), f"http://127.0.0.1:{server.server_port}"
    finally:
        remote.post("clock", reset=True)
        remote.switch_on()
        server.shutdown()
        thread.join()


class _Quiet(WSGIRequestHandler):
    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Progress is told by the seed itself."""
