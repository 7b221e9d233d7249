"""One call over the wire, from the guard before it to the record after it."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

import httpcore
import httpx
from pydantic import SecretStr

from webapp.calcom.addresses import AddressError
from webapp.calcom.answers import Answer, protocol_error, success_data
from webapp.calcom.errors import CONNECTION, TIMEOUT, CalcomError, Unavailable
from webapp.calcom.protocol import VERSION_HEADER, Operation
from webapp.calcom.rate_limits import RateLimit, read_rate_limit
from webapp.calcom.refusals import Context, refusal
from webapp.calcom.transport import check_deadline, deadline
from webapp.calcom.untrusted import ShapeError

USER_AGENT = "Lockstep"
# 250 bookings weigh one or two megabytes.
LONGEST_BODY = 16 * 1024 * 1024

T = TypeVar("T")

_TIMEOUTS = (httpx.TimeoutException, httpcore.TimeoutException)
_NEVER_SENT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpcore.ConnectError,
    httpcore.ConnectTimeout,
    httpcore.PoolTimeout,
)
_FAILURES = (
    httpx.HTTPError,
    httpcore.TimeoutException,
    httpcore.NetworkError,
    httpcore.ProtocolError,
    AddressError,
)


@dataclass(frozen=True, slots=True)
class Call:
    """What is asked: `path_value` fills the path's blank and must not appear in any text."""

    operation: Operation
    path_value: str = ""
    query: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, object] | None = None

    @property
    def path(self) -> str:
        return self.operation.path.format(uid=self.path_value, id=self.path_value)


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRecord:
    """How a call went, for budget and breaker. Holds no key, uid or address.

    `status` is None without an answer; `error_code` is None after a success.
    """

    operation: str
    method: str
    status: int | None
    duration_seconds: float
    error_code: str | None
    rate_limit: RateLimit
    retry_after_seconds: float | None = None


class Exchange:
    """Sends calls to one base URL with one key. Used directly on a transport, without httpx's
    client: that would log every URL, uid and e-mail address included, and keep cookies.
    """

    def __init__(
        self,
        base_url: str,
        api_key: SecretStr,
        transport: httpx.BaseTransport,
        *,
        deadline_seconds: float,
        connect_timeout_seconds: float,
        before_call: Callable[[], None] | None,
        on_call: Callable[[CallRecord], None] | None,
    ) -> None:
        self._base_url = base_url
        self._api_key = api_key
        self._transport = transport
        self._deadline_seconds = deadline_seconds
        self._timeouts = httpx.Timeout(deadline_seconds, connect=connect_timeout_seconds)
        self._before_call = before_call or _nothing
        self._on_call = on_call or _nothing_of

    def perform(self, call: Call, read: Callable[[object], T]) -> T:
        """Asks and reads the data of the answer; raises CalcomError and what `before_call` raises.

        `before_call` runs first and may refuse; `on_call` runs last, after failures too.
        """
        self._before_call()
        trace = _Trace(call.operation)
        try:
            found = self._attempt(call, read, trace)
        except CalcomError as error:
            self._on_call(trace.record(error))
            raise
        self._on_call(trace.record())
        return found

    def close(self) -> None:
        self._transport.close()

    def _attempt(self, call: Call, read: Callable[[object], T], trace: "_Trace") -> T:
        answer = self._send(call)
        trace.answer = answer
        if not 200 <= answer.status < 300:
            raise refusal(answer, self._context(call))
        data = success_data(answer)
        try:
            return read(data)
        except ShapeError as problem:
            raise protocol_error(str(problem), answer.status) from None

    def _send(self, call: Call) -> Answer:
        try:
            with deadline(self._deadline_seconds):
                return _receive(self._transport.handle_request(self._request(call)))
        except _FAILURES as error:
            # Without its cause, which would carry the request and so the key into a traceback.
            raise _unavailable(error) from None

    def _request(self, call: Call) -> httpx.Request:
        return httpx.Request(
            call.operation.method,
            self._base_url + call.path,
            params=call.query or None,
            headers=self._headers(call),
            content=None if call.body is None else _encoded(call.body),
            extensions={"timeout": self._timeouts.as_dict()},
        )

    def _headers(self, call: Call) -> dict[str, str]:
        headers = {
            "Authorization": f"Bearer {self._api_key.get_secret_value()}",
            "Accept": "application/json",
            "Accept-Encoding": "gzip",
            "User-Agent": USER_AGENT,
        }
        if call.body is not None:
            headers["Content-Type"] = "application/json"
        if call.operation.version is not None:
            headers[VERSION_HEADER] = call.operation.version
        return headers

    def _context(self, call: Call) -> Context:
        secrets = (self._api_key.get_secret_value(),)
        return Context(call.operation.name, call.path_value or None, secrets)


class _Trace:
    """What is known of a call while it runs."""

    def __init__(self, operation: Operation) -> None:
        self.operation = operation
        self.started_at = time.monotonic()
        self.answer: Answer | None = None

    def record(self, error: CalcomError | None = None) -> CallRecord:
        answer = self.answer
        return CallRecord(
            operation=self.operation.name,
            method=self.operation.method,
            status=answer.status if answer else None,
            duration_seconds=time.monotonic() - self.started_at,
            error_code=error.code if error else None,
            rate_limit=read_rate_limit(answer.headers) if answer else RateLimit(),
            retry_after_seconds=getattr(error, "retry_after_seconds", None),
        )


def _encoded(body: Mapping[str, object]) -> bytes:
    """ASCII with escapes, so that even half a surrogate pair in a name can be sent."""
    return json.dumps(body, allow_nan=False).encode("ascii")


def _receive(response: httpx.Response) -> Answer:
    """Reads at most `LONGEST_BODY` bytes of the unpacked body."""
    try:
        _check_encoding(response)
        body = bytearray()
        for piece in response.iter_bytes():
            check_deadline()
            body += piece
            if len(body) > LONGEST_BODY:
                return Answer(response.status_code, response.headers, b"", is_cut=True)
        return Answer(response.status_code, response.headers, bytes(body))
    finally:
        response.close()


def _check_encoding(response: httpx.Response) -> None:
    """Packed twice, 64 kB unpack to 64 GB before any cap could see it."""
    encoding = response.headers.get("content-encoding", "").strip().lower()
    if encoding not in ("", "identity", "gzip"):
        raise httpx.DecodingError("an encoding that wasn't asked for")


def _unavailable(error: Exception) -> Unavailable:
    sent = not isinstance(error, (AddressError, *_NEVER_SENT))
    if isinstance(error, AddressError):
        return Unavailable(CONNECTION, f"Cal.com can't be called: {error}", sent=sent)
    if isinstance(error, _TIMEOUTS):
        return Unavailable(TIMEOUT, "Cal.com didn't answer in time", sent=sent)
    message = f"The connection to Cal.com failed ({type(error).__name__})"
    return Unavailable(CONNECTION, message, sent=sent)


def _nothing() -> None:
    return None


def _nothing_of(_: CallRecord) -> None:
    return None
