"""A company at its desk, connected to a sandbox, with a webhook door of its own."""

import threading
from collections.abc import Iterator

import pytest
from flask import Flask
from werkzeug.serving import WSGIRequestHandler, make_server

from tests.desk import Desk
from webapp.sandbox.server import RunningSandbox


@pytest.fixture
def desk(engine: Flask, sandbox: RunningSandbox) -> Desk:
    """A company connected to its own sandbox."""
    return Desk(sandbox)


class Quiet(WSGIRequestHandler):
    def log_request(self, code: int | str = "-", size: int | str = "-") -> None: ...


@pytest.fixture
def door(desk: Desk, deaf_door: str) -> str:
    """The desk's webhook address on a running server, registered with the sandbox."""
    desk.cal.listen(deaf_door, desk.company.webhook_secret)
    return deaf_door


@pytest.fixture
def deaf_door(engine: Flask, desk: Desk) -> Iterator[str]:
    """The same, of which the sandbox knows nothing: tests knock there themselves."""
    server = make_server("127.0.0.1", 0, engine, threaded=True, request_handler=Quiet)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}/webhooks/calcom/{desk.company.webhook_token}"
    yield address
    server.shutdown()
