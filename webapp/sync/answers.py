"""What an answer to a push means (S3.5): retry, wait without using up an attempt, or give up.

Pure: an error, the number of the attempt, the pauses; out comes a decision.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from webapp.calcom.errors import (
    CalcomError,
    Postponed,
    Unauthorised,
    Unavailable,
    http_code,
)

NO_EVENT_TYPE = "NO_EVENT_TYPE"
LISTING_LAGS = "LISTING_LAGS"
"""Nothing is wrong: what an earlier try may have made can't be seen yet."""
SLOT_LEAVING = "SLOT_LEAVING"
"""The time is taken by another of ours, whose cancellation or move is on its way."""


class Verdict(StrEnum):
    """RETRY uses up an attempt, WAIT does not; the FLAGGED_ ones go on quietly behind the flag."""

    RETRY = "retry"
    FLAGGED_RETRY = "flagged_retry"
    WAIT = "wait"
    FLAGGED_WAIT = "flagged_wait"
    DISCONNECT = "disconnect"
    FINAL = "final"


@dataclass(frozen=True, slots=True)
class Decision:
    """`pause_seconds` until the next try; 0 where there is none."""

    verdict: Verdict
    code: str
    pause_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Pauses:
    """The pauses of a push, in seconds: before its retries, after the flag, before a refused key is
    tried again, and before what was written is proven to exist."""

    loud: Sequence[float]
    quiet: Sequence[float]
    reconnect: float
    proof: float


def decide(
    error: CalcomError, attempt_number: int, pauses: Pauses, *, key_works: bool = False
) -> Decision:
    """What to do after try number `attempt_number` (from 1) ended with this error.

    `key_works`: `/me` took the key just before, so what was refused is this one change.
    """
    match error:
        case Postponed():
            return Decision(Verdict.WAIT, error.code, error.retry_after_seconds)
        case Unauthorised(status=int(status)) if key_works:
            return Decision(Verdict.FINAL, http_code(status))
        case Unauthorised():
            return Decision(Verdict.DISCONNECT, error.code, pauses.reconnect)
        case Unavailable():
            return _after_silence(error.code, attempt_number, pauses)
    return Decision(Verdict.FINAL, error.code)


def _after_silence(code: str, attempt_number: int, pauses: Pauses) -> Decision:
    if attempt_number <= len(pauses.loud):
        return Decision(Verdict.RETRY, code, pauses.loud[attempt_number - 1])
    quiet_number = attempt_number - len(pauses.loud)
    if quiet_number <= len(pauses.quiet):
        return Decision(Verdict.FLAGGED_RETRY, code, pauses.quiet[quiet_number - 1])
    return Decision(Verdict.FINAL, code)
