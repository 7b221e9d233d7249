"""Every operation × every fault × the first, the second and the last loud attempt × a worker that
lives, or is killed at a named point of just that attempt.

A row says what is seen right after the fault struck (and, where the worker died, right after it was
taken over), what the timeline then holds, and how it ends when Cal.com is well again, time has
passed, a run has looked, and a person has clicked once.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum, auto
from typing import Any

import pytest
from sqlalchemy import func, select

from tests.chaos.acts import ACTS, OPERATIONS, Act, assert_they_agree, history, perform, prepare
from tests.chaos.deaths import Killed, dying_at
from tests.desk import Desk
from webapp import clock
from webapp.application import settings
from webapp.extensions import db
from webapp.models.intent import Attempt
from webapp.models.sync_state import SyncState
from webapp.models.tenancy import as_company
from webapp.sandbox.server import RunningSandbox

LOUD_ATTEMPTS = 4
MOMENTS = {"first": 1, "second": 2, "last": LOUD_ATTEMPTS}
FILLER = "HTTP_503"
"""What the attempts before the one in question end with."""


class Answer(Enum):
    """What the engine makes of it (S3.5)."""

    UNKNOWN = auto()
    WAITS = auto()
    REFUSES_KEY = auto()
    FINAL = auto()
    WRONG_SHAPE = auto()
    BELIEVED = auto()
    ARRIVES = auto()


@dataclass(frozen=True)
class Fault:
    name: str
    answer: Answer
    code: str | None
    kind: str
    values: dict[str, Any] = field(default_factory=dict)
    moments: tuple[str, ...] = tuple(MOMENTS)


def _status(status: int, answer: Answer, code: str, **values: Any) -> Fault:
    name = "-".join([str(status), *(key for key, value in values.items() if value)])
    return Fault(name, answer, code, "status", {"status": status, **values})


FAULTS = (
    # A real hang costs the call's deadline, so once per operation; else the line is cut.
    Fault(
        "timeout-after", Answer.UNKNOWN, "TIMEOUT", "timeout_after", {"seconds": 3.0}, ("first",)
    ),
    Fault(
        "timeout-before", Answer.UNKNOWN, "TIMEOUT", "timeout_before", {"seconds": 3.0}, ("first",)
    ),
    Fault("slow", Answer.ARRIVES, None, "latency", {"seconds": 0.5}, ("first",)),
    Fault("drip", Answer.UNKNOWN, "TIMEOUT", "drip", {"seconds": 20.0}, ("first",)),
    Fault("hang-up-before", Answer.UNKNOWN, "CONNECTION", "timeout_before", {"seconds": 0.05}),
    Fault("hang-up-after", Answer.UNKNOWN, "CONNECTION", "timeout_after", {"seconds": 0.05}),
    Fault("reset-before", Answer.UNKNOWN, "CONNECTION", "reset_before"),
    Fault("reset-after", Answer.UNKNOWN, "CONNECTION", "reset_after"),
    _status(500, Answer.UNKNOWN, "HTTP_500"),
    _status(500, Answer.UNKNOWN, "HTTP_500", after_effect=True),
    _status(502, Answer.UNKNOWN, "HTTP_502", body="html"),
    _status(502, Answer.UNKNOWN, "HTTP_502", body="html", after_effect=True),
    Fault("429", Answer.WAITS, "RATE_LIMITED", "rate_limited", {"reset_seconds": 20}),
    Fault("429-bare", Answer.WAITS, "RATE_LIMITED", "rate_limited", {"headers": False}),
    _status(401, Answer.REFUSES_KEY, "UNAUTHORIZED"),
    _status(403, Answer.REFUSES_KEY, "UNAUTHORIZED"),
    _status(498, Answer.REFUSES_KEY, "UNAUTHORIZED"),
    _status(400, Answer.FINAL, "HTTP_400"),
    _status(404, Answer.FINAL, "HTTP_404"),
    _status(409, Answer.FINAL, "HTTP_409"),
    _status(422, Answer.FINAL, "HTTP_422"),
    Fault("not-stored", Answer.BELIEVED, None, "not_stored"),
    Fault("wrong-version", Answer.WRONG_SHAPE, "PROTOCOL", "old_version"),
)


DEATHS = ("before the call", "after the call", "settled, not committed")


@dataclass(frozen=True)
class Row:
    """`death`: where the worker is killed that meets the fault; None: it lives."""

    act: Act
    fault: Fault
    moment: str
    death: str | None

    @property
    def attempt(self) -> int:
        return MOMENTS[self.moment]

    @property
    def is_flagged(self) -> bool:
        """Whether people are told as soon as the fault has struck."""
        by_exhaustion = self.answer is Answer.UNKNOWN and self.attempt == LOUD_ATTEMPTS
        return by_exhaustion or self.answer in (
            Answer.REFUSES_KEY,
            Answer.FINAL,
            Answer.WRONG_SHAPE,
        )

    @property
    def is_unheard(self) -> bool:
        """Whether the answer died with its worker: whoever takes over looks, and meets no fault."""
        return self.death is not None and self.death != "before the call"

    @property
    def answer(self) -> Answer:
        """A conflict right after a create in doubt may be our own booking: it is waited for.

        What a 429 says of the key, all workers know from Redis, whoever died.
        """
        if self.waits_for_listing or (self.is_unheard and self.fault.name == "429-bare"):
            return Answer.WAITS
        return Answer.ARRIVES if self.is_unheard else self.fault.answer

    @property
    def waits_for_listing(self) -> bool:
        is_in_doubt = self.moment == "second" or self.death is not None
        is_conflict = (self.act.operation, self.fault.name) == ("create", "409")
        return is_conflict and is_in_doubt and not self.is_unheard

    @property
    def code(self) -> str | None:
        return "LISTING_LAGS" if self.waits_for_listing else self.fault.code

    @property
    def looks_at_once(self) -> bool:
        """A booking we know that Cal.com doesn't: a verification says what became of it."""
        is_known = self.act.operation != "create"
        return self.fault.name == "404" and is_known and not self.is_unheard

    @property
    def state(self) -> SyncState:
        """Right after the fault struck."""
        if self.answer in (Answer.BELIEVED, Answer.ARRIVES):
            return SyncState.SYNCED
        return SyncState.FAILED if self.is_flagged else SyncState.PENDING

    @property
    def heals_by_itself(self) -> bool:
        """Without a run and without a person."""
        return self.answer in (Answer.UNKNOWN, Answer.WAITS, Answer.REFUSES_KEY)

    @property
    def is_found_out_soon(self) -> bool:
        """Whether the proof of existence finds it without a run (S3.8)."""
        return self.answer is Answer.BELIEVED and self.act.live_after == 1

    @property
    def finding(self) -> str | None:
        """What a run finds in the end."""
        if self.answer not in (Answer.FINAL, Answer.BELIEVED) or self.is_created_again:
            return None
        if self.act.operation == "create":
            return "orphaned_local"
        return "orphaned_local" if self.lost_uid else "data_mismatch"

    @property
    def is_created_again(self) -> bool:
        """A create that never succeeded: the run finds nothing and pushes it by itself (S5.8).

        One answered and not kept had a booking once: that is a person's.
        """
        return self.answer is Answer.FINAL and self.act.operation == "create"

    @property
    def is_recognised(self) -> bool:
        """Made, but its uid never read: the run sees our key in the listing (S5.4)."""
        return self.answer is Answer.WRONG_SHAPE and self.act.operation == "create"

    @property
    def lost_uid(self) -> bool:
        """A move answered and not kept: the uid leads nowhere, the old booking stands as before.

        That nothing is there, or that it is there at the old time: either may be said.
        """
        return self.answer is Answer.BELIEVED and self.act.operation == "reschedule"

    @property
    def events(self) -> list[tuple[str, str | None]]:
        """The timeline when all is over, before a person clicks."""
        before: list[tuple[str, str | None]] = [(each, None) for each in self.act.events_before]
        fillers = [("push_retries", FILLER)] * (self.attempt - 1)
        takeover = [("lease_lost", None)] if self.death else []
        happened = [*fillers, *takeover, *self._events_of_fault(), *self._end()]
        return [*before, (self.act.event, None), *happened]

    def _events_of_fault(self) -> list[tuple[str, str | None]]:
        told = [("push_failed", self.code)] if self.is_flagged else []
        match self.answer:
            case Answer.UNKNOWN:
                return [*told, ("push_retries", self.code)]
            case Answer.WAITS | Answer.REFUSES_KEY:
                return [*told, ("push_waits", self.code)]
            case Answer.FINAL | Answer.WRONG_SHAPE:
                return [*told]
            case Answer.BELIEVED | Answer.ARRIVES:
                return [("pushed", None)]

    def _end(self) -> list[tuple[str, str | None]]:
        settled = [("resolved", None), ("verified", None)] if self.is_flagged else []
        if self.heals_by_itself:
            return [("pushed", None), *settled]
        if self.is_created_again:
            return [("healed", None), ("pushed", None), *settled]
        if self.is_recognised:
            return [("recognised", None), *settled]
        if self.finding == "orphaned_local":
            suspected = [("absence_suspected", None)] if self.is_found_out_soon else []
            return [*suspected, ("missing", "ORPHANED_LOCAL")]
        return [("mismatch", "DATA_MISMATCH")] if self.finding else [*settled]


