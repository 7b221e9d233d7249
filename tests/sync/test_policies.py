"""Policy by event: which side wins, and what stays a person's whatever the policy says."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webapp.models.appointment import AppointmentStatus
from webapp.models.company import FieldPolicy
from webapp.sync.policies import (
    MOST_IN_WINDOW,
    OVER,
    Choice,
    Heal,
    HeldBack,
    Mismatch,
    Policies,
    Remedy,
    choose,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SOON = NOW + timedelta(days=2)
FLAG, THEIRS, OURS = FieldPolicy.FLAG, FieldPolicy.CALCOM_WINS, FieldPolicy.OURS_WINS
CONFIRMED, CANCELLED = AppointmentStatus.CONFIRMED, AppointmentStatus.CANCELLED
PENDING = AppointmentStatus.PENDING
DAY = timedelta(days=1)

MOVED_THERE = {"starts_at": ("10:00", "11:00")}
CANCELLED_THERE = {"status": ("accepted", "cancelled")}
CANCELLED_HERE = {"status": ("cancelled", "accepted")}
CONFIRMED_THERE = {"status": ("pending", "accepted")}
MOVED_AND_CANCELLED_THERE = MOVED_THERE | CANCELLED_THERE
MOVED_AND_CONFIRMED_THERE = MOVED_THERE | CONFIRMED_THERE

FOLLOW, PUSH = Choice(Remedy.FOLLOW), Choice(Remedy.PUSH)


def held(reason: HeldBack) -> Choice:
    return Choice(Remedy.FLAG, reason)


def mismatch(fields: Any, status: AppointmentStatus = CONFIRMED, **more: Any) -> Mismatch:
    return Mismatch(**{"fields": fields, "status": status, "starts_at": SOON, **more})


@pytest.mark.parametrize(
    ("fields", "ours", "start", "status", "expected"),
    [
        (MOVED_THERE, CONFIRMED, FLAG, FLAG, held(HeldBack.POLICY)),
        (MOVED_THERE, CONFIRMED, THEIRS, FLAG, FOLLOW),
        (MOVED_THERE, CONFIRMED, OURS, FLAG, PUSH),
        (MOVED_THERE, CONFIRMED, FLAG, THEIRS, held(HeldBack.POLICY)),
        (CANCELLED_THERE, CONFIRMED, FLAG, FLAG, held(HeldBack.POLICY)),
        (CANCELLED_THERE, CONFIRMED, FLAG, THEIRS, FOLLOW),
        (CANCELLED_THERE, CONFIRMED, FLAG, OURS, PUSH),
        (CANCELLED_THERE, CONFIRMED, THEIRS, FLAG, held(HeldBack.POLICY)),
        (CANCELLED_HERE, CANCELLED, FLAG, OURS, PUSH),
        (CANCELLED_HERE, CANCELLED, FLAG, THEIRS, held(HeldBack.CANCELLED_HERE)),
        (MOVED_AND_CANCELLED_THERE, CONFIRMED, FLAG, THEIRS, FOLLOW),
        (MOVED_AND_CANCELLED_THERE, CONFIRMED, OURS, THEIRS, FOLLOW),
        (MOVED_AND_CANCELLED_THERE, CONFIRMED, THEIRS, OURS, PUSH),
        (CONFIRMED_THERE, PENDING, FLAG, THEIRS, FOLLOW),
        (CONFIRMED_THERE, PENDING, FLAG, OURS, held(HeldBack.NOT_OURS_TO_SAY)),
        (MOVED_AND_CONFIRMED_THERE, PENDING, OURS, OURS, PUSH),
        (MOVED_AND_CONFIRMED_THERE, PENDING, THEIRS, THEIRS, FOLLOW),
        (
            MOVED_AND_CONFIRMED_THERE,
            PENDING,
            THEIRS,
            OURS,
            held(HeldBack.CONFLICT),
        ),
        (MOVED_AND_CONFIRMED_THERE, PENDING, THEIRS, FLAG, held(HeldBack.POLICY)),
        (MOVED_THERE, AppointmentStatus.COMPLETED, THEIRS, FLAG, held(HeldBack.OVER)),
        (MOVED_THERE, AppointmentStatus.NO_SHOW, OURS, FLAG, held(HeldBack.OVER)),
        ({"colour": ("red", "blue")}, CONFIRMED, THEIRS, THEIRS, held(HeldBack.POLICY)),
        ({}, CONFIRMED, THEIRS, THEIRS, held(HeldBack.POLICY)),
    ],
)
def test_policy_by_event(
    fields: Any,
    ours: AppointmentStatus,
    start: FieldPolicy,
    status: FieldPolicy,
    expected: Choice,
) -> None:
    assert choose(mismatch(fields, ours), Policies(start, status), now=NOW) == expected


@pytest.mark.parametrize("winner", [THEIRS, OURS])
def test_a_change_that_could_not_be_carried_is_no_difference_of_opinion(
    winner: FieldPolicy,
) -> None:
    """Else Cal.com's old version would undo what somebody wished here."""
    found = mismatch(MOVED_THERE, has_failed_push=True)
    assert choose(found, Policies(winner, winner), now=NOW) == held(HeldBack.FAILED_PUSH)


