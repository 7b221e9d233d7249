"""Whether a port is free and whether somebody answers there."""

import contextlib
import socket
import time
from http.client import HTTPConnection, HTTPException
from urllib.parse import urlsplit

ORPHAN_SECONDS = 6.0


def is_healthy(url: str) -> bool:
    """Whether a GET is answered with 200; proxies are left out of it."""
    parts = urlsplit(url)
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=5)
    try:
        connection.request("GET", parts.path or "/")
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def becomes_free(port: int) -> bool:
    """Whether the port can be had, once what an earlier run left has had time to go."""
    deadline = time.monotonic() + ORPHAN_SECONDS
    while not _is_free(port):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return True
    return False
