"""Connections whose every wait ends at one deadline per call, dialling judged addresses only.

httpx bounds each read, not their sum: an answer that drips a byte a second outlives any timeout.
So each wait on the network (name, connect, handshake, write, read) is given what the call has left.
Plain blocking sockets: works in any thread, in forked children, and ends on a signal's exception.
"""

import socket
import ssl
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from math import inf
from typing import Any

import httpcore
import httpx

from webapp.calcom.addresses import public_addresses

_ends_at: ContextVar[float] = ContextVar("calcom_call_ends_at", default=inf)


@contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """Everything that the transport does inside ends within `seconds`, or raises a timeout."""
    token = _ends_at.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _ends_at.reset(token)


def check_deadline() -> None:
    """Raises httpcore.ReadTimeout once the call's time is up."""
    _time_left(None, httpcore.ReadTimeout)


class DeadlineTransport(httpx.BaseTransport):
    """httpcore's connection pool over `DeadlineBackend`; raises httpcore's exceptions."""

    def __init__(self, *, allow_private: bool) -> None:
        self._pool = httpcore.ConnectionPool(
            ssl_context=_ssl_context(),
            max_connections=10,
            keepalive_expiry=5.0,
            network_backend=DeadlineBackend(allow_private=allow_private),
        )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Sends the request; the body comes as it is read."""
        answer = self._pool.handle_request(_core_request(request))
        return httpx.Response(
            answer.status,
            headers=answer.headers,
            stream=_Body(answer),
            extensions=answer.extensions,
        )

    def close(self) -> None:
        self._pool.close()


class DeadlineBackend(httpcore.NetworkBackend):
    """Resolves, judges and dials in one step, so that no second look-up can name another host."""

    def __init__(self, *, allow_private: bool) -> None:
        self._allow_private = allow_private
        self._dialler = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        """Tries the host's addresses in order; raises AddressError for a private one."""
        failure: Exception = httpcore.ConnectError("no address")
        for address in self._addresses(host, port, timeout):
            left = _time_left(timeout, httpcore.ConnectTimeout)
            try:
                stream = self._dialler.connect_tcp(
                    address, port, left, local_address, socket_options or ()
                )
                return DeadlineStream(stream)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure

    def _addresses(self, host: str, port: int, timeout: float | None) -> tuple[str, ...]:
        left = _time_left(timeout, httpcore.ConnectTimeout)
        try:
            return public_addresses(
                host, port, allow_private=self._allow_private, timeout_seconds=left
            )
        except TimeoutError as error:
            raise httpcore.ConnectTimeout(str(error)) from None
        except OSError as error:
            raise httpcore.ConnectError(str(error)) from None


class DeadlineStream(httpcore.NetworkStream):
    """A connection that reads and writes only as long as the current call has time."""

    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _time_left(timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Not the inner stream's loop, which would grant the timeout to each piece anew."""
        sock: socket.socket = self._stream.get_extra_info("socket")
        while buffer:
            sock.settimeout(_time_left(timeout, httpcore.WriteTimeout))
            try:
                buffer = buffer[sock.send(buffer) :]
            except TimeoutError as error:
                raise httpcore.WriteTimeout(str(error)) from None
            except OSError as error:
                raise httpcore.WriteError(str(error)) from None

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        left = _time_left(timeout, httpcore.ConnectTimeout)
        return DeadlineStream(self._stream.start_tls(ssl_context, server_hostname, left))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class _Body(httpx.SyncByteStream):
    def __init__(self, answer: httpcore.Response) -> None:
        self._answer = answer

    def __iter__(self) -> Iterator[bytes]:
        yield from self._answer.iter_stream()

    def close(self) -> None:
        self._answer.close()


def _core_request(request: httpx.Request) -> httpcore.Request:
    url = request.url
    return httpcore.Request(
        request.method,
        httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
        headers=request.headers.raw,
        content=request.read(),
        extensions=request.extensions,
    )


def _time_left(timeout: float | None, too_late: type[httpcore.TimeoutException]) -> float:
    left = min(_ends_at.get() - time.monotonic(), inf if timeout is None else timeout)
    if left <= 0:
        raise too_late("the call's time is up")
    return left


@lru_cache(maxsize=1)
def _ssl_context() -> ssl.SSLContext:
    """Reading the certificates takes 20 ms: once per process."""
    return httpx.create_ssl_context()