def test_what_has_begun_is_not_pushed_but_may_be_taken_over() -> None:
    past = mismatch(MOVED_THERE, starts_at=NOW)
    assert choose(past, Policies(start=OURS), now=NOW) == held(HeldBack.PAST)
    assert choose(past, Policies(start=THEIRS), now=NOW) == FOLLOW


def heals(remedy: Remedy, *hours_ago: float) -> list[Heal]:
    return [Heal(remedy, NOW - timedelta(hours=hours)) for hours in hours_ago]


def test_a_customer_is_mailed_once_a_day_at_most() -> None:
    ours = Policies(start=OURS)
    for remedy in (Remedy.PUSH, Remedy.CREATE):
        lately = mismatch(MOVED_THERE, earlier=heals(remedy, 23.9))
        assert choose(lately, ours, now=NOW) == held(HeldBack.REPEATED)
        long_ago = mismatch(MOVED_THERE, earlier=heals(remedy, 24))
        assert choose(long_ago, ours, now=NOW) == PUSH


def test_what_is_followed_again_and_again_becomes_a_persons() -> None:
    theirs = Policies(start=THEIRS)
    often = heals(Remedy.FOLLOW, *range(1, MOST_IN_WINDOW + 1))
    assert choose(mismatch(MOVED_THERE, earlier=often), theirs, now=NOW) == held(HeldBack.REPEATED)
    assert choose(mismatch(MOVED_THERE, earlier=often[1:]), theirs, now=NOW) == FOLLOW


def test_evidence_is_read_as_the_verification_wrote_it() -> None:
    evidence = {
        "fields": {"starts_at": {"ours": "a", "theirs": "b", "base": "a", "moved": "theirs"}},
        "cause": "TIMEOUT",
    }
    found = Mismatch.from_evidence(evidence, status=CONFIRMED, starts_at=SOON)
    assert found.fields == {"starts_at": ("a", "b")}
    assert found.has_failed_push


classes = st.sampled_from(["accepted", "pending", "cancelled"])
policies = st.builds(Policies, st.sampled_from(FieldPolicy), st.sampled_from(FieldPolicy))
mismatches = st.builds(
    Mismatch,
    fields=st.fixed_dictionaries(
        {},
        optional={
            "starts_at": st.just(("10:00", "11:00")),
            "status": st.tuples(classes, classes).filter(lambda pair: pair[0] != pair[1]),
        },
    ),
    status=st.sampled_from(AppointmentStatus),
    starts_at=st.integers(-48, 480).map(lambda hours: NOW + timedelta(hours=hours)),
    has_failed_push=st.booleans(),
    earlier=st.lists(
        st.builds(
            Heal,
            st.sampled_from([Remedy.FOLLOW, Remedy.PUSH, Remedy.CREATE]),
            st.integers(0, 72).map(lambda hours: NOW - timedelta(hours=hours)),
        ),
        max_size=4,
    ),
)


@given(found=mismatches, chosen=policies)
def test_no_mail_without_a_policy_that_says_so(found: Mismatch, chosen: Policies) -> None:
    choice = choose(found, chosen, now=NOW)
    assert (choice.remedy is Remedy.FLAG) == (choice.held_back is not None)
    if choice.remedy.mails:
        assert {chosen.wanted_for(name) for name in found.decisive} == {OURS}
        assert not any(
            heal.remedy.mails and NOW - heal.at < timedelta(days=1) for heal in found.earlier
        )
    if choice.remedy is Remedy.FOLLOW:
        assert {chosen.wanted_for(name) for name in found.decisive} == {THEIRS}


@given(found=mismatches, chosen=policies)
def test_what_is_over_or_was_cancelled_here_is_never_rewritten(
    found: Mismatch, chosen: Policies
) -> None:
    if found.status in OVER | {CANCELLED}:
        assert choose(found, chosen, now=NOW).remedy is not Remedy.FOLLOW


@given(found=mismatches)
def test_by_default_everything_is_flagged(found: Mismatch) -> None:
    assert choose(found, Policies(), now=NOW) == held(HeldBack.POLICY)
