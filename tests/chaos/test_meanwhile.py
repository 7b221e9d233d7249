"""Somebody was quicker on Cal.com: our change meets "already rescheduled to NEW" or "already
cancelled", at its first try, after one in doubt, and after a worker died over it. No webhook tells.
"""

from collections import Counter
from collections.abc import Callable
from datetime import timedelta

import pytest

from tests.chaos.acts import ACTS, assert_they_agree, history, perform, prepare, starts_of_live
from tests.chaos.deaths import Killed, dying_at
from tests.desk import Desk, in_days
from webapp import clock
from webapp.application import settings
from webapp.models.appointment import AppointmentStatus

THEIR_DAY = 6


def _move(desk: Desk, uid: str, day: int = THEIR_DAY) -> str:
    moved = desk.cal.change(uid, "reschedule", start=in_days(day).isoformat())
    return str(moved["uid"])


def _cancel(desk: Desk, uid: str) -> None:
    desk.cal.change(uid, "cancel", reason="Ill")


MEANWHILE: dict[str, tuple[Callable[[Desk, str], object], tuple[str, ...]]] = {
    "moved": (_move, ("rescheduled",)),
    "moved twice": (
        lambda desk, uid: _move(desk, _move(desk, uid), THEIR_DAY + 1),
        ("rescheduled", "rescheduled"),
    ),
    "cancelled": (_cancel, ("cancelled",)),
    "moved and cancelled": (
        lambda desk, uid: _cancel(desk, _move(desk, uid)),
        ("rescheduled", "cancelled"),
    ),
}
"""What was done over there, and the mails that Cal.com sent about it."""

TROUBLES: dict[str, Callable[[Desk, str], None]] = {}


def _trouble(function: Callable[[Desk, str], None]) -> Callable[[Desk, str], None]:
    TROUBLES[function.__name__.strip("_").replace("_", " ")] = function
    return function


@_trouble
def _none(desk: Desk, operation: str) -> None:
    pass


@_trouble
def _a_try_in_doubt(desk: Desk, operation: str) -> None:
    desk.cal.fail({"kind": "reset_before", "operation": operation, "times": 1})
    desk.work()


@_trouble
def _a_death_before_the_call(desk: Desk, operation: str) -> None:
    _die(desk, "before the call")


@_trouble
def _a_death_before_the_commit(desk: Desk, operation: str) -> None:
    """Of a try that changed nothing over there."""
    desk.cal.fail({"kind": "status", "status": 503, "operation": operation, "times": 1})
    _die(desk, "settled, not committed")


def _die(desk: Desk, point: str) -> None:
    with dying_at(point) as death, pytest.raises(Killed):
        desk.work()
    assert death.has_struck
    clock.advance(timedelta(seconds=settings().push_lease_seconds + 10))


@pytest.mark.parametrize(
    "trouble", ["none", *(pytest.param(each, marks=pytest.mark.long) for each in [*TROUBLES][1:])]
)
@pytest.mark.parametrize("meanwhile", MEANWHILE)
@pytest.mark.parametrize("operation", ["reschedule", "cancel"])
def test_what_somebody_did_over_there_is_followed_or_told(
    desk: Desk, operation: str, meanwhile: str, trouble: str
) -> None:
    act = ACTS[operation]
    appointment_id = prepare(desk, act)
    uid = desk.appointment(appointment_id or 0).calcom_v2_booking_id
    appointment_id = perform(desk, act, appointment_id)
    TROUBLES[trouble](desk, act.at_calcom)
    do_there, mails_of_theirs = MEANWHILE[meanwhile]
    do_there(desk, str(uid))

    desk.work_through(120, step=10)

    is_gone = mails_of_theirs[-1] == "cancelled"
    warranted = Counter([*act.mails, *mails_of_theirs])
    if is_gone:
        warranted[act.mails[-1]] -= 1
    assert Counter(desk.cal.mails()) == +warranted
    if operation == "reschedule" and is_gone:
        assert_told_that_it_is_gone(desk, appointment_id)
    else:
        assert_they_agree(desk, appointment_id)
        assert history(desk, appointment_id)[-1] == ("pushed", None)


def assert_told_that_it_is_gone(desk: Desk, appointment_id: int) -> None:
    """What was cancelled over there can't be moved: a person settles it, with one click."""
    assert desk.open_findings() == [(appointment_id, "data_mismatch", "DATA_MISMATCH")]
    wished = desk.appointment(appointment_id).starts_at
    assert desk.push_again(appointment_id)
    desk.work_through(30, step=5)
    assert starts_of_live(desk) == [wished]
    assert desk.appointment(appointment_id).status is AppointmentStatus.CONFIRMED


def test_a_chain_that_turns_in_a_circle_is_not_followed_for_ever(desk: Desk) -> None:
    """Cal.com names a successor that names the first one again."""
    from webapp.calcom.payloads import Booking, BookingStatus
    from webapp.sync.carry import follow_chain

    def get(uid: str) -> Booking:
        other = {"a": "b", "b": "a"}[uid]
        return Booking(
            uid=uid,
            status=BookingStatus.CANCELLED,
            status_text="cancelled",
            start=in_days(2),
            end=in_days(3),
            rescheduled_to_uid=other,
        )

    assert [each.uid for each in follow_chain(get, "a")] == ["a", "b"]
