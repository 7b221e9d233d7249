"""What can go wrong when we speak with Cal.com, and what each failure means for the caller.

CalcomError                  code, message (safe for people and logs), status, detail
├── Unavailable              outcome unknown: look, then retry   TIMEOUT, CONNECTION, HTTP_5xx
├── Postponed                nothing was done: wait, no attempt is used
│   ├── RateLimited          429: everything on the key waits    RATE_LIMITED
│   │   └── BudgetSpent      not sent: our own budget is spent   RATE_LIMITED
│   └── CircuitOpen          not sent: the breaker is open       CIRCUIT_OPEN
├── Unauthorised             401, 403, 498: stop the company     UNAUTHORIZED
├── Rejected                 final                               HTTP_<status>
│   ├── Conflict             409, or rescheduled to a successor  HTTP_409
│   ├── AlreadyCancelled     the booking is cancelled already    HTTP_400
│   ├── AlreadyEnded         too late to cancel                  HTTP_400
│   ├── SlotUnavailable      taken, past, too soon, too far      SLOT_UNAVAILABLE
│   └── NotFound             event type or booking unknown       HTTP_404
└── ProtocolError            shape of another version            PROTOCOL

A message never holds keys, tokens, uids or what a stranger wrote; it is English and ours. `detail`
is Cal.com's own text, cut short and stripped of secrets: for an admin's eyes, not for logs.
"""

TIMEOUT = "TIMEOUT"
CONNECTION = "CONNECTION"
RATE_LIMITED = "RATE_LIMITED"
CIRCUIT_OPEN = "CIRCUIT_OPEN"
UNAUTHORIZED = "UNAUTHORIZED"
SLOT_UNAVAILABLE = "SLOT_UNAVAILABLE"
PROTOCOL = "PROTOCOL"


def http_code(status: int) -> str:
    """The error code of an HTTP status: `HTTP_503`."""
    return f"HTTP_{status}"


class CalcomError(Exception):
    """Root of the tree; `str()` of it is the message alone."""

    def __init__(
        self, code: str, message: str, status: int | None = None, *, detail: str = ""
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status
        self.detail = detail

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.code!r}, status={self.status!r})"


class Unavailable(CalcomError):
    """No answer, or none that came from Cal.com: what we asked for may have happened.

    `sent` is False only where it is certain that the request never left this machine
    (name not resolved, connection refused); then repeating it is safe without a look.
    """

    def __init__(
        self,
        code: str,
        message: str,
        status: int | None = None,
        *,
        detail: str = "",
        sent: bool = True,
    ) -> None:
        super().__init__(code, message, status, detail=detail)
        self.sent = sent


class Postponed(CalcomError):
    """Nothing was done, and no attempt is used up: go on after `retry_after_seconds`."""

    def __init__(
        self,
        code: str,
        message: str,
        status: int | None = None,
        *,
        retry_after_seconds: float,
        detail: str = "",
    ) -> None:
        super().__init__(code, message, status, detail=detail)
        self.retry_after_seconds = retry_after_seconds


class RateLimited(Postponed):
    """429: nothing was done; everything on this key waits for `retry_after_seconds`."""

    def __init__(self, retry_after_seconds: float, *, detail: str = "") -> None:
        message = f"Cal.com asks us to wait {retry_after_seconds:.0f} seconds"
        super().__init__(
            RATE_LIMITED, message, 429, retry_after_seconds=retry_after_seconds, detail=detail
        )


class BudgetSpent(RateLimited):
    """Nothing was sent: we keep below Cal.com's limit ourselves, or wait for its reset."""

    def __init__(self, retry_after_seconds: float) -> None:
        message = f"The API key's calls are used up for {retry_after_seconds:.0f} seconds"
        Postponed.__init__(self, RATE_LIMITED, message, retry_after_seconds=retry_after_seconds)


class CircuitOpen(Postponed):
    """Nothing was sent: Cal.com failed several times in a row, so it is left alone for a while."""

    def __init__(self, retry_after_seconds: float) -> None:
        message = f"Cal.com failed repeatedly; the next try is in {retry_after_seconds:.0f} seconds"
        super().__init__(CIRCUIT_OPEN, message, retry_after_seconds=retry_after_seconds)


class Unauthorised(CalcomError):
    """Cal.com refuses the key: a person has to act before anything else goes out."""


class Rejected(CalcomError):
    """A final no: repeating the same request can't help."""


class Conflict(Rejected):
    """Something is in the way, perhaps our own booking: look.

    `successor_uid` is set where Cal.com named the booking that this one was rescheduled to.
    """

    def __init__(
        self,
        message: str,
        status: int | None = 409,
        *,
        detail: str = "",
        successor_uid: str | None = None,
    ) -> None:
        super().__init__(http_code(409), message, status, detail=detail)
        self.successor_uid = successor_uid


class AlreadyCancelled(Rejected):
    """The booking is cancelled already: for a cancel success, once a GET shows no successor."""


class AlreadyEnded(Rejected):
    """The booking is over and can't be cancelled any more."""


class SlotUnavailable(Rejected):
    """The time is taken, past, too soon or too far away."""


class NotFound(Rejected):
    """Cal.com itself says that it doesn't know the booking or event type.

    Said of a uid that was known once it is suspicious, not a cancellation.
    """


class ProtocolError(CalcomError):
    """The answer has the shape of another version, or none that we know.

    After a write what we asked for may well have happened.
    """
