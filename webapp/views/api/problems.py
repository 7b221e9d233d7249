"""How the API says no: problem+json (RFC 9457), with a stable `code` for programs to act on."""

import time
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any, NamedTuple

from flask import Response, current_app
from flask_limiter import RateLimitExceeded
from redis.exceptions import RedisError
from werkzeug.exceptions import HTTPException

from webapp.extensions import db, limiter
from webapp.views import headers

MEDIA_TYPE = "application/problem+json"
DOCS = "/api/v1/docs"
LONGEST_WAIT_SECONDS = 60


class Code(StrEnum):
    """What went wrong, in a word that stays."""

    MALFORMED_REQUEST = "malformed_request"
    UNAUTHENTICATED = "unauthenticated"
    INSUFFICIENT_SCOPE = "insufficient_scope"
    NOT_FOUND = "not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    ALREADY_BOOKED = "already_booked"
    ALREADY_STARTED = "already_started"
    NOT_LIVE = "not_live"
    SERVICE_NOT_OFFERED = "service_not_offered"
    UNCHANGED = "unchanged"
    REQUEST_IN_PROGRESS = "request_in_progress"
    BODY_TOO_LARGE = "body_too_large"
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type"
    INVALID_REQUEST = "invalid_request"
    IN_PAST = "in_past"
    KEY_REUSED = "key_reused"
    TOO_MANY_REQUESTS = "too_many_requests"
    INTERNAL_ERROR = "internal_error"


class Meaning(NamedTuple):
    status: int
    title: str


MEANINGS: dict[Code, Meaning] = {
    Code.MALFORMED_REQUEST: Meaning(400, "The request can't be read."),
    Code.UNAUTHENTICATED: Meaning(401, "There is no valid token in the Authorization header."),
    Code.INSUFFICIENT_SCOPE: Meaning(403, "The token lacks a scope."),
    Code.NOT_FOUND: Meaning(404, "There is nothing here, or it is not your company's."),
    Code.METHOD_NOT_ALLOWED: Meaning(405, "This address doesn't take that method."),
    Code.ALREADY_BOOKED: Meaning(409, "The customer has this appointment already."),
    Code.ALREADY_STARTED: Meaning(409, "The appointment has begun and can't be changed any more."),
    Code.NOT_LIVE: Meaning(409, "The appointment is cancelled or over."),
    Code.SERVICE_NOT_OFFERED: Meaning(409, "The service is no longer offered."),
    Code.UNCHANGED: Meaning(409, "This is the time the appointment has already."),
    Code.REQUEST_IN_PROGRESS: Meaning(409, "A request with this key is being carried out."),
    Code.BODY_TOO_LARGE: Meaning(413, "The body is too large."),
    Code.UNSUPPORTED_MEDIA_TYPE: Meaning(415, "The body must be application/json."),
    Code.INVALID_REQUEST: Meaning(422, "Something in the request needs to be corrected."),
    Code.IN_PAST: Meaning(422, "The time has passed."),
    Code.KEY_REUSED: Meaning(422, "This key was sent before, with another request."),
    Code.TOO_MANY_REQUESTS: Meaning(429, "The token has made too many requests."),
    Code.INTERNAL_ERROR: Meaning(500, "Something went wrong on our side."),
}
_BY_STATUS = {
    400: Code.MALFORMED_REQUEST,
    401: Code.UNAUTHENTICATED,
    403: Code.INSUFFICIENT_SCOPE,
    404: Code.NOT_FOUND,
    405: Code.METHOD_NOT_ALLOWED,
    413: Code.BODY_TOO_LARGE,
    415: Code.UNSUPPORTED_MEDIA_TYPE,
    422: Code.INVALID_REQUEST,
    429: Code.TOO_MANY_REQUESTS,
}


class FieldError(NamedTuple):
    """What is wrong with one field; `field` is its path, e.g. `customer.email`."""

    field: str
    code: str
    message: str


class Problem(HTTPException):
    """Ends a request with a problem; what was written in it is rolled back."""

    def __init__(
        self,
        code: Code,
        detail: str | None = None,
        *,
        errors: Iterable[FieldError] = (),
        headers: Mapping[str, str] | None = None,
        appointment_id: int | None = None,
    ) -> None:
        super().__init__(detail)
        self.code = self.status = MEANINGS[code].status
        self.word = code
        self.detail = detail
        self.errors = list(errors)
        self.headers = dict(headers or {})
        self.appointment_id = appointment_id

    def body(self) -> dict[str, Any]:
        """The problem as JSON, without the request's id."""
        body: dict[str, Any] = {
            "type": f"{DOCS}#{self.word.value}",
            "title": MEANINGS[self.word].title,
            "status": self.status,
            "code": self.word.value,
        }
        if self.detail is not None:
            body["detail"] = self.detail
        if self.errors:
            body["errors"] = [error._asdict() for error in self.errors]
        if self.appointment_id is not None:
            body["appointment_id"] = self.appointment_id
        return body


def invalid(field: str, code: str, message: str) -> Problem:
    """One field is wrong."""
    return Problem(Code.INVALID_REQUEST, errors=[FieldError(field, code, message)])


def answer(error: HTTPException) -> Response:
    """Any error under `/api/`, as a problem."""
    db.session.rollback()
    problem = translate(error)
    return respond(problem.body(), problem.status, problem.headers)


def respond(body: dict[str, Any], status: int, more: Mapping[str, str]) -> Response:
    """A problem's answer, with the id that our logs can be searched for."""
    text = current_app.json.dumps({**body, "request_id": headers.request_id()})
    response = Response(text, status, mimetype=MEDIA_TYPE)
    response.headers.update(more)
    return response


def translate(error: HTTPException) -> Problem:
    """An error that Flask or a look-up raised, in the API's words."""
    if isinstance(error, Problem):
        return error
    status = error.code or 500
    default = Code.INTERNAL_ERROR if status >= 500 else Code.MALFORMED_REQUEST
    problem = Problem(_BY_STATUS.get(status, default))
    if isinstance(error, RateLimitExceeded):
        problem.headers["Retry-After"] = str(_seconds_to_wait())
    for name, value in error.get_headers():
        if name == "Allow":
            problem.headers[name] = value
    return problem


def _seconds_to_wait() -> int:
    """Until the limit's window ends. That window lives in real time, whatever our clock says."""
    try:
        limit = limiter.current_limit
        seconds = limit.reset_at - int(time.time()) if limit else LONGEST_WAIT_SECONDS
    except RedisError:
        seconds = LONGEST_WAIT_SECONDS
    return min(max(seconds, 1), LONGEST_WAIT_SECONDS)
