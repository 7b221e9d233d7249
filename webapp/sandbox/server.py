"""Serves the sandbox over HTTP/1.1 with keep-alive, one thread per connection, in this process.

Our own small server and not gunicorn: the same one runs as a process and inside a test, and it can
reset or hold a connection, which the faults need.
"""

import io
import socket
import struct
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import TCPServer
from types import TracebackType
from typing import Any
from urllib.parse import unquote, urlsplit

from flask import Flask

from webapp.sandbox.connection import CLOSE, HEADER, RESET
from webapp.sandbox.core import Sandbox

ExcInfo = tuple[type[BaseException], BaseException, TracebackType]

LONGEST_BODY = 32 * 1024 * 1024
IDLE_SECONDS = 75


class Handler(BaseHTTPRequestHandler):
    """One connection: reads a request whole, asks the application, writes the answer."""

    protocol_version = "HTTP/1.1"
    # Small answers in several writes would otherwise wait 40 ms for an acknowledgement.
    disable_nagle_algorithm = True
    wbufsize = -1
    timeout = IDLE_SECONDS
    server: "SandboxServer"

    def setup(self) -> None:
        super().setup()
        self.server.connections.add(self.connection)

    def finish(self) -> None:
        self.server.connections.discard(self.connection)
        super().finish()

    def answer(self) -> None:
        length = self.headers.get("Content-Length") or "0"
        if "Transfer-Encoding" in self.headers or not length.isdecimal():
            return self._refuse(411)
        if int(length) > LONGEST_BODY:
            return self._refuse(413)
        body = self.rfile.read(int(length))
        chunks = self.server.app.wsgi_app(self._environ(body), self._start_response)
        try:
            self._write(chunks)
        finally:
            if hasattr(chunks, "close"):
                chunks.close()
        return None

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = answer  # noqa: N815

    def _refuse(self, status: int) -> None:
        # The body is still on its way, so the connection can't be used again.
        self.close_connection = True
        self.send_error(status)

    def _environ(self, body: bytes) -> dict[str, Any]:
        address = urlsplit("//" + self.path.lstrip("/") if "://" in self.path else self.path)
        environ = {
            "REQUEST_METHOD": self.command,
            "SCRIPT_NAME": "",
            "PATH_INFO": unquote(address.path, "latin-1"),
            "QUERY_STRING": address.query,
            "SERVER_NAME": self.server.host,
            "SERVER_PORT": str(self.server.port),
            "SERVER_PROTOCOL": self.request_version,
            "REMOTE_ADDR": self.client_address[0],
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(body),
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
        }
        for name, value in self.headers.items():
            environ.setdefault("HTTP_" + name.upper().replace("-", "_"), value)
        return environ

    def _start_response(
        self,
        status: str,
        headers: list[tuple[str, str]],
        exc_info: ExcInfo | tuple[None, None, None] | None = None,
        /,
    ) -> Any:
        self._status = status
        self._answer_headers = headers
        return self.wfile.write

    def _write(self, chunks: Iterable[bytes]) -> None:
        wish = dict(self._answer_headers).get(HEADER)
        if wish in (RESET, CLOSE):
            return self._hang_up(abruptly=wish == RESET)
        code, _, reason = self._status.partition(" ")
        self.send_response_only(int(code), reason)
        for name, value in self._answer_headers:
            self.send_header(name, value)
        self.send_header("Date", self.date_time_string())
        self.end_headers()
        if self.command != "HEAD":
            for chunk in chunks:
                self.wfile.write(chunk)
                self.wfile.flush()
        self.wfile.flush()
        return None

    def _hang_up(self, *, abruptly: bool) -> None:
        self.close_connection = True
        if abruptly:
            linger = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.server.reset_later.add(self.connection)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing: the ledger knows the calls, and uids stay out of logs."""


class SandboxServer(ThreadingHTTPServer):
    """The listening socket. `port` is the real one, also when 0 was asked for."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 256

    def __init__(self, app: Flask, host: str, port: int) -> None:
        self.app = app
        self.host = host
        self.connections: set[socket.socket] = set()
        self.reset_later: set[socket.socket] = set()
        super().__init__((host, port), Handler)
        self.port: int = self.server_address[1]

    def server_bind(self) -> None:
        """Bind without the parent's look-up of the host's name, which can take seconds."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = self.host, self.server_address[1]

    def shutdown_request(self, request: Any) -> None:
        """Close at once where a reset is wanted: a polite shutdown would send FIN first."""
        if request in self.reset_later:
            self.reset_later.discard(request)
            request.close()
            return
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A peer that went away is everyday here."""

    def stop(self) -> None:
        """Stop listening and cut what is open."""
        self.shutdown()
        self.server_close()
        for connection in list(self.connections):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue


@dataclass(frozen=True)
class RunningSandbox:
    """A sandbox in this process. `url` is the server's root; the API is below `/v2`."""

    url: str
    sandbox: Sandbox
    app: Flask

    @property
    def api_url(self) -> str:
        return self.url + "/v2"


@contextmanager
def running_sandbox(
    *, data: Path | None = None, rate_limit: int | None = None, port: int = 0
) -> Iterator[RunningSandbox]:
    """For tests: the sandbox on a free port of loopback, in threads of this process."""
    from webapp.sandbox import create_sandbox

    app = create_sandbox(data=data, rate_limit=rate_limit)
    sandbox: Sandbox = app.extensions["sandbox"]
    server = SandboxServer(app, "127.0.0.1", port)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield RunningSandbox(f"http://127.0.0.1:{server.port}", sandbox, app)
    finally:
        sandbox.stopping.set()
        server.stop()
        thread.join(5)
        sandbox.close()