def is_of_the_short_table(row: Row) -> bool:
    """What every change waits for; the whole product is for `make long`."""
    if row.death is not None:
        return row.fault.name in ("reset-after", "409") and row.moment == "second"
    if row.moment == "first":
        return row.act.operation == "create" or len(row.fault.moments) > 1
    return row.fault.name in ("500-after_effect", "404") and row.moment == "last"


def _param(row: Row) -> Any:
    words = [row.act.operation, row.fault.name, row.moment, *([row.death] if row.death else [])]
    marks = [] if is_of_the_short_table(row) else [pytest.mark.long]
    return pytest.param(row, id="-".join(words).replace(" ", "-"), marks=marks)


ROWS = [
    _param(Row(ACTS[operation], fault, moment, death))
    for operation in OPERATIONS
    for fault in FAULTS
    for moment in fault.moments
    for death in (None, *DEATHS)
]


@pytest.fixture
def call_seconds(row: Row, call_seconds: float) -> float:
    return 2.0 if row.fault.code == "TIMEOUT" else call_seconds


@pytest.mark.parametrize("row", ROWS)
def test_whatever_cal_com_answers_the_customer_is_booked_once_and_told_once(
    desk: Desk, sandbox: RunningSandbox, row: Row
) -> None:
    appointment_id = strike(desk, row)

    assert_seen_at_once(desk, row, appointment_id)
    assert_never_twice(desk, row)

    desk.cal.heal()
    desk.work_through(150, step=10)
    assert_never_twice(desk, row)
    if row.heals_by_itself:
        assert_they_agree(desk, appointment_id)
    if row.is_found_out_soon:
        assert_found(desk, row, appointment_id)

    let_a_run_look(desk, sandbox)
    assert_never_twice(desk, row)
    assert_the_timeline_says_so(desk, row, appointment_id)
    if row.finding is None:
        assert_they_agree(desk, appointment_id)
        assert desk.cal.mails() == list(row.act.mails)
    else:
        assert_found(desk, row, appointment_id)
        assert len(desk.cal.live_bookings()) == row.act.live_before
        assert desk.cal.mails() == list(row.act.mails_before)
        assert desk.push_again(appointment_id)
        desk.work_through(30, step=2)
        assert_never_twice(desk, row)
        assert_they_agree(desk, appointment_id)


