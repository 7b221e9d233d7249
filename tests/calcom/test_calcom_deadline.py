"""A call ends in time, however the other side behaves; real sockets, short deadlines."""

import gzip
import os
import socket
import threading
import time
from collections.abc import Callable

import httpx
import pytest
from calcom_examples import KEY, drip, misbehaving_server

from webapp.calcom import exchange
from webapp.calcom.client import CalcomClient
from webapp.calcom.errors import CalcomError, ProtocolError, Unavailable

DEADLINE = 0.4
OK = b'{"status":"success","data":{"id":7}}'


def calling(port: int, *, scheme: str = "http", deadline: float = DEADLINE) -> CalcomClient:
    return CalcomClient(
        f"{scheme}://127.0.0.1:{port}",
        KEY,
        deadline_seconds=deadline,
        connect_timeout_seconds=5,
        allow_private_networks=True,
    )


def hears(connection: socket.socket) -> None:
    received = b""
    while b"\r\n\r\n" not in received:
        received += connection.recv(65536) or b"\r\n\r\n"


def silent(connection: socket.socket) -> None:
    hears(connection)
    time.sleep(10)


def drips_its_status_line(connection: socket.socket) -> None:
    hears(connection)
    drip(connection, b"HTTP/1.1 2")


def drips_a_header(connection: socket.socket) -> None:
    hears(connection)
    drip(connection, b"HTTP/1.1 200 OK\r\nX-Slow: ")


