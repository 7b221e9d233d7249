"""What a refusal means: HTTP status first, `error.code` second, the text last."""

import re
from collections.abc import Iterable
from typing import NamedTuple

from webapp.calcom import protocol
from webapp.calcom.answers import FOREIGN_ANSWER, Answer, Problem, protocol_error, read_problem
from webapp.calcom.errors import (
    CONNECTION,
    SLOT_UNAVAILABLE,
    TIMEOUT,
    UNAUTHORIZED,
    AlreadyCancelled,
    AlreadyEnded,
    CalcomError,
    Conflict,
    NotFound,
    RateLimited,
    Rejected,
    SlotUnavailable,
    Unauthorised,
    Unavailable,
    http_code,
)
from webapp.calcom.rate_limits import read_wait_seconds
from webapp.calcom.redaction import redact_detail

# 498: an expired token.
_UNAUTHORISED = frozenset({401, 403, 498})
_TAKES_A_SLOT = frozenset({protocol.CREATE_BOOKING.name, protocol.RESCHEDULE_BOOKING.name})
_NEEDS_A_LIVE_BOOKING = frozenset({protocol.RESCHEDULE_BOOKING.name, protocol.CANCEL_BOOKING.name})

_SUCCESSOR = re.compile(
    r"already\b.{0,80}?\b(?:re)?scheduled.{0,80}?\bto\b.{0,40}?\buid\s*[=:]\s*([\w-]{1,100})"
    r"|rescheduled already.{0,40}?\bto\b.{0,40}?\buid\s*[=:]\s*([\w-]{1,100})",
    re.IGNORECASE,
)
_CANCELLED = re.compile(
    r"already (been )?cancell?ed|cancell?ed already|(has|have) been cancell?ed|(is|was) cancell?ed"
)
_ENDED = re.compile(r"(already|has) (ended|finished)|ended already|already (over|past)|in the past")
_SLOT = re.compile(
    r"already has (a )?booking|no available users|already booked"
    r"|\b(user|host|slot|time)\b.{0,80}\b(not available|unavailable|taken)"
    r"|in the past|too (soon|late|early|far)|out of (bounds|range)|minimum (booking )?notice"
)
# Express says this of a path that doesn't exist: a wrong base address or version, never an absence.
_NO_ROUTE = re.compile(r"cannot (get|post|patch|put|delete) /")


class Context(NamedTuple):
    """What was asked: the operation, the uid it was about, texts that no detail may repeat."""

    operation: str
    uid: str | None = None
    secrets: tuple[str, ...] = ()


def refusal(answer: Answer, context: Context) -> CalcomError:
    """The error that an answer outside 2xx stands for."""
    problem = read_problem(answer)
    detail = redact_detail(problem.message or problem.code, secrets=_secrets(context))
    if answer.status == 429:
        return RateLimited(read_wait_seconds(answer.headers), detail=detail)
    if answer.status in _UNAUTHORISED:
        message = f"Cal.com refuses the API key (HTTP {answer.status})"
        return Unauthorised(UNAUTHORIZED, message, answer.status, detail=detail)
    if answer.status >= 500 or answer.status == 408:
        return _unavailable(answer.status, detail)
    if answer.status < 400:
        return protocol_error(f"HTTP {answer.status}", answer.status)
    if not problem.is_calcoms:
        return Unavailable(CONNECTION, FOREIGN_ANSWER, answer.status)
    return _rejection(answer.status, problem, context, detail)


def _unavailable(status: int, detail: str) -> Unavailable:
    code = TIMEOUT if status == 408 else http_code(status)
    return Unavailable(code, f"Cal.com is in trouble (HTTP {status})", status, detail=detail)


def _rejection(status: int, problem: Problem, context: Context, detail: str) -> CalcomError:
    if status == 404:
        return _not_found(problem, detail)
    if status == 409:
        return Conflict("Cal.com sees a conflict with what exists there", detail=detail)
    if status == 400:
        return _bad_request(problem, context, detail)
    return _plain(status, detail)


def _not_found(problem: Problem, detail: str) -> CalcomError:
    if _NO_ROUTE.search(problem.message.lower()):
        return protocol_error("no such endpoint", 404)
    return NotFound(http_code(404), "Cal.com doesn't know it", 404, detail=detail)


def _bad_request(problem: Problem, context: Context, detail: str) -> Rejected:
    words = f"{problem.code} {problem.message}"
    successor = _successor(words, context)
    if successor is not None:
        message = "The booking was rescheduled on Cal.com before"
        return Conflict(message, 400, detail=detail, successor_uid=successor)
    return _by_words(words.lower().replace("_", " "), context.operation, detail)


def _by_words(words: str, operation: str, detail: str) -> Rejected:
    code = http_code(400)
    if operation == protocol.CANCEL_BOOKING.name and _ENDED.search(words):
        return AlreadyEnded(code, "The booking is over already", 400, detail=detail)
    if operation in _NEEDS_A_LIVE_BOOKING and _CANCELLED.search(words):
        return AlreadyCancelled(code, "The booking is cancelled already", 400, detail=detail)
    if operation in _TAKES_A_SLOT and _SLOT.search(words):
        message = "Cal.com can't give this time: taken, past, too soon or too far away"
        return SlotUnavailable(SLOT_UNAVAILABLE, message, 400, detail=detail)
    return _plain(400, detail)


def _plain(status: int, detail: str) -> Rejected:
    return Rejected(http_code(status), f"Cal.com refused (HTTP {status})", status, detail=detail)


def _successor(words: str, context: Context) -> str | None:
    if context.operation not in _NEEDS_A_LIVE_BOOKING:
        return None
    found = _SUCCESSOR.search(words)
    named = (found[1] or found[2]) if found else None
    return None if named == context.uid else named


def _secrets(context: Context) -> Iterable[str]:
    return (*context.secrets, context.uid or "")