def strike(desk: Desk, row: Row) -> int:
    """Let the attempts before fail, then the one in question with the row's fault."""
    appointment_id = perform(desk, row.act, prepare(desk, row.act))
    operation = row.act.at_calcom
    if row.attempt > 1:
        desk.cal.fail({"kind": "status", "status": 503, "operation": operation})
        work_until(desk, lambda: tries(desk, appointment_id) == row.attempt - 1)
    desk.cal.fail({"kind": row.fault.kind, "operation": operation, "times": 1, **row.fault.values})
    if row.death is not None:
        die(desk, row.death)
        clock.advance(timedelta(seconds=settings().push_lease_seconds + 1))
        desk.work()
    else:
        work_until(desk, lambda: tries(desk, appointment_id) == row.attempt)
    return appointment_id


def die(desk: Desk, point: str) -> None:
    """Time passes until a worker comes by that point, and is killed there."""
    with dying_at(point) as death, pytest.raises(Killed):
        work_until(desk, lambda: False)
    assert death.has_struck


def tries(desk: Desk, appointment_id: int) -> int:
    """How many tries at the newest change have ended."""
    query = select(func.count()).where(
        Attempt.intent_id == desk.intents(appointment_id)[-1].id, Attempt.finished_at.is_not(None)
    )
    with as_company(desk.company.id):
        return db.session.scalar(query) or 0