def drips_its_body(connection: socket.socket) -> None:
    hears(connection)
    drip(connection, b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n", filler=b" ")


def drips_chunks(connection: socket.socket) -> None:
    hears(connection)
    drip(connection, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", filler=b"1\r\na\r\n")


@pytest.mark.parametrize(
    "behaviour", [silent, drips_its_status_line, drips_a_header, drips_its_body, drips_chunks]
)
def test_a_dripping_answer_ends_at_the_total_deadline(
    behaviour: Callable[[socket.socket], None],
) -> None:
    with misbehaving_server(behaviour) as port, calling(port) as client:
        started = time.monotonic()
        with pytest.raises(Unavailable) as caught:
            client.me()
        took = time.monotonic() - started
    assert (caught.value.code, caught.value.sent) == ("TIMEOUT", True)
    assert DEADLINE <= took < DEADLINE + 0.5


@pytest.mark.parametrize("start", [b"", b"\x16\x03\x03\x40\x00"])
def test_a_handshake_that_never_ends_ends_at_the_deadline_and_nothing_was_sent(
    start: bytes,
) -> None:
    def stalls(connection: socket.socket) -> None:
        drip(connection, start) if start else time.sleep(10)

    with misbehaving_server(stalls) as port, calling(port, scheme="https") as client:
        started = time.monotonic()
        with pytest.raises(Unavailable) as caught:
            client.me()
        took = time.monotonic() - started
    assert (caught.value.code, caught.value.sent) == ("TIMEOUT", False)
    assert took < DEADLINE + 0.5


def test_a_request_that_is_read_too_slowly_ends_at_the_deadline() -> None:
    def reads_slowly(connection: socket.socket) -> None:
        while connection.recv(262_144):
            time.sleep(0.02)

    with misbehaving_server(reads_slowly) as port, calling(port) as client:
        started = time.monotonic()
        with pytest.raises(Unavailable) as caught:
            client.create_webhook("https://us.example", ["x" * 40_000_000], "hush")
        took = time.monotonic() - started
    assert (caught.value.code, caught.value.sent) == ("TIMEOUT", True)
    assert took < DEADLINE + 1


def test_a_name_server_that_stays_silent_ends_at_the_deadline(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: time.sleep(3) or [])
    client = CalcomClient("https://slow.example", KEY, deadline_seconds=0.2)
    started = time.monotonic()
    with client, pytest.raises(Unavailable) as caught:
        client.me()
    assert (caught.value.code, caught.value.sent) == ("TIMEOUT", False)
    assert time.monotonic() - started < 1


def test_a_refused_connection_was_never_sent() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with calling(port) as client, pytest.raises(Unavailable) as caught:
        client.me()
    assert (caught.value.code, caught.value.sent) == ("CONNECTION", False)


def test_a_connection_reset_after_the_request_is_an_unknown_outcome() -> None:
    with (
        misbehaving_server(hears) as port,
        calling(port) as client,
        pytest.raises(Unavailable) as caught,
    ):
        client.me()
    assert (caught.value.code, caught.value.sent) == ("CONNECTION", True)


def answering(payload: bytes, headers: bytes = b"") -> Callable[[socket.socket], None]:
    length = str(len(payload)).encode()

    def answers(connection: socket.socket) -> None:
        for _ in range(10):
            hears(connection)
            head = b"HTTP/1.1 200 OK\r\nContent-Length: " + length + b"\r\n" + headers + b"\r\n"
            connection.sendall(head + payload)

    return answers


def test_a_packed_answer_is_unpacked() -> None:
    behaviour = answering(gzip.compress(OK), b"Content-Encoding: gzip\r\n")
    with misbehaving_server(behaviour) as port, calling(port) as client:
        assert client.me().id == 7


def test_an_answer_beyond_the_cap_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "LONGEST_BODY", 100_000)
    bomb = answering(gzip.compress(b" " * 5_000_000), b"Content-Encoding: gzip\r\n")
    with (
        misbehaving_server(bomb) as port,
        calling(port, deadline=5) as client,
        pytest.raises(ProtocolError, match="longer"),
    ):
        client.me()


@pytest.mark.parametrize("encoding", [b"gzip, gzip", b"deflate", b"br"])
def test_an_encoding_that_was_not_asked_for_is_not_unpacked(encoding: bytes) -> None:
    behaviour = answering(OK, b"Content-Encoding: " + encoding + b"\r\n")
    with (
        misbehaving_server(behaviour) as port,
        calling(port) as client,
        pytest.raises(Unavailable),
    ):
        client.me()


def test_a_redirect_is_not_followed() -> None:
    seen: list[int] = []

    def redirects(connection: socket.socket) -> None:
        seen.append(1)
        hears(connection)
        connection.sendall(
            b"HTTP/1.1 307 Moved\r\nLocation: /v2/elsewhere\r\nContent-Length: 0\r\n\r\n"
        )

    with (
        misbehaving_server(redirects) as port,
        calling(port) as client,
        pytest.raises(ProtocolError),
    ):
        client.me()
    assert seen == [1]


def test_one_client_serves_several_threads_and_one_slow_call_delays_no_other() -> None:
    def slow_webhooks(connection: socket.socket) -> None:
        if b"/webhooks" in connection.recv(65536):
            time.sleep(10)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(OK) + OK)

    outcomes: list[object] = []

    def ask(call: Callable[[], object]) -> None:
        started = time.monotonic()
        try:
            call()
            outcomes.append(time.monotonic() - started < DEADLINE)
        except CalcomError as error:
            outcomes.append(error.code)

    with misbehaving_server(slow_webhooks) as port, calling(port) as client:
        calls = [client.me, client.list_webhooks, client.me, client.me]
        threads = [threading.Thread(target=ask, args=(each,)) for each in calls]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(5)
    assert outcomes == [True, True, True, "TIMEOUT"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_client_made_in_a_forked_child_works() -> None:
    with misbehaving_server(answering(OK)) as port:
        child = os.fork()
        if child == 0:
            code = 1
            try:
                with calling(port, deadline=5) as client:
                    code = 0 if client.me().id == 7 else 2
            finally:
                os._exit(code)
        _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0


def test_another_transport_can_stand_in_for_the_network() -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(200, content=OK))
    with CalcomClient("https://api.cal.com/v2", KEY, transport=transport) as client:
        assert client.me().id == 7
