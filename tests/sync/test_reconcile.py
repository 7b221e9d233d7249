"""What two views of one appointment say of each other: a table, and what must always hold."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webapp.calcom.payloads import BookingStatus
from webapp.models.appointment import AppointmentStatus
from webapp.sync.reconcile import (
    OURS_BY_CLASS,
    THEIRS_BY_CLASS,
    Mover,
    StatusClass,
    View,
    differences,
    our_status_for,
)

TEN = datetime(2026, 3, 2, 10, tzinfo=UTC)
ELEVEN = TEN + timedelta(hours=1)
TWELVE = TEN + timedelta(hours=2)
ACCEPTED, PENDING, CANCELLED = StatusClass.ACCEPTED, StatusClass.PENDING, StatusClass.CANCELLED
NOTHING = View(None, None)

CASES = {
    "both the same": (View(TEN, ACCEPTED), View(TEN, ACCEPTED), View(TEN, ACCEPTED), {}),
    "within a minute": (
        View(TEN, ACCEPTED),
        View(TEN + timedelta(seconds=59), ACCEPTED),
        View(TEN, ACCEPTED),
        {},
    ),
    "a minute apart": (
        View(TEN, ACCEPTED),
        View(TEN + timedelta(seconds=60), ACCEPTED),
        View(TEN, ACCEPTED),
        {"starts_at": Mover.THEIRS},
    ),
    "moved there": (
        View(TEN, ACCEPTED),
        View(ELEVEN, ACCEPTED),
        View(TEN, ACCEPTED),
        {"starts_at": Mover.THEIRS},
    ),
    "moved here": (
        View(ELEVEN, ACCEPTED),
        View(TEN, ACCEPTED),
        View(TEN, ACCEPTED),
        {"starts_at": Mover.OURS},
    ),
    "moved on both sides": (
        View(ELEVEN, ACCEPTED),
        View(TWELVE, ACCEPTED),
        View(TEN, ACCEPTED),
        {"starts_at": Mover.BOTH},
    ),
    "no base yet": (
        View(ELEVEN, ACCEPTED),
        View(TWELVE, ACCEPTED),
        NOTHING,
        {"starts_at": Mover.UNKNOWN},
    ),
    "cancelled there": (
        View(TEN, ACCEPTED),
        View(TEN, CANCELLED),
        View(TEN, ACCEPTED),
        {"status": Mover.THEIRS},
    ),
    "cancelled here": (
        View(TEN, CANCELLED),
        View(TEN, ACCEPTED),
        View(TEN, ACCEPTED),
        {"status": Mover.OURS},
    ),
    "cancelled on both sides, at different times": (
        View(TEN, CANCELLED),
        View(ELEVEN, CANCELLED),
        View(TEN, ACCEPTED),
        {},
    ),
    "confirmed there": (
        View(TEN, PENDING),
        View(TEN, ACCEPTED),
        View(TEN, PENDING),
        {"status": Mover.THEIRS},
    ),
    "an unknown status says nothing": (
        View(TEN, ACCEPTED),
        View(TEN, None),
        View(TEN, ACCEPTED),
        {},
    ),
    "moved and cancelled there": (
        View(TEN, ACCEPTED),
        View(ELEVEN, CANCELLED),
        View(TEN, ACCEPTED),
        {"status": Mover.THEIRS, "starts_at": Mover.THEIRS},
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_each_event_has_its_name(case: tuple[View, View, View, dict[str, Mover]]) -> None:
    ours, theirs, base, expected = case
    assert {each.field: each.moved for each in differences(ours, theirs, base)} == expected


starts = st.sampled_from([TEN, ELEVEN, TWELVE])
views = st.builds(View, starts, st.sampled_from(StatusClass))


@given(view=views, base=views)
def test_equal_sides_agree_whatever_the_base(view: View, base: View) -> None:
    assert differences(view, view, base) == []


@given(ours=views, theirs=views, base=views)
def test_the_sides_can_change_places(ours: View, theirs: View, base: View) -> None:
    turned = {Mover.OURS: Mover.THEIRS, Mover.THEIRS: Mover.OURS}
    one = {each.field: each.moved for each in differences(ours, theirs, base)}
    other = {each.field: each.moved for each in differences(theirs, ours, base)}
    assert {name: turned.get(mover, mover) for name, mover in one.items()} == other


@given(ours=views, theirs=views)
def test_who_has_not_left_the_base_is_not_said_to_have_moved(ours: View, theirs: View) -> None:
    for difference in differences(ours, theirs, base=ours):
        assert difference.moved is Mover.THEIRS


def test_every_status_of_ours_has_a_class_and_every_known_one_of_theirs() -> None:
    assert set(OURS_BY_CLASS) == set(AppointmentStatus)
    assert set(THEIRS_BY_CLASS) == set(BookingStatus) - {BookingStatus.UNKNOWN}
    for status in THEIRS_BY_CLASS:
        assert OURS_BY_CLASS[our_status_for(status)] is THEIRS_BY_CLASS[status]
