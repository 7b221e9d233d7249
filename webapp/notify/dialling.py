"""Who is dialled where a library of others makes the connection: a judged address only.

apprise posts through requests, which looks the name up itself: a name that changes after it was
judged would lead into a private network. urllib3 opens every connection in one function; inside
`judged_dialling` that one resolves, judges and dials in one step, as `calcom.transport` does.
"""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from urllib3.util import connection

from webapp.calcom.addresses import AddressError, public_addresses

_is_judged: ContextVar[bool] = ContextVar("dialling_is_judged", default=False)
_dial = connection.create_connection


@contextmanager
def judged_dialling(*, allow_private: bool) -> Iterator[None]:
    """Connections of this thread that urllib3 makes go to public addresses only; others fail with
    an OSError. With `allow_private` they go anywhere."""
    token = _is_judged.set(not allow_private)
    try:
        yield
    finally:
        _is_judged.reset(token)


def _dial_judged(address: tuple[str, int], *args: Any, **kwargs: Any) -> socket.socket:
    if not _is_judged.get():
        return _dial(address, *args, **kwargs)
    host, port = address
    try:
        found = public_addresses(host.strip("[]"), port, allow_private=False)
    except AddressError as error:
        raise OSError(str(error)) from None
    failure = OSError("no address")
    for each in found:
        try:
            return _dial((each, port), *args, **kwargs)
        except OSError as error:
            failure = error
    raise failure


connection.create_connection = _dial_judged