def work_until(desk: Desk, is_there: Callable[[], bool]) -> None:
    desk.work()
    for _ in range(60):
        if is_there():
            return
        clock.advance(timedelta(seconds=1))
        desk.work()
    raise AssertionError("this never came to pass")


def let_a_run_look(desk: Desk, sandbox: RunningSandbox) -> None:
    """What the schedule does every six hours; what it suspects is looked at once more.

    Cal.com's clock catches up with ours: the proof of what is made now goes by when it was made.
    """
    clock.advance(timedelta(minutes=10))
    sandbox.sandbox.clock.set(clock.now())
    desk.run()
    desk.work_through(200, step=50)


def assert_seen_at_once(desk: Desk, row: Row, appointment_id: int) -> None:
    seen = desk.appointment(appointment_id)
    assert (seen.calcom_sync_status, seen.requires_manual_review) == (row.state, row.is_flagged)
    if row.is_flagged:
        kind, code = ("data_mismatch", "DATA_MISMATCH") if row.looks_at_once else (None, row.code)
        kind = kind or "sync_failed"
        assert desk.open_findings() == [(appointment_id, kind, code)]
        assert seen.sync_error_code == code
    else:
        assert desk.open_findings() == []
    intent = desk.intents(appointment_id)[-1]
    spent = 0 if row.answer in (Answer.WAITS, Answer.REFUSES_KEY) else 1
    assert intent.attempt_count == row.attempt - 1 + spent


def assert_found(desk: Desk, row: Row, appointment_id: int) -> None:
    """Exactly one finding is open, and it is the one."""
    types = {row.finding, "data_mismatch"} if row.lost_uid else {row.finding}
    [(found_id, type_, _)] = desk.open_findings()
    assert (found_id, type_ in types) == (appointment_id, True)


def assert_the_timeline_says_so(desk: Desk, row: Row, appointment_id: int) -> None:
    events = history(desk, appointment_id)
    if row.lost_uid and events[-1] == ("mismatch", "DATA_MISMATCH"):
        events[-1] = row.events[-1]
    assert events == row.events


def assert_never_twice(desk: Desk, row: Row) -> None:
    """The invariants of every row: one live booking, no mail beyond the person's acts."""
    assert len(desk.cal.live_bookings()) <= 1
    assert not Counter(desk.cal.mails()) - Counter(row.act.mails)
