"""How the application asks the server to break a connection or to drip an answer.

WSGI has no words for it, so they are said in a header that never leaves the house.
"""

import math
import threading
from collections.abc import Iterator

from flask import Response

HEADER = "X-Sandbox-Connection"
RESET = "reset"
CLOSE = "close"
DRIPS = 20


def reset_connection() -> Response:
    """The peer sees a reset (RST) and no answer."""
    return Response(status=502, headers={HEADER: RESET})


def close_after_holding(seconds: float, stopping: threading.Event) -> Response:
    """No answer for so long, then the end of the connection."""
    stopping.wait(seconds)
    return Response(status=504, headers={HEADER: CLOSE})


def drip(response: Response, seconds: float, stopping: threading.Event) -> Response:
    """The same answer, spread over so many seconds: any read timeout is outlived."""
    body = response.get_data()
    size = max(1, math.ceil(len(body) / DRIPS))

    def pieces() -> Iterator[bytes]:
        for first in range(0, len(body), size):
            yield body[first : first + size]
            stopping.wait(seconds / DRIPS)

    response.response = pieces()
    response.headers["Content-Length"] = str(len(body))
    return response
