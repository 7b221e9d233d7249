"""What each answer to a push means (S3.5): retry, wait, stop the company, or give up."""

import pytest

from webapp.calcom.errors import (
    AlreadyCancelled,
    AlreadyEnded,
    BudgetSpent,
    CalcomError,
    CircuitOpen,
    Conflict,
    NotFound,
    ProtocolError,
    RateLimited,
    Rejected,
    SlotUnavailable,
    Unauthorised,
    Unavailable,
)
from webapp.sync.answers import Decision, Pauses, Verdict, decide

PAUSES = Pauses(loud=(1, 5, 30), quiet=(60, 300, 900), reconnect=120, proof=15)
UNKNOWN_OUTCOMES = ("TIMEOUT", "CONNECTION", "HTTP_500", "HTTP_502")
FINAL: tuple[CalcomError, ...] = (
    Conflict("in the way"),
    SlotUnavailable("SLOT_UNAVAILABLE", "taken", 400),
    AlreadyCancelled("HTTP_400", "gone", 400),
    AlreadyEnded("HTTP_400", "over", 400),
    NotFound("HTTP_404", "unknown", 404),
    Rejected("HTTP_422", "no hosts", 422),
    Rejected("NO_EVENT_TYPE", "nothing to book"),
    ProtocolError("PROTOCOL", "another version"),
)


@pytest.mark.parametrize("code", UNKNOWN_OUTCOMES)
def test_an_unknown_outcome_is_retried_loudly_then_behind_the_flag_then_given_up(code: str) -> None:
    decisions = [decide(Unavailable(code, "?"), number, PAUSES) for number in range(1, 8)]

    assert decisions == [
        Decision(Verdict.RETRY, code, 1),
        Decision(Verdict.RETRY, code, 5),
        Decision(Verdict.RETRY, code, 30),
        Decision(Verdict.FLAGGED_RETRY, code, 60),
        Decision(Verdict.FLAGGED_RETRY, code, 300),
        Decision(Verdict.FLAGGED_RETRY, code, 900),
        Decision(Verdict.FINAL, code),
    ]


@pytest.mark.parametrize("error", FINAL, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("attempt", [1, 4])
def test_a_refusal_is_final_at_once(error: CalcomError, attempt: int) -> None:
    assert decide(error, attempt, PAUSES) == Decision(Verdict.FINAL, error.code)


@pytest.mark.parametrize("error", [RateLimited(20), BudgetSpent(20), CircuitOpen(20)])
@pytest.mark.parametrize("attempt", [1, 4, 9])
def test_what_was_not_done_waits_however_often(error: CalcomError, attempt: int) -> None:
    assert decide(error, attempt, PAUSES) == Decision(Verdict.WAIT, error.code, 20)


@pytest.mark.parametrize("status", [401, 403, 498])
def test_a_refused_key_stops_the_company_unless_it_was_taken_just_now(status: int) -> None:
    refusal = Unauthorised("UNAUTHORIZED", "no", status)

    assert decide(refusal, 1, PAUSES) == Decision(Verdict.DISCONNECT, "UNAUTHORIZED", 120)
    assert decide(refusal, 1, PAUSES, key_works=True) == Decision(Verdict.FINAL, f"HTTP_{status}")
