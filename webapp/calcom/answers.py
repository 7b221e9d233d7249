"""One answer of Cal.com, and the way into it: the data of a success, the words of a refusal."""

from collections.abc import Mapping
from dataclasses import dataclass

from webapp.calcom import untrusted
from webapp.calcom.errors import CONNECTION, PROTOCOL, CalcomError, ProtocolError, Unavailable
from webapp.calcom.untrusted import ShapeError

FOREIGN_ANSWER = "Something other than Cal.com answered; check the address if this lasts"


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, headers (case ignored) and the body; `is_cut` where it was longer than we read."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    is_cut: bool = False


@dataclass(frozen=True, slots=True)
class Problem:
    """What an error body says; `is_calcoms` is False for a proxy's page, an empty body, others."""

    code: str = ""
    message: str = ""
    is_calcoms: bool = False


def success_data(answer: Answer) -> object:
    """The `data` of a 2xx answer; raises Unavailable for HTML, ProtocolError for another shape."""
    if is_html(answer):
        raise Unavailable(CONNECTION, FOREIGN_ANSWER, answer.status)
    if answer.is_cut:
        raise protocol_error("longer than we read", answer.status)
    try:
        envelope = untrusted.mapping(untrusted.parse_json(answer.body))
    except ShapeError as problem:
        raise protocol_error(str(problem), answer.status) from None
    if envelope.get("status") != "success" or envelope.get("data") is None:
        raise protocol_error("no success envelope", answer.status)
    return envelope["data"]


def read_problem(answer: Answer) -> Problem:
    """Both error shapes: `{"status":"error","error":{…}}` and `{"statusCode":…,"message":…}`."""
    try:
        body = untrusted.mapping(untrusted.parse_json(answer.body))
    except ShapeError:
        return Problem()
    error = body.get("error")
    if isinstance(error, dict):
        code = untrusted.line(error.get("code"), 100)
        return Problem(code, _words(error.get("message")), is_calcoms=True)
    is_second_shape = isinstance(body.get("statusCode"), int)
    return Problem("", _words(body.get("message")), is_calcoms=is_second_shape)


def protocol_error(what: str, status: int | None) -> CalcomError:
    """The error of an answer whose shape we don't know; `what` is in our words."""
    message = f"Cal.com's answer has an unknown shape ({what}): perhaps another API version"
    return ProtocolError(PROTOCOL, message, status)


def is_html(answer: Answer) -> bool:
    """Whether a page came instead of JSON, whatever the header claims."""
    declared = answer.headers.get("content-type", "").lower()
    return "html" in declared or answer.body.lstrip()[:1] == b"<"


def _words(message: object) -> str:
    """Validation errors come as a list of sentences."""
    parts = message if isinstance(message, list) else [message]
    return "; ".join(untrusted.line(each) for each in parts[:5] if isinstance(each, str))
